//! Tasks on their way: the slots they share with workers, running attempts, and how these are stopped.

pub(crate) mod attempts;
pub(crate) mod leftovers;
pub(crate) mod slots;
pub(crate) mod stopped;
pub(crate) mod stopping;
