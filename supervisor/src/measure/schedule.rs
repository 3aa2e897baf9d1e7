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

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// Closes a window when it is due; the length of the next one.
    fn next(schedule: &mut Schedule, took: Duration, cost: Duration, is_ramping: bool) -> Duration {
        let now = schedule.due();
        schedule.close(now, took, cost, is_ramping);
        schedule.due() - now
    }

    #[test]
    fn measuring_stretches_windows_after_the_ramp() {
        let mut schedule = Schedule::new(Instant::now());
        assert_eq!(schedule.span(schedule.due()), FIRST_WINDOW);
        for _ in 1..12 {
            assert_eq!(next(&mut schedule, MS(5), MS(60), false), MS(12), "whatever it costs");
        }
        assert_eq!(next(&mut schedule, MS(5), MS(19), true), MS(40), "the ramp goes on");
        assert_eq!(next(&mut schedule, MS(5), MS(20), true), MS(750), "it has cost too much");
        assert_eq!(next(&mut schedule, MS(5), MS(19), false), MS(750), "it is over");
        let little = Duration::from_micros(100);
        assert_eq!(next(&mut schedule, little, MS(90), false), MS(40), "cheap");
    }

    #[test]
    fn a_pause_belongs_to_no_window() {
        let began = Instant::now();
        let mut schedule = Schedule::new(began);
        schedule.postpone(MS(3_000));
        assert_eq!(schedule.due(), began + MS(3_012));
        assert_eq!(schedule.span(began + MS(3_015)), MS(15));
        schedule.close(began + MS(3_015), MS(1), MS(1), true);
        assert_eq!(schedule.due(), began + MS(3_027));
        assert_eq!(schedule.span(began + MS(3_030)), MS(15));
    }
}
