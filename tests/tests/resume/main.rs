//! A run that was cut off is resumed: nothing is lost, and what was shown is not done twice.

mod finished;
mod inputs;
mod kills;
mod outlets;
mod records;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Output};

use msup_tests::{Sandbox, kill, run, spawn_piped, wait_until};
use nix::sys::signal::Signal;

/// Each command notes its begin and its end.
const NOTES: &str = "echo \"begin $1\" >>log; sleep 0.05; echo \"end $1\" >>log; echo \"out $1\"";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn begin(sandbox: &Sandbox, flags: &[&str], tasks: u32) -> Child {
    let mut msup =
        sandbox.msup(flags.iter().copied().chain(["--", "sh", "-c", NOTES, "sh", "{}", ":::"]));
    msup.args((0..tasks).map(|n| n.to_string()));
    spawn_piped(&mut msup)
}

/// Kills a supervisor when this number of its commands has finished, and waits until everything it
/// started has exited.
fn kill_after(sandbox: &Sandbox, msup: Child, finished: usize) -> Output {
    let log = sandbox.path().join("log");
    wait_until(|| lines(&log).iter().filter(|line| line.starts_with("end")).count() >= finished);
    kill(msup.id() as i32, Signal::SIGKILL);
    let output = msup.wait_with_output().expect("it was started");
    wait_until(|| sandbox.processes().is_empty());
    output
}

fn resume(sandbox: &Sandbox, flags: &[&str]) -> Output {
    run(&mut sandbox.msup(["resume"].iter().chain(flags)))
}

fn journal(sandbox: &Sandbox) -> PathBuf {
    let runs = fs::read_dir(sandbox.path().join("state/msup")).expect("a journal was kept");
    let runs: Vec<PathBuf> = runs.map(|run| run.expect("readable").path()).collect();
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs[0].join("journal.jsonl")
}

/// What the only journal says so far, if there is one.
fn told(sandbox: &Sandbox) -> String {
    let runs = fs::read_dir(sandbox.path().join("state/msup")).into_iter().flatten();
    let journals = runs.map(|run| run.expect("readable").path().join("journal.jsonl"));
    journals.map(|path| text(&fs::read(path).unwrap_or_default())).collect()
}
