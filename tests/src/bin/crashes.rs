//! A worker that goes down in the way its task's value names, or not at all.

use std::process::{self, ExitCode};

use msup_worker::{Outcome, run};

fn main() -> ExitCode {
    run(|task, _ctx| match task.value() {
        b"abort" => process::abort(),
        b"panic" => panic!("on purpose"),
        b"exit" => process::exit(0),
        _ => Ok(Outcome::done()),
    })
}
