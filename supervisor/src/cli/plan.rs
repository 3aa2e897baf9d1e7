//! The validated plan of a run. Nothing after this looks at a flag again.

use std::ffi::{OsStr, OsString};
use std::io::{Write, stderr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Refusal;
use super::args::Args;
use super::command::{CommandStyle, Work};
use super::concurrency::Concurrency;
use super::earlier_times::JobLog;
use super::logs::{Continued, Keeping, Logs};
use super::shared::{Failing, Reporting, Runners};
use super::usage::{BadValue, UsageError};
use super::values::{self, Values, source, source_again, split};
use super::{command, concurrency, failures, other_tools, progress, stdio, stopping};
use crate::engine::{Leave, Policy, Step};
use crate::input::Source;
use crate::journal::Durability;
use crate::report::bar::Manner;
use crate::report::escape;
use crate::template::{Job, OutTemplate, TagTemplate, refuse_foreign, typed_words};

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
}

/// What becomes of outputs.
#[derive(Debug)]
pub(crate) struct Outputs {
    pub(crate) keep_order: bool,
    /// The files that tasks make.
    pub(crate) files: Option<OutTemplate>,
    /// What each line of an output begins with.
    pub(crate) tag: Option<TagTemplate>,
    /// A power cut must not undo what was told of them.
    pub(crate) durable: bool,
    /// They go to the client of `msup serve`, as frames.
    pub(crate) frames: bool,
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

/// What a person is told of the run.
#[derive(Debug)]
pub(crate) struct Reports {
    pub(crate) summary: Option<PathBuf>,
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
}

/// Checks what was typed and makes a plan of it. Opens the input.
///
/// # Errors
/// [`Refusal`].
pub(super) fn make(mut args: Args, continued: Option<Continued>) -> Result<Plan, Refusal> {
    let concurrency = concurrency::of(&args.limits, &args.running)?;
    let memory_per_task = concurrency::size("--mem-per-task", args.limits.mem_per_task.as_deref())?;
    let failures = what_if_tasks_fail(&args.failing, stopping::GRACE)?;
    let progress = check(&args.reporting)?;
    let (words, lists) = split(std::mem::take(&mut args.words), args.running.literal);
    let shape = args.input.shape()?;
    let many_lists = values::count(&args.input.arg_file, &lists);
    let arguments = shape.arguments(many_lists);
    if continued.is_none()
        && !args.reporting.quiet
        && let Some(warning) = other_tools::warn_of_operators(&words)
    {
        let _ = writeln!(stderr(), "msup: {}", escape::message(&warning));
    }
    let (runs_commands, style) = (args.running.worker.is_none(), CommandStyle::of(&args.reading));
    let (commands, command) =
        (runs_commands && words.is_empty(), typed(&words).filter(|_| runs_commands));
    let (work, shell) = match args.worker_stdio {
        true if arguments > 1 => return Err(UsageError::SeveralArguments.into()),
        true => stdio::read(&args, words, values::typed(&lists), memory_per_task, &failures)?,
        false => command::read(&args.running, words, (arguments, style), memory_per_task)?,
    };
    let longest_first = longest_first(args.from.as_deref(), &work.job)?;
    let outputs = Outputs {
        keep_order: args.output.keep_order,
        files: out(args.output.out.as_deref(), &work.job, &args.running, arguments)?,
        tag: args.output.tag(&command::strings(&args.running, arguments))?,
        durable: args.durability != Durability::Process,
        frames: false,
    };
    let mut format = args.input.format(arguments > 1, commands, !args.reporting.quiet)?;
    let files = std::mem::take(&mut args.input.arg_file);
    let source = |again: Option<PathBuf>| match again {
        Some(file) => source(vec![file], Vec::new(), false, shape),
        None => source(files, lists, args.input.link, shape),
    };
    let (source, keeping) = match continued {
        None => {
            let source = source(None)?;
            let keeping = Keeping::new(&args, shell, source.is_read_once())?;
            (source, keeping)
        }
        Some(mut continued) => {
            if continued.arg_file.is_some() && many_lists > 1 {
                return Err(UsageError::SeveralLists("resume -a").into());
            }
            let source = source_again(&mut continued, source)?;
            if let Source::Kept(..) = source {
                (format.separator, format.crlf) = (vec![0], false);
            }
            let (continued, durability) = (Box::new(continued), args.durability);
            (source, Keeping::Continued { continued, durability })
        }
    };
    Ok(Plan {
        run_id: keeping.run_id(),
        concurrency,
        work,
        values: Values { source, format, longest_first },
        reports: {
            let asked = [&args.journal, &args.joblog, &args.reporting.summary];
            let shows_only = args.output.out.is_none() && asked.iter().all(|file| file.is_none());
            reports(&args.reporting, progress, shows_only, keeping.here(), command)
        },
        outputs,
        failures,
        logs: Logs { keeping, keeps_all_output: args.keep_output, joblog: args.joblog },
    })
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
        summary: typed.summary.clone(),
        schedtrace: typed.schedtrace.map(Duration::from_millis),
        progress,
        quiet: typed.quiet,
        stats: typed.stats,
        shows_only,
        here,
        command,
    }
}

fn out(
    typed: Option<&OsStr>,
    job: &Job,
    running: &Runners,
    arguments: usize,
) -> Result<Option<OutTemplate>, UsageError> {
    if let Some(typed) = typed {
        let template = || typed.to_owned();
        if !running.literal {
            refuse_foreign(&[typed.as_bytes().to_vec()], arguments)
                .map_err(|why| UsageError::ForeignOut { template: template(), why })?;
        }
        let parsed = OutTemplate::parse(typed.as_bytes(), &command::strings(running, arguments));
        return parsed.map(Some).map_err(|why| UsageError::Out { template: template(), why });
    }
    match job {
        Job::Commands(template) if template.names_out() => Err(UsageError::NoOut),
        _ => Ok(None),
    }
}

/// COMMAND as a person could type it, without the values.
pub(super) fn typed_command(args: &Args) -> Option<Vec<u8>> {
    let flag = match &args.running.worker {
        Some(program) => vec![OsString::from("--worker"), program.into()],
        None if args.worker_stdio => vec![OsString::from("--worker-stdio")],
        None => Vec::new(),
    };
    let words = args.words.iter().take_while(|word| !values::begins_list(word)).cloned();
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
