//! When windows close: measuring must not cost much.

use std::time::{Duration, Instant};

/// A window: long enough for the kernel's ticks to be seen, short enough to follow changes.
pub(super) const WINDOW: Duration = Duration::from_millis(40);

/// The first `FIRST_WINDOWS` make up the ramp and are short, whatever measuring costs then.
const FIRST_WINDOW: Duration = Duration::from_millis(12);
const FIRST_WINDOWS: u32 = 12;

/// If the ramp takes longer, windows are not stretched until measuring has cost this much CPU time.
const RAMP_COST: Duration = Duration::from_millis(20);

/// Sampling commands may use one part in `BUDGET` of one CPU; searching for their children comes on
/// top, and both together take at most one in a hundred.
const BUDGET: u32 = 150;

/// The current window, and the number of those before it.
#[derive(Debug)]
pub(super) struct Schedule {
    began: Instant,
    due: Instant,
    closed: u32,
}

impl Schedule {
    pub(super) fn new(now: Instant) -> Schedule {
        Schedule { began: now, due: now + FIRST_WINDOW, closed: 0 }
    }

    /// When the window closes.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Its length, if it closes now.
    pub(super) fn span(&self, now: Instant) -> Duration {
        now - self.began
    }

    /// The window began, and closes, later by this time.
    pub(super) fn postpone(&mut self, pause: Duration) {
        self.began += pause;
        self.due += pause;
    }

    /// Closes the window and begins the next one. `took`: CPU time that sampling took in this
    /// window; `cost`: CPU time that all measuring has taken so far.
    pub(super) fn close(&mut self, now: Instant, took: Duration, cost: Duration, is_ramping: bool) {
        self.closed += 1;
        let length = match self.closed {
            ..FIRST_WINDOWS => FIRST_WINDOW,
            _ if is_ramping && cost < RAMP_COST => WINDOW,
            _ => WINDOW.max(took * BUDGET),
        };
        self.began = now;
        self.due = now + length;
    }
}
