//! A worker whose tasks run a shell script and wait for it. Argument: the script.

use std::process::{Command, ExitCode};

use msup_worker::{Outcome, run};

fn main() -> ExitCode {
    let script = std::env::args().nth(1).unwrap_or_default();
    run(|_, ctx| match ctx.blocking(|| Command::new("sh").args(["-c", &script]).status())? {
        status if status.success() => Ok(Outcome::done()),
        status => Err(status.to_string().into()),
    })
}
