//! The command line: what was typed, and the validated plan that the rest of msup works with.

mod args;
mod plan;
mod template;

pub(crate) use plan::{Job, Plan};
pub(crate) use template::{Numbers, Template};

/// Why no plan could be made.
#[derive(Debug)]
pub(crate) enum Refusal {
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
    let args = args::Args::read()?;
    plan::make(args).map_err(Refusal::Wrong)
}
