//! What commands start, what they leave behind, and how they are stopped.

mod hidden;
mod kills;
mod leftovers;
mod reaping;
mod sessions;
mod standstill;
mod stopping;

use std::path::Path;
use std::process::Output;

use msup_tests::{Sandbox, run};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs `msup` with these flags and a bash script, `$1` being the value.
fn script(sandbox: &Sandbox, flags: &[&str], script: &str, values: &[&str]) -> Output {
    let words = ["--", "bash", "-c", script, "_"];
    let words = flags.iter().chain(&words).chain([&":::"]).chain(values);
    run(&mut sandbox.msup(words))
}

fn exists(sandbox: &Sandbox, name: impl AsRef<Path>) -> bool {
    sandbox.path().join(name).exists()
}

/// The process whose pid a script has written into this file.
fn pid_in(sandbox: &Sandbox, name: &str) -> Option<i32> {
    let text = std::fs::read_to_string(sandbox.path().join(name)).ok()?;
    text.strip_suffix('\n')?.parse().ok()
}
