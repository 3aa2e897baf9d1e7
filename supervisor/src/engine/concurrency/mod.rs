//! How many commands run at once: the search for the best number, the memory budget, and which
//! command may start.

pub(crate) mod control;
mod evidence;
#[cfg(test)]
mod judge;
pub(crate) mod memory_budget;
pub(crate) mod oom_backoff;
pub(crate) mod pace;
pub(crate) mod search;
pub(crate) mod start_gate;
pub(crate) mod window;
