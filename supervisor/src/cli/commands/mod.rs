//! `--dry-run`, and what `msup resume`, `retry`, `log`, `clean`, `collect`, `doctor`, `ctl`, `top`,
//! `serve`, `report`, `trace`, `man` and `completions` do.

pub(crate) mod clean;
pub(crate) mod collect;
pub(crate) mod completions;
pub(crate) mod ctl;
pub(crate) mod doctor;
pub(crate) mod dry_run;
mod live;
pub(crate) mod log;
pub(crate) mod man;
pub(crate) mod report;
pub(crate) mod resume_retry;
pub(crate) mod serve;
pub(crate) mod top;
pub(crate) mod trace;
mod whole;

use std::io;

use super::Refusal;

/// The result of printing. It is no failure if the reader has closed the pipe.
///
/// # Errors
/// Standard output could not be written.
pub(crate) fn printed(written: io::Result<()>) -> Result<(), Refusal> {
    match written {
        Err(why) if why.kind() != io::ErrorKind::BrokenPipe => Err(Refusal::Stdout(why)),
        _ => Ok(()),
    }
}
