//! How long commands take from start to end: what is usual, whatever a few of them do.

/// From a millisecond on, two steps for each doubling.
const SHORTEST: f64 = 0.001;
const PER_OCTAVE: f64 = 2.0;
const STEPS: usize = 40;

/// How many took how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Walls([u32; STEPS]);

impl Default for Walls {
    fn default() -> Walls {
        Walls([0; STEPS])
    }
}

impl Walls {
    /// One more, in seconds.
    pub(crate) fn add(&mut self, wall: f64) {
        let step = (wall / SHORTEST).max(1.0).log2() * PER_OCTAVE;
        self.0[(step as usize).min(STEPS - 1)] += 1;
    }

    /// All of these, too.
    pub(crate) fn add_all(&mut self, others: &Walls) {
        for (here, there) in self.0.iter_mut().zip(others.0) {
            *here += there;
        }
    }

    /// The time, in seconds, that half of them took at most; 0 if there are none.
    pub(crate) fn median(&self) -> f64 {
        let half = f64::from(self.0.iter().sum::<u32>()) / 2.0;
        let mut before = 0.0;
        for (step, here) in self.0.iter().enumerate() {
            let here = f64::from(*here);
            if here > 0.0 && before + here >= half {
                let steps = step as f64 + (half - before) / here;
                return SHORTEST * (steps / PER_OCTAVE).exp2();
            }
            before += here;
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_that_take_long_change_nothing() {
        let mut walls = Walls::default();
        assert_eq!(walls.median(), 0.0);
        (0..90).for_each(|nth| walls.add(0.055 + f64::from(nth) / 9000.0));
        let mut long = Walls::default();
        (0..10).for_each(|_| long.add(1.06));
        walls.add_all(&long);
        let median = walls.median();
        assert!((0.05..0.07).contains(&median), "{median}");
        (0..100).for_each(|_| walls.add(1e9));
        assert!(walls.median() > 1.0);
    }
}
