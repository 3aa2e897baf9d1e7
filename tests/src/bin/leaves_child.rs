//! A worker whose tasks start a shell script in the background and do not wait for it.
//! Argument: the script.

use std::process::{Command, ExitCode};

use msup_worker::{Outcome, run};

fn main() -> ExitCode {
    let script = std::env::args().nth(1).unwrap_or_default();
    run(|_, ctx| {
        let child = ctx.blocking(|| Command::new("sh").args(["-c", &script]).spawn())?;
        drop(child);
        Ok(Outcome::done())
    })
}
