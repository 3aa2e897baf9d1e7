//! Tasks: the table of unfinished ones, what an attempt's outcome means, and when it is retried.

pub(crate) mod attempt;
pub(crate) mod counts;
pub(crate) mod outcome;
pub(crate) mod retry;
pub(crate) mod table;
pub(crate) mod time_limit;
