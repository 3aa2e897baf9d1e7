//! `--dry-run`: shows the commands that would be run.

use std::io::{self, BufWriter, Write};

use rustix::event::{EventfdFlags, eventfd};

use super::printed;
use crate::arguments;
use crate::cli::{Plan, Refusal};
use crate::input::{self, Group};
use crate::report::escape;
use crate::template::Job;

/// Prints the command of each task on a line of its own, as it could be typed; for a task loop, the
/// values.
///
/// # Errors
/// The values cannot be read, or standard output not written.
pub(crate) fn run(plan: Plan) -> Result<(), Refusal> {
    let Plan { work, values, outputs, .. } = plan;
    let doorbell = eventfd(0, EventfdFlags::NONBLOCK).map_err(io::Error::from);
    let reader = input::start(values.source, values.format, doorbell.map_err(Refusal::Input)?)?;
    let mut out = BufWriter::new(io::stdout());
    let mut seq = 0;
    for group in reader {
        match group {
            Group::Values(values) => {
                for value in values {
                    seq += 1;
                    let mut line = work.job.describe(&value, seq, outputs.files.as_ref());
                    if !matches!(work.job, Job::Commands(_)) {
                        line = arguments::shown(&line);
                    }
                    line.push(b'\n');
                    if let Err(why) = out.write_all(&line) {
                        return printed(Err(why));
                    }
                }
            }
            Group::Hint(text) => {
                let _ = writeln!(io::stderr(), "msup: {}", escape::message(text));
            }
            Group::Failed(why) => {
                printed(out.flush())?;
                return Err(Refusal::Input(io::Error::other(why)));
            }
            Group::Missing(_) | Group::End(_) => {}
        }
    }
    printed(out.flush())
}
