//! What msup reports about a run: the summary, the trace line, the closing report, the bar, the
//! page, counters, and the escaping of text that msup did not choose.

pub(crate) mod bar;
mod buckets;
pub(crate) mod control;
pub(crate) mod digest;
pub(crate) mod escape;
pub(crate) mod human;
pub(crate) mod joblog;
pub(crate) mod metrics;
pub(crate) mod page;
pub(crate) mod paint;
pub(crate) mod rate;
pub(crate) mod shards;
pub(crate) mod stages;
pub(crate) mod summary;
pub(crate) mod table;
pub(crate) mod times;
pub(crate) mod trace;
pub(crate) mod xargs;
