//! What a task function receives and returns.

use std::error::Error;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use msup_protocol::codec::{TaskFrame, Work};

/// Any error: `?` converts every error type into it. Its text becomes the attempt's recorded cause.
pub type TaskError = Box<dyn Error>;

/// One attempt of one task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    pub(crate) seq: u64,
    pub(crate) attempt: u32,
    pub(crate) value: Vec<u8>,
    /// Where it writes the file that it makes.
    pub(crate) out: Option<PathBuf>,
}

impl Task {
    /// The attempt that a frame asks for. `None` if it asks for a command.
    pub(crate) fn of(frame: TaskFrame) -> Option<Task> {
        let TaskFrame { seq, attempt, work: Work::Value { value, out } } = frame else {
            return None;
        };
        let out = (!out.is_empty()).then(|| OsStr::from_bytes(&out).into());
        Some(Task { seq, attempt, value: value.into_vec(), out })
    }

    /// A task without a supervisor.
    pub(crate) fn alone(seq: u64, value: Vec<u8>) -> Task {
        Task { seq, attempt: 1, value, out: None }
    }

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

    /// The temporary file that this task should write, with `--out`. msup renames it to its place
    /// when the task has succeeded.
    #[must_use]
    pub fn out(&self) -> Option<&Path> {
        self.out.as_deref()
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
