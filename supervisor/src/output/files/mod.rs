//! Output files (`--out`): written elsewhere, and renamed to their places when their tasks have
//! succeeded.

pub(crate) mod committer;
pub(crate) mod error;
pub(crate) mod places;
