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
            Ruling::Failed(_) | Ruling::Final(_) => self.failed += 1,
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

/// Counts of tasks that finished before.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FinishedBefore {
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    /// Of other runs: they are not run again, and do not count as failures.
    pub(crate) passed_over: u64,
    /// Those of them that are known to have failed.
    pub(crate) failed_elsewhere: u64,
}

/// Counts of a run's tasks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    pub(crate) quarantined: u64,
    pub(crate) cancelled: u64,
    /// Tasks that finished before this generation of the run.
    pub(crate) before: FinishedBefore,
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
    /// Tasks that have failed, and run again because the user wants that.
    pub(crate) taken_back: Vec<Failure>,
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
        self.succeeded + self.failed + self.quarantined + self.before.passed_over
    }

    /// How many of them finished before this generation of the run.
    pub(crate) fn earlier(&self) -> u64 {
        self.before.succeeded + self.before.failed + self.before.passed_over
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

    /// A task that has failed runs again, because the user wants that.
    pub(crate) fn take_back(&mut self, failure: Failure) {
        if failure.quarantined {
            self.quarantined -= 1;
        } else {
            self.failed -= 1;
        }
        self.failures.retain(|known| known.seq != failure.seq);
        self.taken_back.push(failure);
    }

    /// A task has finished, and perhaps was one of those.
    pub(crate) fn note_finished(&mut self, seq: u64) {
        self.taken_back.retain(|known| known.seq != seq);
    }

    /// Nothing runs any more: those that were cancelled have failed, as the journal says.
    pub(crate) fn settle(&mut self) {
        for failure in std::mem::take(&mut self.taken_back) {
            self.cancelled = self.cancelled.saturating_sub(1);
            self.note_failure(failure);
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
