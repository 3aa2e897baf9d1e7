//! What a run does with its values, without opening them: for reports on runs.

use std::os::unix::ffi::OsStrExt;

use super::{outputs, shape, words_of};
use crate::cli::Refusal;
use crate::cli::args::Args;
use crate::cli::command::{self, CommandReading, CommandStyle, Work};
use crate::cli::values;
use crate::pipeline::Digester;
#[cfg(feature = "nats")]
use crate::template::Feeding;
use crate::template::{Job, OutFiles, Totals};

/// Arguments that differ, each with all parts that replacement strings stand for.
const PROBE: &[u8] = b"a/b.c.d\0e/f.g\0h/i.j\0k/l.m\0n/o.p";

/// A digest of what is done with each value: whether two command lines do the same.
pub(super) fn digest(work: &Work, files: Option<&OutFiles>) -> String {
    let task = work.job.describe(PROBE, 1, files, Totals::default());
    let mut digester = Digester::default();
    digester.add(&task);
    match &work.job {
        Job::Commands(template) => {
            digester.add(template.shell().unwrap_or_default());
        }
        Job::Lines(program) => program.argv.iter().for_each(|word| {
            digester.add(word);
        }),
        Job::Values | Job::Stages(_) => {
            digester.add(work.worker_program.as_os_str().as_bytes());
            for word in &work.worker_arguments {
                digester.add(word.as_bytes());
            }
        }
    }
    digester.key().to_string()
}

/// The tasks of a run, as its journal tells of it.
#[derive(Debug)]
pub(in crate::cli) struct Described {
    job: Job,
    files: Option<OutFiles>,
}

impl Described {
    /// Of a run with these flags.
    ///
    /// # Errors
    /// The command line cannot be read any more: it is of another release.
    pub(in crate::cli) fn of(mut args: Args) -> Result<Described, Refusal> {
        let (words, lists, _) = words_of(&mut args)?;
        let feeding = args.batches.feeding();
        let many_lists = values::count(&args.input.arg_file, &lists);
        let arguments = shape(&args, &words)?.arguments(many_lists);
        let style = CommandStyle::of(&args.reading);
        let names = args.lists.kept_names();
        let strings = args.strings.strings(&args.running, style, arguments, names)?;
        // Programs may be missing here.
        let elsewhere = true;
        let read = CommandReading { strings: strings.clone(), style, feeding, elsewhere };
        let job = command::read(&args.running, words, read, None)?.0.job;
        let files = outputs::out(args.output.out.as_deref(), &job, &args.running, &strings)?;
        Ok(Described { job, files })
    }

    /// Of the tasks of a queue, whose values have this number of arguments.
    ///
    /// # Errors
    /// As for [`Described::of`].
    #[cfg(feature = "nats")]
    pub(in crate::cli) fn of_queue(mut args: Args, arguments: usize) -> Result<Described, Refusal> {
        let (words, style) = (std::mem::take(&mut args.words), CommandStyle::Own);
        let names = args.lists.kept_names();
        let strings = args.strings.strings(&args.running, style, arguments, names)?;
        // Programs may be missing here.
        let (elsewhere, feeding) = (true, Feeding::Values);
        let read = CommandReading { strings: strings.clone(), style, feeding, elsewhere };
        let job = command::read(&args.running, words, read, None)?.0.job;
        let files = outputs::out(args.output.out.as_deref(), &job, &args.running, &strings)?;
        Ok(Described { job, files })
    }

    /// A task as the user could run it again: its command, or else its value.
    pub(in crate::cli) fn task(&self, value: &[u8], seq: u64, totals: Totals) -> Vec<u8> {
        self.job.describe(value, seq, self.files.as_ref(), totals)
    }
}
