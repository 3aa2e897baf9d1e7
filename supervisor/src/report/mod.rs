//! What msup tells of a run: the summary, the trace line, the closing paragraph, the bar.

pub(crate) mod bar;
pub(crate) mod human;
pub(crate) mod summary;
pub(crate) mod trace;
