//! Starts threads: a limit on processes or memory is an error to report, not a panic.

use std::thread::{Builder, JoinHandle};

/// Starts a thread with this name.
///
/// # Errors
/// One line that names the thread and the limits that may be in the way.
pub(crate) fn start<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, String> {
    let started = Builder::new().name(name.to_owned()).spawn(body);
    started.map_err(|why| {
        format!("cannot start the thread '{name}': {why} (see ulimit -u, ulimit -v and pids.max)")
    })
}
