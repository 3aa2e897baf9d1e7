//! When commands that sleep are going to wake, as far as they sleep for about as long each time.

/// Who has not computed for so many windows sleeps.
const ASLEEP: f64 = 4.0;

/// The weight of the last nap in the mean.
const NEWEST: f64 = 0.2;

/// What is known of naps.
#[derive(Debug, Default)]
pub(crate) struct Naps {
    /// How long one takes, in seconds.
    usual: Option<f64>,
}

impl Naps {
    /// A command computes again after so many seconds, seen through windows of `span` seconds.
    pub(crate) fn note(&mut self, pause: f64, span: f64) {
        if pause < ASLEEP * span {
            return;
        }
        let usual = self.usual.get_or_insert(pause);
        *usual += NEWEST * (pause - *usual);
    }

    /// How many places are about to be asked for by those that wake, and will be free by then if those that have them now
    /// are not replaced. `still` is for how long each command has not computed. `None`: nobody knows.
    pub(crate) fn about_to_wake(&self, still: &[f64], span: f64) -> Option<u32> {
        let usual = self.usual?;
        let asleep = still.iter().filter(|still| **still >= ASLEEP * span).count();
        // Who is seen to have computed did so a window ago at most: what is soonest of these is yet to come.
        let soon = span..2.0 * span;
        let waking = still.iter().filter(|still| soon.contains(&(usual - **still))).count();
        u32::try_from(waking.min(still.len() - asleep)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sleeps_wakes_after_the_usual_time() {
        let mut naps = Naps::default();
        naps.note(0.1, 0.04);
        assert_eq!(naps.about_to_wake(&[0.95, 0.0], 0.04), None, "that was none");
        (0..9).for_each(|_| naps.note(1.0, 0.04));
        assert_eq!(naps.about_to_wake(&[0.95, 0.94, 0.9, 0.5, 0.01, 0.0], 0.04), Some(2));
        assert_eq!(naps.about_to_wake(&[0.95, 0.94, 0.94, 0.5, 0.01], 0.04), Some(1), "one place");
    }
}
