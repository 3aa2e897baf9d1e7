//! The progress bar.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::engine::Tally;

/// What the bar shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// How many tasks there are, once that is known.
    pub(crate) total: Option<u64>,
    /// How many have reached their end.
    pub(crate) ended: u64,
    /// What stands behind the bar.
    pub(crate) message: String,
}

/// A bar on standard error, drawn a few times a second.
pub(crate) fn new() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(8));
    bar.enable_steady_tick(Duration::from_millis(250));
    set_total(&bar, None);
    bar
}

/// Shows this on the bar.
pub(crate) fn show(bar: &ProgressBar, progress: &Progress) {
    if bar.length() != progress.total.or(Some(0)) {
        set_total(bar, progress.total);
    }
    bar.set_position(progress.ended);
    bar.set_message(progress.message.clone());
}

fn set_total(bar: &ProgressBar, total: Option<u64>) {
    let template = match total {
        Some(_) => "{bar:30} {pos}/{len} {per_sec}, {eta} left; {msg}",
        None => "{spinner} {pos} done, {per_sec}; {msg}",
    };
    bar.set_length(total.unwrap_or(0));
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}

/// What stands behind the bar: tokens in use, tasks in flight, and what did not go well.
pub(crate) fn message((tokens, in_flight): (u32, u32), tally: &Tally) -> String {
    let mut text = format!("{tokens} tokens used, {in_flight} in flight");
    for (count, what) in
        [(tally.retried, "retried"), (tally.failed, "failed"), (tally.quarantined, "quarantined")]
    {
        if count > 0 {
            text += &format!(", {count} {what}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_tells_of_trouble_only_when_there_is_some() {
        let mut tally = Tally::default();
        assert_eq!(message((2, 5), &tally), "2 tokens used, 5 in flight");
        (tally.retried, tally.quarantined) = (3, 1);
        let message = message((2, 5), &tally);
        assert_eq!(message, "2 tokens used, 5 in flight, 3 retried, 1 quarantined");
    }
}
