//! The validated plan of a run. Nothing after this looks at a flag again.

mod described;
mod outputs;
mod queued;
#[cfg(feature = "nats")]
mod submitted;

use std::ffi::OsString;
use std::io::{Write, stderr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Refusal;
use super::args::Args;
use super::command::{CommandReading, CommandStyle, Work};
use super::concurrency::Concurrency;
use super::earlier_times::JobLog;
use super::filing::FilingPlan;
use super::list_flags::{self, Separators};
use super::logged::NumberedCommands;
use super::logs::{Continued, Logs};
use super::metrics_place::MetricsPlace;
use super::pipeline::PipelinePlan;
use super::shared::{Failing, Reporting};
use super::showing::{Announced, OutputRoute};
use super::start_flags::{Prompt, StartConditions};
use super::usage::{BadValue, UsageError};
use super::values::{self, TypedList, Values, split};
use super::{
    beginning, block_rules, command, concurrency, failures, other_tools, progress, stdio, stopping,
};
use crate::engine::{Counted, Leave, Policy, Step};
use crate::input::Shape;
use crate::report::bar::Manner;
use crate::report::escape;
use crate::template::{Feeding, Job, LooksTemplate, OutFiles, typed_words};

pub(super) use described::Described;
use described::digest;
pub(super) use queued::{QueuedJob, of_queue};
#[cfg(feature = "nats")]
pub(super) use submitted::{digest_of, work_of};

/// Everything a run needs to know.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) run_id: String,
    pub(crate) concurrency: Concurrency,
    pub(crate) work: Work,
    pub(crate) values: Values,
    pub(crate) outputs: Outputs,
    pub(crate) failures: Failures,
    pub(crate) logs: Logs,
    pub(crate) reports: Reports,
    /// Where tasks come from, if they are those of a pipeline.
    pub(crate) pipeline: Option<Box<PipelinePlan>>,
}

/// What becomes of outputs.
#[derive(Debug)]
pub(crate) struct Outputs {
    pub(crate) keep_order: bool,
    /// The files that tasks make.
    pub(crate) files: Option<OutFiles>,
    /// How their lines look.
    pub(crate) looks: LooksTemplate,
    pub(crate) route: OutputRoute,
    pub(crate) announced: Announced,
    /// What commands read from, if that is the terminal.
    pub(crate) terminal: Option<OwnedFd>,
    /// A power cut must not undo what was told of them.
    pub(crate) durable: bool,
    /// They go to the client of `msup serve`, as frames.
    pub(crate) frames: bool,
    /// They are filed instead of being shown.
    pub(crate) filing: Option<FilingPlan>,
    /// The folder for temporary files, instead of the usual one.
    pub(crate) tmpdir: Option<PathBuf>,
}

/// What is done about tasks that fail or must be stopped.
#[derive(Debug)]
pub(crate) struct Failures {
    pub(crate) policy: Policy,
    /// By what steps tasks are stopped.
    pub(crate) stop_steps: Vec<Step>,
    /// What becomes of processes that tasks leave running.
    pub(crate) leave: Leave,
}

/// In whose words msup speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    Own,
    /// Those of xargs.
    Xargs {
        /// What runs.
        program: Vec<u8>,
        /// Each command is shown before it runs.
        shows_commands: bool,
    },
}

impl Voice {
    /// What messages begin with.
    pub(crate) fn speaker(&self) -> &'static str {
        match self {
            Voice::Own => "msup",
            Voice::Xargs { .. } => "xargs",
        }
    }

    /// Whether each command is shown before it runs.
    pub(crate) fn shows_commands(&self) -> bool {
        matches!(self, Voice::Xargs { shows_commands: true, .. })
    }
}

/// What a person is told of the run.
#[derive(Debug)]
pub(crate) struct Reports {
    pub(crate) voice: Voice,
    pub(crate) summary: Option<PathBuf>,
    pub(crate) metrics: Option<MetricsPlace>,
    /// A command line for when the run is over.
    pub(crate) notify: Option<OsString>,
    pub(crate) schedtrace: Option<Duration>,
    pub(crate) progress: Manner,
    pub(crate) quiet: bool,
    /// The closing report tells of tokens and workers.
    pub(crate) stats: bool,
    /// What the run shows on standard output is all that was asked for.
    pub(crate) shows_only: bool,
    /// The folder in which msup was started, for hints.
    pub(crate) here: PathBuf,
    /// COMMAND as typed.
    pub(crate) command: Option<Vec<u8>>,
    /// Which finished tasks are told of in GNU parallel's words, because they count for --halt.
    pub(crate) gnu_halt: Option<Counted>,
}

/// The words of COMMAND, lists, and numbered commands of a joblog.
type TypedWork = (Vec<OsString>, Vec<TypedList>, Option<NumberedCommands>);

