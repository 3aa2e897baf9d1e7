//! A task loop whose tasks add others. A value is a verb, and perhaps an argument after `:`.

use std::fs;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use msup_worker::{Ctx, Outcome, Task, TaskError};

fn main() -> ExitCode {
    msup_worker::run(|task, ctx| {
        let value = String::from_utf8_lossy(task.value()).into_owned();
        let (verb, argument) = value.split_once(':').unwrap_or((&value, ""));
        match verb {
            "tree" => tree(task, ctx, argument)?,
            "grove" if task.state().is_none() => {
                ctx.pin();
                return Ok(Outcome::park(Duration::from_millis(5), argument)?);
            }
            "grove" => grove(task, ctx, argument)?,
            "many" => {
                for number in 0..argument.parse()? {
                    ctx.emit(format!("leaf:{number}").as_bytes())?;
                }
            }
            // 64 MiB, and the lengths of the values.
            "floods" => {
                let value = vec![b'v'; 1 << 20];
                (0..64).try_for_each(|_| ctx.emit(&value))?;
            }
            "fails" => {
                ctx.emit(b"leaf:of a failure")?;
                return Err("asked to".into());
            }
            "parks" if task.state().is_none() => {
                ctx.emit(b"leaf:of a wait")?;
                return Ok(Outcome::park(Duration::from_millis(20), "")?);
            }
            "parks" => ctx.emit(b"leaf:after a wait")?,
            // Fails until a file exists.
            "wants" if fs::metadata(argument).is_err() => return Err("not there".into()),
            // Until a file exists, one fails and the other waits.
            "wants-then-adds" if fs::metadata(argument).is_err() => {
                return Err("not there".into());
            }
            "wants-then-adds" => ctx.emit(b"leaf:late")?,
            "waits" => {
                while fs::metadata(argument).is_err() {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            "large" => {
                ctx.emit(b"leaf:of a large one")?;
                ctx.stdout().write_all(&vec![b'x'; argument.parse()?])?;
            }
            "touches" => drop(fs::File::create(argument)?),
            "adds" => ctx.emit(argument.as_bytes())?,
            _ => {}
        }
        writeln!(ctx.stdout(), "{value}")?;
        Ok(Outcome::done())
    })
}

/// `tree:PATH`: adds two tasks with longer paths, down to a depth of 6.
fn tree(task: &Task, ctx: &mut Ctx<'_>, path: &str) -> Result<(), TaskError> {
    if task.out().is_some() {
        ctx.out()?.write_all(path.as_bytes())?;
    }
    if path.len() < 6 {
        ctx.emit(format!("tree:{path}0").as_bytes())?;
        ctx.emit(format!("tree:{path}1").as_bytes())?;
    }
    Ok(())
}

/// `grove:PATH`: the same for tasks that have parked, and have kept their paths.
fn grove(task: &Task, ctx: &mut Ctx<'_>, path: &str) -> Result<(), TaskError> {
    if task.state() != Some(path.as_bytes()) {
        return Err("its state is that of another task".into());
    }
    ctx.pin();
    if path.len() < 6 {
        ctx.emit(format!("grove:{path}0").as_bytes())?;
        ctx.emit(format!("grove:{path}1").as_bytes())?;
    }
    Ok(())
}
