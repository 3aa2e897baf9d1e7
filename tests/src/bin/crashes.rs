//! A worker that crashes or hangs in the way that its task's value names, or does neither.

use std::hint;
use std::process::{self, ExitCode};
use std::thread;

use msup_worker::{Outcome, run};

fn main() -> ExitCode {
    run(|task, _ctx| match task.value() {
        b"abort" => process::abort(),
        b"panic" => panic!("on purpose"),
        b"exit" => process::exit(0),
        b"hang" => loop {
            thread::park();
        },
        b"spin" => loop {
            hint::spin_loop();
        },
        _ => Ok(Outcome::done()),
    })
}
