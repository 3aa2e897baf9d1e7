//! Subcommands: what `msup resume`, `retry`, `log`, `clean` and `doctor` do.

pub(crate) mod clean;
pub(crate) mod doctor;
pub(crate) mod log;
pub(crate) mod resume_retry;

use std::io;

/// How printing went: a reader that has closed the pipe wants no more, which is no failure.
///
/// # Errors
/// One line that says why standard output could not be written.
pub(crate) fn printed(written: io::Result<()>) -> Result<(), String> {
    match written {
        Err(why) if why.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("standard output: {why}"))
        }
        _ => Ok(()),
    }
}
