//! The command line: what was typed, and the validated plan that the rest of msup works with.

mod args;
mod joblog;
mod plan;
mod template;

pub(crate) use joblog::JobLog;
pub(crate) use plan::{Job, Plan};
pub(crate) use template::{Numbers, Template};

/// Why there is no plan.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// `msup doctor`.
    Doctor,
    /// Help or version was asked for: the text.
    Shown(String),
    /// Something is wrong: one line.
    Wrong(String),
}

/// Reads the command line of this process.
///
/// # Errors
/// [`Refusal`].
pub(crate) fn parse() -> Result<Plan, Refusal> {
    // Alone, so that a program of that name can still be run: `msup -- doctor`.
    if std::env::args_os().skip(1).eq(["doctor"]) {
        return Err(Refusal::Doctor);
    }
    let args = args::Args::read()?;
    plan::make(args).map_err(Refusal::Wrong)
}
