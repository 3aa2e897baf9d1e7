//! What a run shows: output, the bar, the closing report.

mod escapes;
