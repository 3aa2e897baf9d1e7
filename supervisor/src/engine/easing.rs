//! A lower target that costs nothing on the way: it is come down to slowly.
//!
//! Whoever ends is just who got something done. Those that do not get on, whom a server has told to come back later, keep
//! their places; were none started until enough have ended, only they would be left, asleep. So no more places are
//! taken away than are found again by those that come back: just before they wake, where that is known; otherwise it takes
//! some of the commands' cycles.

use std::time::Duration;

/// The way takes so many cycles; and so many where some are known to have been refused, and nobody knows when they wake.
/// Together refused, they wake together, and each place that was taken away waits for that.
const CYCLES: f64 = 4.0;
const CYCLES_REFUSED: f64 = 12.0;
/// Where that is known so many of them find a place: not all come when they are expected.
const COME: f64 = 0.5;

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

    /// Goes on towards `target` for the time `span`. A `cycle` is the time from one spell of computing of a command to
    /// its next; `refused`: some are, and so many are about to wake, if that is known. Whether it is there.
    pub(super) fn go_on(
        &mut self,
        target: f64,
        span: Duration,
        cycle: Duration,
        refused: Option<Option<u32>>,
    ) -> bool {
        let part = span.as_secs_f64() / cycle.as_secs_f64().max(1e-3);
        let way = self.from - target;
        let fewer = match refused {
            None => way * part / CYCLES,
            Some(None) => way * part / CYCLES_REFUSED,
            Some(Some(waking)) => (f64::from(waking) * COME).ceil(),
        };
        self.at = (self.at - fewer).max(target);
        self.at <= target
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_millis(40);

    #[test]
    fn it_takes_some_cycles() {
        let cycle = Duration::from_millis(1000);
        let takes = |refused| {
            let mut easing = Easing::from(32.0);
            (1..).find(|_| easing.go_on(8.0, SPAN, cycle, refused)).expect("it ends")
        };
        assert!((100..=101).contains(&takes(None)));
        assert!((300..=301).contains(&takes(Some(None))));
        let mut easing = Easing::from(32.0);
        (0..50).for_each(|_| assert!(!easing.go_on(8.0, SPAN, cycle, None)));
        assert_eq!(easing.at_most().round() as u32, 20);
    }

    #[test]
    fn places_are_given_up_for_those_that_wake() {
        let cycle = Duration::from_millis(1000);
        let mut easing = Easing::from(16.0);
        (0..99).for_each(|_| assert!(!easing.go_on(8.0, SPAN, cycle, Some(Some(0)))));
        assert!(!easing.go_on(8.0, SPAN, cycle, Some(Some(9))));
        assert_eq!(easing.at_most(), 11.0);
        assert!(easing.go_on(8.0, SPAN, cycle, Some(Some(20))));
        assert_eq!(easing.at_most(), 8.0);
    }

    #[test]
    fn short_ones_are_soon_replaced() {
        assert!(Easing::from(32.0).go_on(8.0, SPAN, Duration::from_millis(3), Some(None)));
    }
}
