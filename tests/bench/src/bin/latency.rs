//! How long it takes from a value's being written to msup until its task runs.
//!
//! `latency feed NUMBER MICROSECONDS` prints the time NUMBER times, with pauses between. `latency
//! worker FOLDER` is a worker that takes such a time as its task's value, and writes how long ago
//! it was, in microseconds, to a file of its own in the folder when it exits.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{self, ExitCode};
use std::thread;
use std::time::Duration;

use msup_protocol::sync::now_ns;
use msup_worker::{Outcome, run};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["feed", number, apart] => feed(number, apart),
        ["worker", folder] => work(Path::new(folder)),
        _ => Err("usage: latency feed NUMBER MICROSECONDS | latency worker FOLDER".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(io::stderr(), "latency: {why}");
            ExitCode::FAILURE
        }
    }
}

fn feed(number: &str, apart: &str) -> Result<(), Box<dyn std::error::Error>> {
    let (number, apart): (u32, u64) = (number.parse()?, apart.parse()?);
    let mut out = io::stdout().lock();
    let began = now_ns();
    for nth in 1..=u64::from(number) {
        let due = began + nth * apart * 1000;
        thread::sleep(Duration::from_nanos(due.saturating_sub(now_ns())));
        writeln!(out, "{}", now_ns())?;
        out.flush()?;
    }
    Ok(())
}

fn work(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let mut taken = Vec::new();
    run(|task, _ctx| {
        let now = now_ns();
        let written: u64 = std::str::from_utf8(task.value())?.parse()?;
        taken.push(now.saturating_sub(written) as f64 / 1000.0);
        Ok(Outcome::done())
    });
    let lines: String = taken.iter().map(|micros| format!("{micros:.1}\n")).collect();
    fs::write(folder.join(process::id().to_string()), lines)?;
    Ok(())
}
