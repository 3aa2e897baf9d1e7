//! Estimates when sleeping commands will wake, if their sleeps take about the same time.

/// A command that has not computed for this number of windows is asleep.
const ASLEEP: f64 = 4.0;

/// The weight of the newest sleep in the mean.
const NEWEST: f64 = 0.2;

/// What is known of the lengths of sleeps.
#[derive(Debug, Default)]
pub(crate) struct Naps {
    /// The usual length, in seconds.
    usual: Option<f64>,
}

impl Naps {
    /// A command computes again after a pause of `pause` seconds, seen through windows of `span`
    /// seconds.
    pub(crate) fn note(&mut self, pause: f64, span: f64) {
        if pause < ASLEEP * span {
            return;
        }
        let usual = self.usual.get_or_insert(pause);
        *usual += NEWEST * (pause - *usual);
    }

    /// The number of places that waking commands are about to need, and that will be free by then
    /// if the commands that have them now are not replaced. `still`: for how long each command has
    /// not computed. `None`: unknown.
    pub(crate) fn about_to_wake(&self, still: &[f64], span: f64) -> Option<u32> {
        let usual = self.usual?;
        let asleep = still.iter().filter(|still| **still >= ASLEEP * span).count();
        // A command seen to compute did so up to a window ago: the soonest of these wakes are yet
        // to come.
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
