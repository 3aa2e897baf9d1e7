//! What a run shows: output, the bar, the closing report.

mod bar;
mod closing;
mod escapes;
