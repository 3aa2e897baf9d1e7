//! A task loop that reports a result for the program that submits tasks: the value backwards. Some
//! values ask for something else.

use std::io::Write;
use std::process::{self, ExitCode};
use std::thread;
use std::time::Duration;

use msup_worker::Outcome;

fn main() -> ExitCode {
    msup_worker::run(|task, ctx| {
        match task.value() {
            b"abort" => process::abort(),
            b"exit" => process::exit(9),
            b"kill" => drop(nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL)),
            b"panic" => panic!("asked to"),
            b"hang" => thread::sleep(Duration::from_secs(1_000_000)),
            b"fail" => {
                ctx.result().write_all(b"the reason")?;
                return Err("asked to".into());
            }
            b"large" => ctx.result().write_all(&vec![b'x'; 5_000_000])?,
            b"prints" => {
                ctx.stdout().write_all(b"out")?;
                ctx.stderr().write_all(b"err")?;
            }
            value => {
                let backwards: Vec<u8> = value.iter().rev().copied().collect();
                ctx.result().write_all(&backwards)?;
            }
        }
        Ok(Outcome::done())
    })
}
