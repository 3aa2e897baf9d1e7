//! What is measured while commands run: their CPU time, the machine, and kills for lack of memory.

pub(crate) mod machine;
pub(crate) mod oom_kills;
pub(crate) mod process_tree;
pub(crate) mod sampler;
pub(crate) mod token_charges;
