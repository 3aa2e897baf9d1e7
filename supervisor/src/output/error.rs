//! Why outputs cannot be written.

use std::io;

use crate::os::threads::ThreadError;

/// Why outputs cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    /// Standard output or error cannot be used.
    #[error("standard output: {0}")]
    Stream(#[from] io::Error),
    #[error(transparent)]
    Thread(#[from] ThreadError),
}
