//! Workers: the pool, starts that fail, overwritten segments, and runs in which all are blocked.

pub(crate) mod epochs;
pub(crate) mod failures;
pub(crate) mod pool;
pub(crate) mod stall;
pub(crate) mod startup;
