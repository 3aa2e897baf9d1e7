//! The progress bar.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on standard error, drawn a few times a second.
pub(crate) fn new() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(8));
    bar.enable_steady_tick(Duration::from_millis(250));
    set_total(&bar, None);
    bar
}

/// Shows how many tasks there are, once that is known.
pub(crate) fn set_total(bar: &ProgressBar, total: Option<u64>) {
    let template = match total {
        Some(_) => "{bar:30} {pos}/{len} {per_sec}, {eta} left; {msg}",
        None => "{spinner} {pos} done, {per_sec}; {msg}",
    };
    bar.set_length(total.unwrap_or(0));
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}
