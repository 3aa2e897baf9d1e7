//! The command line: what was typed, and the validated plan that the rest of msup works with.

mod args;
mod batch_flags;
mod beginning;
mod block_file;
mod block_rules;
mod choices;
mod command;
pub(crate) mod commands;
mod concurrency;
mod delimiter;
mod earlier_times;
mod failures;
mod filing;
mod general;
mod gnu;
mod gnu_asked;
mod help;
mod input_flags;
mod jobs_file;
mod list_flags;
mod logged;
mod logs;
mod metrics_place;
mod optional_values;
mod other_tools;
mod output_flags;
mod pipe_flags;
mod pipeline;
mod place_flags;
mod plan;
mod progress;
mod queue;
mod refusal;
mod resuming;
mod settings;
mod shard;
mod shared;
pub(crate) mod shared_memory;
mod showing;
mod start_flags;
mod stdio;
mod stopping;
mod string_flags;
mod subcommands;
mod topics;
mod usage;
mod values;
mod wrong_line;
mod xargs;

use std::ffi::OsString;
use std::io::{IsTerminal, Write, stderr};

use msup_protocol::exit;

use crate::report::escape;
use args::{Args, Typed};
use command::CommandStyle;
pub(crate) use command::Work;
use commands::clean::Clean;
use commands::collect::Collect;
use commands::ctl::Ctl;
use commands::log::Log;
use commands::report::ReportCommand;
use commands::resume_retry;
use commands::serve::Serve;
use commands::top::Top;
use commands::trace::TraceCommand;
pub(crate) use concurrency::Concurrency;
pub(crate) use earlier_times::JobLog;
pub(crate) use filing::{FiledTo, FilingPlan};
pub(crate) use jobs_file::{Jobs, JobsFile};
pub(crate) use logged::LoggedState;
pub(crate) use logs::{Continued, Keeping, Retried};
pub(crate) use metrics_place::MetricsPlace;
pub(crate) use pipeline::{Disk, PipelineError, PipelinePlan, write_history};
pub(crate) use plan::{Outputs, Plan, Reports, Voice};
#[cfg(feature = "nats")]
pub(crate) use queue::QueueCommand;
pub(crate) use refusal::Refusal;
pub(crate) use resuming::ResumingPlan;
pub(crate) use showing::{Announced, OutputRoute};
pub(crate) use start_flags::{Prompt, StartConditions};
use usage::UsageError;
pub(crate) use values::Values;

/// What msup was asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Run tasks; `resume` and `retry` do that, too.
    Run(Box<Plan>),
    /// Only show what would be run, each command this number of times in quotes.
    DryRun(Box<Plan>, u8),
    /// Print this, and exit with this status.
    Answer(String, u8),
    /// Nothing of a run is left to do: a line that says so, and the exit status.
    NothingLeft(String, u8),
    Log(Log),
    Report(ReportCommand),
    Trace(TraceCommand),
    Ctl(Ctl),
    Top(Top),
    Clean(Clean),
    Collect(Collect),
    #[cfg(feature = "nats")]
    Queue(QueueCommand),
    Doctor,
    /// Print this: help, or the version.
    Print(String),
    /// Say this on standard error, and exit with this status.
    Complain(String, u8),
}

impl Command {
    /// Whether it prints something on standard output, and that alone.
    pub(crate) fn prints(&self) -> bool {
        match self {
            Command::DryRun(..)
            | Command::Log(_)
            | Command::Report(_)
            | Command::Trace(_)
            | Command::Doctor => true,
            Command::Answer(text, _) | Command::Print(text) => !text.is_empty(),
            Command::Run(_)
            | Command::Ctl(_)
            | Command::Top(_)
            | Command::NothingLeft(..)
            | Command::Clean(_)
            | Command::Collect(_)
            | Command::Complain(..) => false,
            #[cfg(feature = "nats")]
            Command::Queue(_) => false,
        }
    }
}

