//! Whether there is a bar, or a line from time to time (`--bar`, `--progress`, `--quiet`).

use std::time::Duration;

use super::args::Args;
use super::failures::time;
use super::usage::UsageError;
use super::{OutputRoute, Refusal, plan, subcommands};
use crate::os::terminal;
use crate::report::bar::Manner;

/// The time between two lines that are printed instead of a bar that cannot be drawn.
const LINES_EVERY: Duration = Duration::from_secs(30);

/// What is shown where no bar can be.
pub(super) const INSTEAD_OF_BAR: Manner = Manner::Lines(LINES_EVERY);

/// How progress is shown.
///
/// # Errors
/// A flag about it has a wrong value.
pub(super) fn of(args: &Args) -> Result<Manner, Refusal> {
    let word = args.words.first().and_then(|word| word.to_str()).unwrap_or_default();
    let is_apart = args.reporting.progress.is_some() && !args.reading.gnu;
    if is_apart && time(word).is_some() && !subcommands::is_program(word.as_ref()) {
        return Err(UsageError::ProgressApart(word.to_owned()).into());
    }
    let hides_bar = args.output.showing.hides_bar() || args.starting.interactive;
    Ok(match plan::check(&args.reporting)? {
        Manner::Bar if hides_bar && !args.reporting.bar => Manner::Silent,
        // Commands would write into it.
        Manner::Bar if args.output.route(args.reading.gnu) == OutputRoute::Direct => INSTEAD_OF_BAR,
        progress => progress,
    })
}

/// How the run shows its progress.
///
/// # Errors
/// The value of `--progress` is wrong.
pub(super) fn manner(bar: bool, lines: Option<&str>, quiet: bool) -> Result<Manner, UsageError> {
    if let Some(text) = lines {
        let every = time(text).filter(|every| !every.is_zero());
        return every.map(Manner::Lines).ok_or_else(|| UsageError::Progress(text.to_owned()));
    }
    let can_be_drawn = terminal::can_be_drawn_on();
    Ok(match (bar, can_be_drawn) {
        (true, true) => Manner::Bar,
        (true, false) => INSTEAD_OF_BAR,
        // A program that reads standard output may draw on the terminal.
        (false, true) if !quiet && !terminal::output_is_piped() => Manner::Bar,
        (false, _) => Manner::Silent,
    })
}
