//! Tasks in the shared task slots, running attempts, and how attempts are stopped.

pub(crate) mod attempts;
mod frames;
pub(crate) mod leftovers;
pub(crate) mod slots;
pub(crate) mod stopped;
pub(crate) mod stopping;
