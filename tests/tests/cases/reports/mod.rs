//! What a run shows: output, the bar, the closing report.

mod bar;
mod closed;
mod closing;
mod escapes;
mod lost;
mod replay;
