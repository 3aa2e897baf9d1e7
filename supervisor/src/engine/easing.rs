//! A lower target that costs nothing on the way: it is come down to slowly.
//!
//! Whoever ends is just who got something done. Those that do not get on, whom a server has told to come back later, keep
//! their places; were none started until enough have ended, only they would be left, asleep. So no more places are
//! taken away than are found again by those that come back: it takes some of the commands' cycles.

use std::time::Duration;

use super::admission::Window;

/// The way takes so many cycles; and so many where this share of the commands waits in a queue they share: those get on,
/// one by one.
const CYCLES: f64 = 12.0;
const CYCLES_QUEUED: f64 = 4.0;
const QUEUED: f64 = 0.25;

/// On the way from one target to a lower one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Easing {
    from: f64,
    at: f64,
}

impl Easing {
    pub(super) fn from(at: f64) -> Easing {
        Easing { from: at, at }
    }

    /// How many may be in flight.
    pub(super) fn at_most(&self) -> f64 {
        self.at
    }

    /// Goes on towards `target` over a window. A `cycle` is the time from one spell of computing of a command to its next.
    /// Whether it is there.
    pub(super) fn go_on(&mut self, target: f64, window: &Window, cycle: Duration) -> bool {
        let cycles = if window.queued >= QUEUED { CYCLES_QUEUED } else { CYCLES };
        let part = window.span.as_secs_f64() / (cycles * cycle.as_secs_f64()).max(1e-3);
        self.at = (self.at - (self.from - target) * part).max(target);
        self.at <= target
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_some_cycles() {
        let cycle = Duration::from_millis(1000);
        let window = Window { span: Duration::from_millis(40), ..Window::default() };
        let mut easing = Easing::from(32.0);
        let after =
            |easing: &mut Easing, windows| (0..windows).any(|_| easing.go_on(8.0, &window, cycle));
        assert!(!after(&mut easing, 150));
        assert_eq!(easing.at_most() as u32, 20);
        assert!(!after(&mut easing, 149));
        assert!(after(&mut easing, 2));
        let mut easing = Easing::from(32.0);
        assert!(
            easing.go_on(8.0, &window, Duration::from_millis(3)),
            "short ones are soon replaced"
        );
    }

    #[test]
    fn who_waits_in_a_queue_gets_on() {
        let cycle = Duration::from_millis(1000);
        let span = Duration::from_millis(40);
        let window = Window { span, queued: 0.5, ..Window::default() };
        let mut easing = Easing::from(32.0);
        assert!(!(0..99).any(|_| easing.go_on(8.0, &window, cycle)));
        assert!((0..2).any(|_| easing.go_on(8.0, &window, cycle)));
    }
}
