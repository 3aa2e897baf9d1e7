//! How many commands run at once: the limit, the memory budget, and which command may start.

pub(crate) mod control;
pub(crate) mod easing;
#[cfg(test)]
mod judge;
pub(crate) mod limit;
pub(crate) mod memory_budget;
pub(crate) mod oom_backoff;
pub(crate) mod start_gate;
pub(crate) mod wake_times;
