//! What a task function receives and returns.

use std::error::Error;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use msup_protocol::codec::{STATE_AT_MOST, TaskFrame, Work};
use serde_bytes::ByteBuf;

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
    /// What its last attempt left when it parked.
    pub(crate) state: Option<Vec<u8>>,
}

impl Task {
    /// The attempt that a frame asks for. `None` if it asks for a command.
    pub(crate) fn of(frame: TaskFrame) -> Option<Task> {
        let TaskFrame { seq, attempt, work: Work::Value { value, out, state } } = frame else {
            return None;
        };
        let out = (!out.is_empty()).then(|| OsStr::from_bytes(&out).into());
        let (value, state) = (value.into_vec(), state.map(ByteBuf::into_vec));
        Some(Task { seq, attempt, value, out, state })
    }

    /// A task without a supervisor.
    pub(crate) fn alone(seq: u64, value: Vec<u8>) -> Task {
        Task { seq, attempt: 1, value, out: None, state: None }
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

    /// What this task left when it parked last ([`Outcome::park`]). `None` if it has not parked.
    #[must_use]
    pub fn state(&self) -> Option<&[u8]> {
        self.state.as_deref()
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

/// What a task function returns if it has not failed.
#[derive(Debug)]
#[must_use]
pub struct Outcome(pub(crate) Step);

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Done,
    Parked { after: Duration, state: Vec<u8> },
}

impl Outcome {
    /// The task is done.
    pub fn done() -> Outcome {
        Outcome(Step::Done)
    }

    /// The task waits for this time without a worker. Then the task function is called again, maybe
    /// in another process, and finds `state` in [`Task::state`]. What this attempt has written does
    /// not count: keep what is needed in the state. A task that is waiting survives the supervisor:
    /// it goes on when the run is resumed.
    ///
    /// # Errors
    /// The state has more than 64 KiB.
    pub fn park(after: Duration, state: impl Into<Vec<u8>>) -> Result<Outcome, StateTooLarge> {
        let state = state.into();
        match state.len() {
            0..=STATE_AT_MOST => Ok(Outcome(Step::Parked { after, state })),
            bytes => Err(StateTooLarge { bytes }),
        }
    }
}

/// The state of a task that parks is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a state of {bytes} bytes: a task that parks may keep {STATE_AT_MOST}")]
pub struct StateTooLarge {
    bytes: usize,
}
