//! Counts of tasks and attempts, for the report.

use std::time::Duration;

use super::outcome::{Cause, Ruling};

/// The number of failures that are kept for the report.
pub(crate) const FAILURES_NAMED: usize = 10;
const SLOWEST_NAMED: usize = 3;

/// A task that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) seq: u64,
    /// Its input value.
    pub(crate) value: Vec<u8>,
    pub(crate) cause: Cause,
    pub(crate) attempts: u32,
    pub(crate) quarantined: bool,
}

/// Attempts whose task was retried, by what happened to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Again {
    pub(crate) failed: u64,
    /// They crashed their process.
    pub(crate) crashed: u64,
    /// They, or their worker, were killed from outside.
    pub(crate) lost: u64,
    /// There was no memory left for them.
    pub(crate) starved: u64,
}

impl Again {
    /// Adds one more attempt with this ruling.
    pub(crate) fn and(mut self, ruling: &Ruling) -> Again {
        match ruling {
            Ruling::Succeeded | Ruling::Parked(_) | Ruling::Stopped(_) => {}
            Ruling::Failed(_) => self.failed += 1,
            Ruling::Crashed(_) => self.crashed += 1,
            Ruling::Outside(_) => self.lost += 1,
            Ruling::Starved(_) => self.starved += 1,
        }
        self
    }

    pub(crate) fn sum(self) -> u64 {
        self.failed + self.crashed + self.lost + self.starved
    }
}

/// Counts of a run's tasks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    pub(crate) quarantined: u64,
    pub(crate) cancelled: u64,
    /// Tasks that finished before this generation of the run: those that succeeded, and the others.
    pub(crate) succeeded_earlier: u64,
    pub(crate) failed_earlier: u64,
    pub(crate) attempts: u64,
    /// Attempts whose task was retried.
    pub(crate) again: Again,
    /// Attempts that were killed for lack of memory.
    pub(crate) starved: u64,
    /// Attempts whose command left processes running that were not waited for: daemons, or as
    /// --leave says.
    pub(crate) leaked: u64,
    /// Workers that exited or were killed without being told to exit.
    pub(crate) lost_workers: u64,
    /// How often the segment had to be replaced.
    pub(crate) epochs: u64,
    /// Wall time of all attempts together.
    pub(crate) busy: Duration,
    /// The first few tasks that did not succeed.
    pub(crate) failures: Vec<Failure>,
    /// The longest attempts that succeeded, longest first, with the values of their tasks.
    pub(crate) slowest: Vec<(Duration, Vec<u8>)>,
}

impl Tally {
    /// The number of tasks without success.
    pub(crate) fn unsuccessful(&self) -> u64 {
        self.failed + self.quarantined + self.cancelled
    }

    /// The number of finished tasks, without cancelled ones.
    pub(crate) fn finished(&self) -> u64 {
        self.succeeded + self.failed + self.quarantined
    }

    /// How many of them finished before this generation of the run.
    pub(crate) fn earlier(&self) -> u64 {
        self.succeeded_earlier + self.failed_earlier
    }

    pub(crate) fn note_failure(&mut self, failure: Failure) {
        if failure.quarantined {
            self.quarantined += 1;
        } else {
            self.failed += 1;
        }
        if self.failures.len() < FAILURES_NAMED {
            self.failures.push(failure);
        }
    }

    pub(crate) fn note_success(&mut self, wall: Duration, value: &[u8]) {
        self.succeeded += 1;
        let at = self.slowest.partition_point(|(known, _)| *known >= wall);
        if at < SLOWEST_NAMED {
            self.slowest.insert(at, (wall, value.to_vec()));
            self.slowest.truncate(SLOWEST_NAMED);
        }
    }
}
