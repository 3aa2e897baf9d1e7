//! The command line: what was typed, and the validated plan that the rest of msup works with.

mod args;
mod choices;
mod command;
pub(crate) mod commands;
mod concurrency;
mod delimiter;
mod earlier_times;
mod failures;
mod gnu;
mod help;
mod input_flags;
mod logs;
mod other_tools;
mod output_flags;
mod plan;
mod progress;
mod refusal;
mod shared;
pub(crate) mod shared_memory;
mod stdio;
mod stopping;
mod subcommands;
mod usage;
mod values;
mod wrong_line;

use args::{Args, Typed};
pub(crate) use command::Work;
use commands::clean::Clean;
use commands::log::Log;
use commands::resume_retry;
use commands::serve::Serve;
pub(crate) use concurrency::Concurrency;
pub(crate) use earlier_times::JobLog;
pub(crate) use logs::{Continued, Keeping, Retried};
pub(crate) use plan::{Outputs, Plan, Reports};
pub(crate) use refusal::Refusal;
use usage::UsageError;
pub(crate) use values::Values;

/// What msup was asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Run tasks; `resume` and `retry` do that, too.
    Run(Box<Plan>),
    /// Only show what would be run.
    DryRun(Box<Plan>),
    /// Nothing of a run is left to do: a line that says so, and the exit status.
    NothingLeft(String, u8),
    Log(Log),
    Clean(Clean),
    Doctor,
    /// Print this: help, or the version.
    Print(String),
}

/// Reads the command line of this process.
///
/// # Errors
/// [`Refusal`].
pub(crate) fn parse() -> Result<Command, Refusal> {
    let mut words = std::env::args_os();
    let words = gnu::expanded(words.next(), words.collect());
    let words = subcommands::spelled_out(words);
    let rest = || words.iter().skip(1).cloned();
    // Programs of these names can still be run: `msup -- doctor`.
    match words.first().and_then(|word| word.to_str()) {
        Some("doctor") if words.len() == 1 => Ok(Command::Doctor),
        Some("doctor") if words.len() == 2 && (words[1] == "--help" || words[1] == "-h") => {
            Ok(Command::Print(subcommands::DOCTOR.into()))
        }
        Some("doctor") if !subcommands::is_program("doctor".as_ref()) => {
            Err(UsageError::Doctor.into())
        }
        Some("resume") => Typed::read("msup resume", rest())?.then(resume_retry::resume),
        Some("retry") => Typed::read("msup retry", rest())?.then(resume_retry::retry),
        Some("serve") => {
            let typed = Typed::read("msup serve", rest())?;
            typed.then(|serve: Serve| Ok(Command::Run(Box::new(serve.plan()?))))
        }
        Some("log") => Typed::read("msup log", rest())?.then(|log| Ok(Command::Log(log))),
        Some("clean") => Typed::read("msup clean", rest())?.then(|clean| Ok(Command::Clean(clean))),
        _ => {
            subcommands::refuse_misspelled(&words)?;
            Args::read(words)?.then(|args| {
                let make = if args.dry_run { Command::DryRun } else { Command::Run };
                Ok(make(Box::new(plan::make(args, None)?)))
            })
        }
    }
}
