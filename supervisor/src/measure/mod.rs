//! What is measured while commands run: their CPU time, the machine, and kills for lack of memory.

mod allowance;
mod finished_use;
mod gauges;
mod hidden_use;
mod machine;
pub(crate) mod meter;
pub(crate) mod oom_kills;
mod process_tree;
mod sampler;
mod schedule;
pub(crate) mod start_checks;
mod survey;
mod token_charges;
