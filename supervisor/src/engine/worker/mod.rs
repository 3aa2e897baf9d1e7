//! Workers: the pool, workers that fail, and runs in which all of them are blocked.

pub(crate) mod failures;
pub(crate) mod pool;
pub(crate) mod stall;
