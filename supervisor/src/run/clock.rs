//! The clock of a run, and the time in which everything stood still.

use std::time::{Duration, Instant};

/// The loop looks at everything at least this often.
pub(super) const LOOK_AT_LEAST: Duration = Duration::from_millis(100);

/// A turn of the loop that takes this much longer than it may was no turn: the whole run was
/// stopped or frozen.
const STOOD_STILL: Duration = Duration::from_secs(1);

/// Time since the run began.
#[derive(Debug)]
pub(super) struct Clock {
    pub(super) began: Instant,
    /// When the loop last began a turn.
    last_turn: Instant,
    /// For how long the run has stood still in all.
    stood_still: Duration,
}

impl Clock {
    pub(super) fn start() -> Clock {
        let began = Instant::now();
        Clock { began, last_turn: began, stood_still: Duration::ZERO }
    }

    /// Time since the run began.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// The same without the time in which everything stood still.
    pub(super) fn active(&self) -> Duration {
        self.now().saturating_sub(self.stood_still)
    }

    /// A turn of the loop begins. Returns the time in which this process could do nothing since the
    /// last turn, although it had asked to be woken: it was stopped, or frozen with its container.
    pub(super) fn turn(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let took = now - std::mem::replace(&mut self.last_turn, now);
        (took >= LOOK_AT_LEAST + STOOD_STILL).then(|| took - LOOK_AT_LEAST)
    }

    /// The run stood still for `pause`.
    pub(super) fn leave_out(&mut self, pause: Duration) {
        self.stood_still += pause;
    }

    /// The run goes on after a pause that was left out.
    pub(super) fn resume(&mut self) {
        self.last_turn = Instant::now();
    }
}
