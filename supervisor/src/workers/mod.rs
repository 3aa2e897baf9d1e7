//! Worker processes, and tokens lent while a holder is stopped.

pub(crate) mod processes;
mod sheltered;
pub(crate) mod token_lending;
