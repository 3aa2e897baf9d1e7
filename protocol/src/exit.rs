//! Exit statuses, and how a process has exited.

use std::fmt;

/// All tasks succeeded.
pub const SUCCESS: u8 = 0;
/// A status from 1 to this is the number of failed tasks.
pub const MOST_COUNTED_FAILURES: u8 = 100;
/// More tasks failed than the status can count.
pub const MORE_FAILURES: u8 = 101;
/// The journal could not be written: results since then are not on record.
pub const JOURNAL_LOST: u8 = 102;
/// Wrong usage, or msup itself could not continue.
pub const ERROR: u8 = 255;
/// Added to a signal's number when that signal makes msup exit.
pub const SIGNAL_BASE: u8 = 128;

/// A worker's: the segment is of another version than the worker.
pub const WORKER_MISMATCH: u8 = 76;
/// A worker's: it could not attach for another reason.
pub const WORKER_CANNOT_ATTACH: u8 = 77;
/// A worker's: the supervisor is gone or has declared the worker dead, or its task cannot be read.
pub const WORKER_TOLD_TO_EXIT: u8 = 78;
/// A worker's: it left when told to, and processes that its tasks started are still running.
pub const WORKER_LEFT_PROCESSES: u8 = 79;

/// The exit status of a run in which `failures` tasks did not succeed.
#[must_use]
pub fn for_failures(failures: u64) -> u8 {
    match failures {
        0..=100 => failures as u8,
        _ => MORE_FAILURES,
    }
}

/// How a worker's process exited or was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerEnd {
    /// With this exit status.
    Exited(u8),
    /// By this signal.
    Signaled(u8),
}

impl fmt::Display for WorkerEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WorkerEnd::Exited(status) => write!(f, "exit status {status}"),
            WorkerEnd::Signaled(signal) => write!(f, "signal {signal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_up_to_a_hundred() {
        let status = [0, 1, 100, 101, 100_000].map(for_failures);
        assert_eq!(status, [SUCCESS, 1, MOST_COUNTED_FAILURES, MORE_FAILURES, MORE_FAILURES]);
    }
}
