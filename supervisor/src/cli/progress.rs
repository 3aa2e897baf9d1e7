//! Whether there is a bar, or a line from time to time (`--bar`, `--progress`, `--quiet`).

use std::time::Duration;

use super::failures::time;
use super::usage::UsageError;
use crate::os::terminal;
use crate::report::bar::Manner;

/// The time between two lines that are printed instead of a bar that cannot be drawn.
const LINES_EVERY: Duration = Duration::from_secs(30);

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
        (true, false) => Manner::Lines(LINES_EVERY),
        // A program that reads standard output may draw on the terminal.
        (false, true) if !quiet && !terminal::output_is_piped() => Manner::Bar,
        (false, _) => Manner::Silent,
    })
}