/// Checks what was typed and makes a plan of it. Opens the input.
///
/// # Errors
/// [`Refusal`].
pub(super) fn make(mut args: Args, mut continued: Option<Continued>) -> Result<Plan, Refusal> {
    args.output.showing.limit(&mut args.limits);
    let mut concurrency = concurrency::of(&args.limits, &args.running)?;
    let memory_per_task = concurrency::size("--mem-per-task", args.limits.mem_per_task.as_deref())?;
    let mut failures = what_if_these_fail(&args)?;
    let progress = progress::of(&args)?;
    let (words, lists, logged) = words_of(&mut args)?;
    let begins = continued.is_none();
    let blocks = block_rules::open(&mut args, !lists.is_empty(), concurrency.jobs(), begins)?;
    let feeding = blocks.as_ref().map_or(args.batches.feeding(), |blocks| blocks.feeding);
    if feeding == Feeding::ManyBlocks {
        // What one attempt has read another one cannot.
        failures.policy.limit_to_one_attempt();
    }
    let has_values = feeding.has_values();
    let mut shape = if has_values { shape(&args, &words)? } else { Shape::default() };
    let many_lists = values::count(&args.input.arg_file, &lists);
    let arguments = if has_values { shape.arguments(many_lists) } else { 1 };
    let counted_to = shape.counted_to(many_lists);
    let (runs_commands, style) = (args.running.worker.is_none(), CommandStyle::of(&args.reading));
    let commands = runs_commands && words.is_empty() && args.reading.asked.shellquote == 0;
    let command = typed(&words).filter(|_| runs_commands);
    warn(&args, &words, style, begins)?;
    let stdio = args.worker_stdio.then(|| match arguments {
        1 => stdio::read(&args, words.clone(), values::typed(&lists), memory_per_task, &failures),
        _ => Err(UsageError::SeveralArguments.into()),
    });
    let format = beginning::format(&args, arguments > 1, commands)?;
    let columns = shape.columns.clone();
    let typed = beginning::TypedValues { lists, logged, columns, format, blocks };
    let opened = beginning::open(&mut args, typed, continued.as_mut())?;
    let strings = args.strings.strings(&args.running, style, arguments, opened.names.clone())?;
    concurrency.starts = starts(&args, style)?;
    let (mut work, shell) = match stdio {
        Some(read) => read?,
        None => {
            let (strings, elsewhere) = (strings.clone(), args.places.is_elsewhere());
            let read = CommandReading { strings, style, feeding, elsewhere };
            command::read(&args.running, words, read, memory_per_task)?
        }
    };
    work.surroundings = args.places.surroundings(&strings, style)?;
    args.batches.fit(&mut shape.batch, &mut work.job, (style, concurrency.jobs()))?;
    if begins {
        args.batches.tell_limits(style);
    }
    let outputs = outputs::outputs(&mut args, &work.job, (&strings, counted_to))?;
    let resuming = outputs::resuming(&args, &outputs, &work.job)?;
    let (mut values, keeping) = opened.begin(&args, shape, shell, continued)?;
    values.longest_first = longest_first(args.from.as_deref(), &work.job)?;
    values.work = values.shard.map_or(String::new(), |_| digest(&work, outputs.files.as_ref()));
    let [looks, places] = [outputs.looks.needs_total(), work.surroundings.needs_total()];
    values.needs_total = looks || places || work.job.needs_total();
    Ok(Plan {
        run_id: keeping.run_id(),
        concurrency,
        work,
        values,
        reports: {
            let shows_only = outputs::shows_only(&args, &outputs);
            let asked = reports(&args.reporting, progress, shows_only, keeping.here(), command);
            let halt = failures.policy.halt.filter(|_| style != CommandStyle::Own);
            Reports { gnu_halt: halt.map(|halt| halt.what), ..asked }
        },
        outputs,
        failures,
        logs: Logs { keeping, keeps_all_output: args.keep_output, joblog: args.joblog, resuming },
        pipeline: None,
    })
}

/// When a task may start.
///
/// # Errors
/// A flag about it has a wrong value, or there is no terminal to ask on.
fn starts(args: &Args, style: CommandStyle) -> Result<StartConditions, UsageError> {
    let starts = args.starting.conditions(|| command::shell(&args.running, style))?;
    let asks = starts.rules.asks && !args.dry_run;
    let prompt = asks.then(|| Prompt::open(false)).transpose()?;
    Ok(StartConditions { prompt, ..starts })
}

/// How values become arguments.
///
/// # Errors
/// A value that a flag does not take.
fn shape(args: &Args, words: &[OsString]) -> Result<Shape, UsageError> {
    let shape = args.input.shape(&args.lists, args.batches.batch()?)?;
    let [distinct, ascending] = list_flags::left_out(words, args.strings.plus);
    Ok(Shape { distinct, ascending, ..shape })
}

/// Prints warnings about words and variables, when the run begins.
fn warn(
    args: &Args,
    words: &[OsString],
    style: CommandStyle,
    begins: bool,
) -> Result<(), UsageError> {
    let missing = args.places.missing_variable(style)?;
    if begins && !args.reporting.quiet {
        let operators = other_tools::warn_of_operators(words);
        let share = args.shard.choice()?.map(|choice| choice.to_string());
        let lonely = share.as_ref().filter(|_| args.journal.is_none() && !args.dry_run);
        let lonely = lonely.map(|_| {
            "without --journal FOLDER, msup collect cannot tell what this shard has done".to_owned()
        });
        for warning in operators.into_iter().chain(missing).chain(share).chain(lonely) {
            let _ = writeln!(stderr(), "msup: {}", escape::message(&warning));
        }
    }
    Ok(())
}

