//! Starts threads: a limit on processes or memory is an error to report, not a panic.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Why a thread cannot be started, with the limits that may be in the way.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the thread '{name}': {why} (see ulimit -u, ulimit -v and pids.max)")]
pub(crate) struct ThreadError {
    name: String,
    #[source]
    why: io::Error,
}

/// Starts a thread with this name.
///
/// # Errors
/// [`ThreadError`].
pub(crate) fn start<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, ThreadError> {
    let started = Builder::new().name(name.to_owned()).spawn(body);
    started.map_err(|why| ThreadError { name: name.to_owned(), why })
}
