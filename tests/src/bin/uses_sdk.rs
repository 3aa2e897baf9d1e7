//! A task loop that uses what the SDK offers. A value is a verb, and perhaps a file after `:`.

use std::fs::{self, File};
use std::io::{BufRead, Write};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use msup_worker::{Ctx, Outcome, TaskError};

fn main() -> ExitCode {
    msup_worker::run(|task, ctx| {
        let value = String::from_utf8_lossy(task.value()).into_owned();
        let (verb, argument) = value.split_once(':').unwrap_or((&value, ""));
        match verb {
            "meet" => meet(ctx, argument)?,
            "pin-until" => pin_until(ctx, argument)?,
            "tries-to-pin" => fs::write(argument, ctx.pin().to_string())?,
            "copy" => copy(ctx, argument)?,
            "makes" => ctx.out()?.write_all(argument.as_bytes())?,
            "fails" => {
                ctx.out()?.write_all(b"half")?;
                return Err("asked to".into());
            }
            "aborts" => {
                ctx.out()?.write_all(b"half")?;
                std::process::abort();
            }
            "panics" => panic!("asked to"),
            _ => {}
        }
        Ok(Outcome::done())
    })
}

/// Starts a shell that waits until as many of them run as the argument says.
fn meet(ctx: &mut Ctx<'_>, number: &str) -> Result<(), TaskError> {
    let script = "touch $$.here; until [ $(ls | grep -c here) -ge $0 ]; do sleep 0.02; done";
    let mut child = Command::new("sh").args(["-c", script, number]).spawn()?;
    let status = ctx.foreign(child.id(), || child.wait())?;
    if status.success() { Ok(()) } else { Err(status.to_string().into()) }
}

/// Pins the token, and keeps it in a blocking call until the file exists.
fn pin_until(ctx: &mut Ctx<'_>, file: &str) -> Result<(), TaskError> {
    // Another task may have pinned the only token that can be for a moment.
    while !ctx.pin() {
        ctx.blocking(|| thread::sleep(Duration::from_millis(1)));
    }
    File::create("pinned")?;
    ctx.blocking(|| {
        while !Path::new(file).exists() {
            thread::sleep(Duration::from_millis(5));
        }
    });
    Ok(())
}

/// Copies a file line by line, in buffers.
fn copy(ctx: &mut Ctx<'_>, file: &str) -> Result<(), TaskError> {
    let source = File::open(file)?;
    let lines: Vec<String> = ctx.read_buffered(source).lines().collect::<Result<_, _>>()?;
    let target = File::create(format!("{file}.copy"))?;
    let mut writer = ctx.write_buffered(target);
    lines.iter().try_for_each(|line| writeln!(writer, "{line}"))?;
    writer.flush()?;
    drop(writer);
    fs::metadata(file)?;
    Ok(())
}
