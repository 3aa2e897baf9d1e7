//! The plan of the msup that runs the tasks of a node: they come from a queue, each with a number
//! of its own, and their outcomes go back to it.

use super::{Outputs, Plan, check, outputs, reports, typed, what_if_tasks_fail};
use crate::cli::args::Args;
use crate::cli::command::{self, CommandReading, CommandStyle};
use crate::cli::logs::{Keeping, Logs};
use crate::cli::showing::{Announced, OutputRoute};
use crate::cli::values::Values;
use crate::cli::{Refusal, concurrency, stopping};
use crate::input::{Format, Source};
use crate::os::files;
use crate::template::{Feeding, LooksTemplate};

/// What is known of the queue.
#[derive(Debug)]
pub(in crate::cli) struct QueuedJob {
    /// What the names of its temporary files begin with.
    pub(in crate::cli) id: String,
    /// The number of its tasks.
    pub(in crate::cli) total: u64,
    /// The number of arguments of each value.
    pub(in crate::cli) arguments: usize,
}

/// The plan for tasks of a queue that are run with these flags.
///
/// # Errors
/// [`Refusal`].
pub(in crate::cli) fn of_queue(mut args: Args, job: &QueuedJob) -> Result<Plan, Refusal> {
    let concurrency = concurrency::of(&args.limits, &args.running)?;
    let memory_per_task = concurrency::size("--mem-per-task", args.limits.mem_per_task.as_deref())?;
    let progress = check(&args.reporting)?;
    let words = std::mem::take(&mut args.words);
    let command = typed(&words).filter(|_| args.running.worker.is_none());
    let (style, names) = (CommandStyle::Own, args.lists.kept_names());
    let strings = args.strings.strings(&args.running, style, job.arguments, names)?;
    let elsewhere = args.places.is_elsewhere();
    let feeding = Feeding::Values;
    let read = CommandReading { strings: strings.clone(), style, feeding, elsewhere };
    let (mut work, _) = command::read(&args.running, words, read, memory_per_task)?;
    work.surroundings = args.places.surroundings(&strings, style)?;
    let files = outputs::out(args.output.out.as_deref(), &work.job, &args.running, &strings)?;
    let keeping = Keeping::Nowhere;
    Ok(Plan {
        run_id: format!("{}-{}", job.id, files::unguessable()),
        concurrency,
        work,
        values: Values {
            source: Source::Node { total: job.total },
            format: Format::separated_by(vec![0]),
            block_file: None,
            room: None,
            longest_first: None,
            needs_total: false,
            shard: None,
            work: String::new(),
        },
        outputs: Outputs {
            keep_order: false,
            files,
            looks: LooksTemplate::default(),
            route: OutputRoute::Whole,
            announced: Announced::default(),
            terminal: None,
            durable: true,
            frames: true,
            filing: None,
            tmpdir: None,
        },
        failures: what_if_tasks_fail(&args.failing, stopping::GRACE)?,
        reports: reports(&args.reporting, progress, true, keeping.here(), command),
        logs: Logs { keeping, keeps_all_output: false, joblog: None, resuming: None },
        pipeline: None,
    })
}
