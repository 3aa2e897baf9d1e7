//! What msup reports about a run: the summary, the trace line, the closing report, the bar, and the
//! escaping of text that msup did not choose.

pub(crate) mod bar;
pub(crate) mod escape;
pub(crate) mod human;
pub(crate) mod joblog;
pub(crate) mod paint;
pub(crate) mod rate;
pub(crate) mod summary;
pub(crate) mod trace;
