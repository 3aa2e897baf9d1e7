//! Output files (`--out`): written elsewhere, and put in their places when their tasks have succeeded.

pub(crate) mod commit;
pub(crate) mod committer;
pub(crate) mod places;
