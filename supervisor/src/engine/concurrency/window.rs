//! What was measured over one window of some tens of milliseconds.

use std::time::Duration;

/// The measurements.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Window {
    /// Its length.
    pub(crate) span: Duration,
    /// CPU time of commands, those that finished in it included, and of msup around them.
    pub(crate) used: Duration,
    /// The part of it that is msup's own.
    pub(crate) by_msup: Duration,
    /// Commands in flight at its end.
    pub(crate) in_flight: u32,
    /// The share of the commands looked at that ran or waited for a CPU. `None`: none was looked
    /// at.
    pub(crate) runnable: Option<f64>,
    /// Whether there were tasks that could have been started.
    pub(crate) had_more: bool,
    /// Commands that finished in it.
    pub(crate) ended: Ended,
    /// Bytes of memory that commands had, each with the processes below it, as far as they were
    /// looked at.
    pub(crate) residents: Vec<u64>,
    /// Bytes of memory that the machine, or what msup may use of it, had left.
    pub(crate) available: Option<u64>,
    /// The share of the time in which no process made progress for want of memory.
    pub(crate) stalled: f64,
}

/// Commands that finished in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Ended {
    /// Their number.
    pub(crate) commands: u32,
    /// Their mean time from start to end in seconds.
    pub(crate) wall: f64,
}

impl Ended {
    /// One more.
    pub(crate) fn add(&mut self, wall: f64) {
        self.commands += 1;
        self.wall += (wall - self.wall) / f64::from(self.commands);
    }
}
