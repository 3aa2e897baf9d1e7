//! A task loop whose tasks wait without a worker. A value is a verb, and perhaps a number.

use std::fs::{self, File};
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use msup_worker::{Ctx, Outcome, Task, TaskError};

/// What a task waits for at a time.
const WAIT: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    msup_worker::run(|task, ctx| {
        let value = String::from_utf8_lossy(task.value()).into_owned();
        let (verb, number) = value.split_once(':').unwrap_or((&value, "0"));
        match verb {
            "meets" => meets(task, number.parse()?),
            "counts" => counts(task, ctx, number.parse()?),
            "keeps" => keeps(task, ctx, number.parse()?),
            "sleeps" => sleeps(task, number.parse()?),
            "crashes" => crashes(task, ctx),
            _ => Ok(Outcome::done()),
        }
    })
}

/// Parks until this number of tasks has begun.
fn meets(task: &Task, number: usize) -> Result<Outcome, TaskError> {
    if task.state().is_none() {
        File::create(format!("{}.here", task.seq()))?;
    }
    let here = fs::read_dir(".")?.flatten();
    let here = here.filter(|entry| entry.path().extension().is_some_and(|e| e == "here")).count();
    if here < number { Ok(Outcome::park(WAIT, "seen")?) } else { Ok(Outcome::done()) }
}

/// Parks this number of times and counts that in its state.
fn counts(task: &Task, ctx: &mut Ctx<'_>, number: usize) -> Result<Outcome, TaskError> {
    let state = task.state().unwrap_or_default();
    writeln!(ctx.stdout(), "attempt {} with {}", task.attempt(), state.len())?;
    if state.len() < number {
        return Ok(Outcome::park(20 * WAIT, [state, b"x"].concat())?);
    }
    Ok(Outcome::done())
}

/// Parks once with a state of this number of bytes.
fn keeps(task: &Task, ctx: &mut Ctx<'_>, number: usize) -> Result<Outcome, TaskError> {
    match task.state() {
        None => Ok(Outcome::park(WAIT, vec![b'x'; number])?),
        Some(state) => {
            writeln!(ctx.stdout(), "{}", state.iter().filter(|byte| **byte == b'x').count())?;
            Ok(Outcome::done())
        }
    }
}

/// Parks once for this number of seconds.
fn sleeps(task: &Task, seconds: u64) -> Result<Outcome, TaskError> {
    match task.state() {
        None => Ok(Outcome::park(Duration::from_secs(seconds), "what it waits for")?),
        Some(_) => Ok(Outcome::done()),
    }
}

/// Crashes once after it has parked.
fn crashes(task: &Task, ctx: &mut Ctx<'_>) -> Result<Outcome, TaskError> {
    let Some(state) = task.state() else { return Ok(Outcome::park(WAIT, "state")?) };
    if File::create_new("crashed").is_ok() {
        std::process::abort();
    }
    ctx.stdout().write_all(state)?;
    Ok(Outcome::done())
}
