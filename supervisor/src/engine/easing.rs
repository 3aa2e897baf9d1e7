//! A lower target that costs nothing on the way: it is come down to slowly.
//!
//! Whoever ends is just who got something done. Those that do not get on, whom a server has told to come back later, keep
//! their places; were none started until enough have ended, only they would be left, asleep. So no more places are
//! taken away than are found again by those that come back: it takes some of the commands' cycles.

use std::time::Duration;

/// The way takes so many cycles.
const CYCLES: f64 = 4.0;

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
    /// its next. Whether it is there.
    pub(super) fn go_on(&mut self, target: f64, span: Duration, cycle: Duration) -> bool {
        let part = span.as_secs_f64() / (CYCLES * cycle.as_secs_f64()).max(1e-3);
        self.at = (self.at - (self.from - target) * part).max(target);
        self.at <= target
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_some_cycles() {
        let (span, cycle) = (Duration::from_millis(40), Duration::from_millis(1000));
        let mut easing = Easing::from(32.0);
        let after =
            |easing: &mut Easing, windows| (0..windows).any(|_| easing.go_on(8.0, span, cycle));
        assert!(!after(&mut easing, 50));
        assert_eq!(easing.at_most() as u32, 20);
        assert!(!after(&mut easing, 49));
        assert!(after(&mut easing, 2));
        let mut easing = Easing::from(32.0);
        assert!(easing.go_on(8.0, span, Duration::from_millis(5)), "short ones are soon replaced");
    }
}