/// Reads the command line of this process.
///
/// # Errors
/// [`Refusal`].
pub(crate) fn parse() -> Result<Command, Refusal> {
    let mut words = std::env::args_os();
    let (program, words) = (words.next(), words.collect());
    let words = match xargs::words(program.as_deref(), words) {
        Ok(words) => return Ok(xargs::parse(words)),
        Err(words) => words,
    };
    let words = gnu::expanded(program, words);
    if words.is_empty() && std::io::stdin().is_terminal() {
        return Ok(Command::Complain(topics::brief(), exit::ERROR));
    }
    if let Some(text) = subcommands::help(&words)? {
        return Ok(Command::Print(text));
    }
    let words = subcommands::spelled_out(words);
    let rest = || words.iter().skip(1).cloned();
    // Programs of these names can still be run: `msup -- doctor`.
    match words.first().and_then(|word| word.to_str()) {
        Some("doctor") if words.len() == 1 => Ok(Command::Doctor),
        Some("doctor") if !subcommands::is_program("doctor".as_ref()) => {
            Err(UsageError::Doctor.into())
        }
        Some("run") => pipeline::run(rest().collect()),
        Some("resume") => Typed::read("msup resume", rest())?.then(resume_retry::resume),
        Some("retry") if pipeline::is_retried(&words[1..]) => pipeline::retry(&words[1..]),
        Some("retry") => Typed::read("msup retry", rest())?.then(resume_retry::retry),
        Some("serve") if words.get(1).is_some_and(|word| word == queue::FROM_QUEUE) => {
            queue::runner(&words[2..])
        }
        Some("serve") => {
            let typed = Typed::read("msup serve", rest())?;
            typed.then(|serve: Serve| Ok(Command::Run(Box::new(serve.plan()?))))
        }
        Some("log") => Typed::read("msup log", rest())?.then(|log| Ok(Command::Log(log))),
        Some("report") => {
            Typed::read("msup report", rest())?.then(|report| Ok(Command::Report(report)))
        }
        Some("trace") => Typed::read("msup trace", rest())?.then(|trace| Ok(Command::Trace(trace))),
        Some("top") => Typed::read("msup top", rest())?.then(|top| Ok(Command::Top(top))),
        Some("ctl") => Typed::read("msup ctl", rest())?.then(|ctl| Ok(Command::Ctl(ctl))),
        Some("clean") => Typed::read("msup clean", rest())?.then(|clean| Ok(Command::Clean(clean))),
        Some(_) if queue::is_meant(&words) => queue::read(words),
        Some("collect") => {
            Typed::read("msup collect", rest())?.then(|collect| Ok(Command::Collect(collect)))
        }
        Some("man") if words.len() <= 2 => Ok(Command::Print(commands::man::text(&words[1..])?)),
        Some("completions") if words.len() <= 2 => {
            Ok(Command::Print(commands::completions::text(&words[1..])?))
        }
        _ => {
            subcommands::refuse_misspelled(&words)?;
            run(words)
        }
    }
}

/// A run, with the defaults of files of settings.
fn run(words: Vec<OsString>) -> Result<Command, Refusal> {
    let added = settings::read(&words)?;
    for warning in &added.warnings {
        // The run goes on even if this cannot be printed.
        let _ = writeln!(stderr(), "msup: {}", escape::message(warning));
    }
    let typed = Args::read(added.before(words)).map_err(|why| added.explain(why))?;
    typed.then(|args| {
        if args.batches.max_line_length_allowed {
            let longest = batch_flags::longest_line(CommandStyle::of(&args.reading));
            return Ok(Command::Print(format!("{longest}\n")));
        }
        if let Some((text, status)) = args.reading.asked.answer() {
            return Ok(Command::Answer(text, status));
        }
        let quotes = args.reading.asked.shellquote;
        let is_dry = args.dry_run || quotes > 0;
        let plan = Box::new(plan::make(args, None).map_err(|why| added.explain(why))?);
        Ok(if is_dry { Command::DryRun(plan, quotes) } else { Command::Run(plan) })
    })
}
