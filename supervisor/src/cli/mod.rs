//! The command line: what was typed, and the validated plan that the rest of msup works with.

mod args;
mod command;
pub(crate) mod commands;
mod earlier_times;
mod failures;
mod other_tools;
mod plan;
mod progress;
mod stopping;
mod subcommands;

pub(crate) use crate::template::{
    Facts, OutFile, OutTemplate, Template, quoted_words, temporaries_of,
};
pub(crate) use earlier_times::JobLog;
pub(crate) use plan::{Continued, Job, Keeping, Plan, Retried};

/// Why there is no plan.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// `msup doctor`.
    Doctor,
    /// Help or version was asked for: the text.
    Shown(String),
    /// There is nothing left to do: one line, and the exit status of what was done.
    Finished(String, u8),
    /// Something is wrong: one line.
    Wrong(String),
    /// What was asked for is done.
    Done,
}

/// Reads the command line of this process.
///
/// # Errors
/// [`Refusal`].
pub(crate) fn parse() -> Result<Plan, Refusal> {
    let words = subcommands::spelled_out(std::env::args_os().skip(1).collect());
    // Programs of these names can still be run: `msup -- doctor`.
    match words.first().and_then(|word| word.to_str()) {
        Some("doctor") if words.len() == 1 => return Err(Refusal::Doctor),
        Some("doctor") if words.len() == 2 && (words[1] == "--help" || words[1] == "-h") => {
            return Err(Refusal::Shown(subcommands::DOCTOR.into()));
        }
        Some("resume") => return commands::resume_retry::resume(words.into_iter().skip(1)),
        Some("log") => return Err(commands::log::run(words.into_iter().skip(1))),
        Some("clean") => return Err(commands::clean::run(words.into_iter().skip(1))),
        Some("retry") => return commands::resume_retry::retry(words.into_iter().skip(1)),
        _ => {}
    }
    subcommands::refuse_misspelled(&words)?;
    let args = args::Args::read(words)?;
    plan::make(args, None).map_err(Refusal::Wrong)
}
