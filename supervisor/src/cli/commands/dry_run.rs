//! `--dry-run`: shows the commands that would be run.

use std::io::{self, BufWriter, Write};

use rustix::event::{EventfdFlags, eventfd};

use super::printed;
use crate::arguments;
use crate::cli::{Plan, Refusal};
use crate::input::{self, Group};
use crate::report::escape;
use crate::template::{Job, Totals, gnu_quoted};

/// Prints the command of each task on a line of its own, as it could be typed; for a task loop, the
/// values. Each is quoted this number of times.
///
/// # Errors
/// The values cannot be read, or standard output not written.
pub(crate) fn run(plan: Plan, quotes: u8) -> Result<(), Refusal> {
    let Plan { work, values, outputs, concurrency, .. } = plan;
    let (slots, waits, shard) = (concurrency.slots(), values.needs_total, values.shard);
    let doorbell = eventfd(0, EventfdFlags::NONBLOCK).map_err(io::Error::from);
    let (values_room, looks) = (values.room, &outputs.looks);
    let reader = input::start(values.source, values.format, doorbell.map_err(Refusal::Input)?)?;
    let mut out = BufWriter::new(io::stdout());
    let (mut seq, mut held) = (0, Vec::new());
    let mut totals = Totals { tasks: 0, slots };
    let mut print = |values: Vec<Vec<u8>>, totals| -> io::Result<()> {
        for value in values {
            seq += 1;
            if let Some(room) = &values_room {
                room.release(&value);
            }
            if shard.is_some_and(|shard| !shard.has(seq)) {
                continue;
            }
            let mut line = work.job.describe(&value, seq, outputs.files.as_ref(), totals);
            if !matches!(work.job, Job::Commands(_)) {
                line = arguments::shown(&line);
            }
            for _ in 0..quotes {
                line = gnu_quoted(&line);
            }
            // GNU parallel takes what it prints for the output of the task.
            if looks.returns && quotes == 0 {
                line = looks.of(&value, (seq, totals), false).applied_to(&line);
            }
            line.push(b'\n');
            out.write_all(&line)?;
        }
        out.flush()
    };
    for group in reader {
        let printed_now = match group {
            Group::Values(values) if waits => {
                held.extend(values);
                Ok(())
            }
            Group::Values(values) => print(values, totals),
            Group::End(_) => {
                totals.tasks = held.len() as u64;
                print(std::mem::take(&mut held), totals)
            }
            Group::Hint(text) => {
                let _ = writeln!(io::stderr(), "msup: {}", escape::message(text));
                Ok(())
            }
            Group::Failed(why) => return Err(Refusal::Input(io::Error::other(why))),
            Group::Missing(_) | Group::Orders(_) => Ok(()),
        };
        if let Err(why) = printed_now {
            return printed(Err(why));
        }
    }
    Ok(())
}
