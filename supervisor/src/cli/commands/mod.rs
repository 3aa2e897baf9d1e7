//! Subcommands: what `msup resume`, `retry`, `log`, `clean` and `doctor` do.

pub(crate) mod clean;
pub(crate) mod doctor;
pub(crate) mod log;
pub(crate) mod resume_retry;
