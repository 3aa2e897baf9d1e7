//! A worker whose task starts a child that exits with 7 at once, computes for a while, and then
//! asks for the child's status.

use std::process::{Command, ExitCode};
use std::time::Duration;

use msup_worker::{Outcome, run};

fn main() -> ExitCode {
    run(|_, ctx| {
        let mut child = Command::new("sh").args(["-c", "exit 7"]).spawn()?;
        ctx.blocking(|| std::thread::sleep(Duration::from_millis(20)));
        match child.wait()?.code() {
            Some(7) => Ok(Outcome::done()),
            other => Err(format!("its status is {other:?}").into()),
        }
    })
}
