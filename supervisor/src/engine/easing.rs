//! A lower target that costs nothing on the way: what was in flight before may end in its own time, while new
//! commands keep to the target.
//!
//! Were none started until enough have ended, those that hardly get on would fill all places: commands that a
//! server has told to come back later sleep, and whoever ends is just who got something done.

use std::time::Duration;

use super::Now;

/// Those that were in flight when the target was lowered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Easing {
    since: Now,
    before: u32,
    old: u32,
}

impl Easing {
    pub(super) fn new(in_flight: u32, now: Now) -> Easing {
        Easing { since: now, before: in_flight, old: in_flight }
    }

    /// A command has ended, so long after its start.
    pub(super) fn ended(&mut self, wall: Duration, now: Now) {
        if now.saturating_sub(wall) < self.since {
            self.old = self.old.saturating_sub(1);
        }
    }

    /// There are no more than so many in flight: some may have been lost without a word.
    pub(super) fn measured(&mut self, in_flight: u32) {
        self.old = self.old.min(in_flight);
    }

    /// How many may be in flight for so many new ones: never more than there were.
    pub(super) fn at_most(&self, target: u32) -> u32 {
        (target + self.old).min(self.before).max(target)
    }

    pub(super) fn is_over(&self) -> bool {
        self.old == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn new_ones_keep_to_the_target_while_old_ones_end() {
        let mut easing = Easing::new(55, ms(1000));
        assert_eq!(easing.at_most(10), 55, "ten may take the place of ten that end");
        for _ in 0..8 {
            easing.ended(ms(60), ms(1020));
        }
        assert_eq!(easing.at_most(10), 55);
        easing.ended(ms(60), ms(1080));
        assert_eq!(easing.at_most(10), 55, "that was a new one");
        for _ in 0..40 {
            easing.ended(ms(1500), ms(2100));
        }
        assert_eq!(easing.at_most(10), 17);
        easing.measured(3);
        assert_eq!(easing.at_most(10), 13, "some were lost");
        for _ in 0..3 {
            easing.ended(ms(3000), ms(3100));
        }
        assert!(easing.is_over());
        assert_eq!(easing.at_most(10), 10);
    }
}
