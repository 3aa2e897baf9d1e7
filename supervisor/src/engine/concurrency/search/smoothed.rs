//! What is known of the commands, smoothed over windows.

use crate::engine::concurrency::window::Window;

/// The weight of the last window in what is smoothed, and in the share of commands that could run
/// while nothing is known.
const NEWEST: f64 = 0.2;
const NEWEST_IN_RAMP: f64 = 0.5;

/// What windows have shown lately.
#[derive(Debug)]
pub(super) struct Smoothed {
    /// CPUs in use.
    pub(super) used: f64,
    /// The number of commands that wait.
    waiting: f64,
    /// The share of commands that could run.
    pub(super) runnable: f64,
    /// The time that commands take, and the time since one has finished, in seconds.
    pub(super) wall: f64,
    pub(super) quiet: f64,
    /// Commands that finish in a second.
    pub(super) rate: f64,
}

impl Smoothed {
    pub(super) fn new() -> Smoothed {
        Smoothed { used: 0.0, waiting: 0.0, runnable: 1.0, wall: 0.0, quiet: 0.0, rate: 0.0 }
    }

    /// Takes in a window. While the search `is_ramping`, nothing else is known.
    pub(super) fn add(&mut self, window: &Window, is_ramping: bool) {
        let used = window.used.as_secs_f64() / window.span.as_secs_f64();
        self.used += NEWEST * (used - self.used);
        if let Some(runnable) = window.runnable {
            let waiting = f64::from(window.in_flight) * (1.0 - runnable);
            self.waiting += NEWEST * (waiting - self.waiting);
            let newest = if is_ramping { NEWEST_IN_RAMP } else { NEWEST };
            self.runnable += newest * (runnable - self.runnable);
        }
        let rate = f64::from(window.ended.commands) / window.span.as_secs_f64();
        self.rate += NEWEST * (rate - self.rate);
        self.quiet += window.span.as_secs_f64();
        if window.ended.commands > 0 {
            self.quiet = 0.0;
            let newest = if self.wall == 0.0 { 1.0 } else { NEWEST };
            self.wall += newest * (window.ended.wall - self.wall);
        }
    }

    /// The part of its time that a command computes, without the time in which it waits for a CPU.
    /// It depends neither on how many are in flight, nor on what other programs use of the CPUs.
    pub(super) fn busy(&self) -> f64 {
        (self.used / (self.used + self.waiting).max(1e-9)).max(1e-9)
    }
}
