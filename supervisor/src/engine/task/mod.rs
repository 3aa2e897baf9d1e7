//! Tasks: the table of unfinished ones, what an attempt's outcome means, whether the task is
//! retried (`retry.rs`).

pub(crate) mod attempt;
pub(crate) mod counts;
pub(crate) mod emitted;
pub(crate) mod outcome;
pub(crate) mod policy;
mod ready;
pub(crate) mod retry;
pub(crate) mod table;
pub(crate) mod time_limit;
pub(super) mod xargs;
