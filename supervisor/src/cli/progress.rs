//! Whether there is a bar, or a line now and then (`--bar`, `--progress`, `--quiet`).

use std::time::Duration;

use super::failures::time;
use crate::os::terminal;
use crate::report::bar::Manner;

/// Between two lines, where a bar was asked for that cannot be drawn.
const LINES_EVERY: Duration = Duration::from_secs(30);

/// How the run shows that it gets on.
///
/// # Errors
/// One line that says what is wrong with `--progress`.
pub(super) fn manner(bar: bool, lines: Option<&str>, quiet: bool) -> Result<Manner, String> {
    if let Some(text) = lines {
        let every = time(text).filter(|every| !every.is_zero());
        let wrong = || format!("--progress={text}: must be a time such as 10s or 5m");
        return every.map(Manner::Lines).ok_or_else(wrong);
    }
    let can_be_drawn = terminal::can_be_drawn_on();
    Ok(match (bar, can_be_drawn) {
        (true, true) => Manner::Bar,
        (true, false) => Manner::Lines(LINES_EVERY),
        // What reads standard output may draw on the terminal.
        (false, true) if !quiet && !terminal::output_is_piped() => Manner::Bar,
        (false, _) => Manner::Silent,
    })
}