/// The words of COMMAND, the lists behind it, and the commands of the joblog with the numbers of
/// their tasks if these are run instead.
///
/// # Errors
/// The joblog cannot be read.
fn words_of(args: &mut Args) -> Result<TypedWork, UsageError> {
    let typed = std::mem::take(&mut args.words);
    match args.resuming.commands(args.joblog.as_deref())? {
        // As there: what is typed does not count.
        Some(_) if !args.reading.gnu && !typed.is_empty() => Err(UsageError::CommandAgain),
        Some(commands) => Ok((Vec::new(), Vec::new(), Some(commands))),
        None => {
            let separators = args.lists.separators()?;
            let (words, lists) = split(typed, args.running.literal, &separators);
            Ok((words, lists, None))
        }
    }
}

/// Checks the values of flags, without what they mean together and what they name.
///
/// # Errors
/// The first flag whose value is wrong.
pub(super) fn check_alone(args: &Args) -> Result<(), Refusal> {
    concurrency::check(&args.limits, &args.running)?;
    what_if_tasks_fail(&args.failing, stopping::GRACE)?;
    check(&args.reporting)?;
    let read = CommandReading::plain(&args.running, 1)?;
    args.output.looks(&read.strings, false)?;
    if args.running.shell.is_some() {
        command::reading(&args.running, read)?;
    }
    Ok(())
}

/// The joblog that tells the order of starts.
///
/// # Errors
/// It cannot be read.
fn longest_first(from: Option<&Path>, job: &Job) -> Result<Option<JobLog>, UsageError> {
    match (from, job) {
        (Some(path), Job::Commands(template)) => JobLog::read(path, template.outline()).map(Some),
        _ => Ok(None),
    }
}

/// What is done about tasks of this run that fail.
///
/// # Errors
/// The first flag whose value is wrong.
fn what_if_these_fail(args: &Args) -> Result<Failures, UsageError> {
    let mut failures = what_if_tasks_fail(&args.failing, stopping::GRACE)?;
    if args.reading.gnu {
        failures::as_gnu(&mut failures.policy, &args.failing);
    }
    Ok(failures)
}

/// `grace`: the time between SIGTERM and SIGKILL where none is given.
///
/// # Errors
/// The first flag whose value is wrong.
pub(super) fn what_if_tasks_fail(typed: &Failing, grace: Duration) -> Result<Failures, UsageError> {
    let (policy, given) = failures::of(typed)?;
    let (steps, leave) = (stopping::steps(typed, given.unwrap_or(grace))?, stopping::leave(typed)?);
    Ok(Failures { policy, stop_steps: steps, leave })
}

/// How progress is shown.
///
/// # Errors
/// The first flag whose value is wrong.
pub(super) fn check(typed: &Reporting) -> Result<Manner, Refusal> {
    if typed.schedtrace == Some(0) {
        return Err(BadValue::new("--schedtrace", "0", "at least 1 millisecond").into());
    }
    Ok(progress::manner(typed.bar, typed.progress.as_deref(), typed.quiet)?)
}

/// What a person is told. `shows_only`: what the run shows is all that was asked for.
pub(super) fn reports(
    typed: &Reporting,
    progress: Manner,
    shows_only: bool,
    here: PathBuf,
    command: Option<Vec<u8>>,
) -> Reports {
    Reports {
        voice: Voice::Own,
        summary: typed.summary.clone(),
        metrics: typed.metrics.clone(),
        notify: typed.notify.clone(),
        schedtrace: typed.schedtrace.map(Duration::from_millis),
        progress,
        quiet: typed.quiet,
        stats: typed.stats,
        shows_only,
        here,
        command,
        gnu_halt: None,
    }
}

/// COMMAND as a person could type it, without the values.
pub(super) fn typed_command(args: &Args) -> Option<Vec<u8>> {
    let flag = match &args.running.worker {
        Some(program) => vec![OsString::from("--worker"), program.into()],
        None if args.worker_stdio => vec![OsString::from("--worker-stdio")],
        None => Vec::new(),
    };
    let separators = args.lists.separators().unwrap_or_else(|_| Separators::usual());
    let is_command = |word: &&OsString| !values::begins_list(word, &separators);
    let words = args.words.iter().take_while(is_command).cloned();
    typed(&flag.into_iter().chain(words).collect::<Vec<_>>())
}

/// COMMAND as a person could type it: a single word is a command line as it is.
pub(super) fn typed(words: &[OsString]) -> Option<Vec<u8>> {
    match words {
        [] => None,
        [line] => Some(line.as_bytes().to_vec()),
        several => {
            let words: Vec<Vec<u8>> = several.iter().map(|word| word.as_bytes().to_vec()).collect();
            Some(typed_words(&words))
        }
    }
}
