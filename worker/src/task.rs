//! What a task function receives and returns.

use std::error::Error;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Any error: `?` converts every error type into it. Its text becomes the attempt's recorded cause.
pub type TaskError = Box<dyn Error>;

/// One attempt of one task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    pub(crate) seq: u64,
    pub(crate) attempt: u32,
    pub(crate) value: Vec<u8>,
}

impl Task {
    /// The input value, byte for byte.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// The input value as a path.
    #[must_use]
    pub fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.value))
    }

    /// The task's number in the input, from 1.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Which attempt this is, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
}

/// The successful result of a task.
#[derive(Debug)]
#[must_use]
pub struct Outcome(());

impl Outcome {
    /// The task is done.
    pub fn done() -> Outcome {
        Outcome(())
    }
}
