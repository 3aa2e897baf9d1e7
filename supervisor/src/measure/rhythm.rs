//! How commands alternate between computing and waiting.

use std::time::Duration;

use msup_protocol::codec::Usage;

use super::schedule::WINDOW;
use crate::engine::concurrency::wake_times::Naps;

/// The weight of the last cycle in the mean.
const NEWEST_CYCLE: f64 = 0.05;

/// A cycle goes from one spell of computing of a command to its next.
#[derive(Debug)]
pub(super) struct Rhythm {
    /// The mean length of a cycle, in seconds.
    cycle: f64,
    naps: Naps,
}

impl Default for Rhythm {
    fn default() -> Rhythm {
        Rhythm { cycle: WINDOW.as_secs_f64(), naps: Naps::default() }
    }
}

impl Rhythm {
    /// A command was seen to compute again after `pause` seconds, through a window of length
    /// `span`.
    pub(super) fn note_sampled(&mut self, pause: f64, span: Duration) {
        self.note_cycle(pause);
        self.naps.note(pause, span.as_secs_f64());
    }

    /// A command has finished: it had one more spell of computing than sleeps.
    pub(super) fn note_finished(&mut self, usage: &Usage) {
        let wall = Duration::from_nanos(usage.wall_ns).as_secs_f64();
        self.note_cycle(wall / (usage.sleeps + 1) as f64);
    }

    fn note_cycle(&mut self, seconds: f64) {
        self.cycle += NEWEST_CYCLE * (seconds - self.cycle);
    }

    /// The length of a cycle. `still`: for how long each command has not computed, in seconds.
    pub(super) fn cycle(&self, still: &[f64]) -> Duration {
        Duration::from_secs_f64(self.cycle.max(stillness(still)))
    }

    /// The number of places that waking commands are about to need ([`Naps::about_to_wake`]).
    pub(super) fn about_to_wake(&self, still: &[f64], span: Duration) -> Option<u32> {
        self.naps.about_to_wake(still, span.as_secs_f64())
    }
}

/// At least one command in five has not computed for this long, in seconds: cycles are no shorter
/// than that, unfinished ones included.
fn stillness(still: &[f64]) -> f64 {
    let mut still = still.to_vec();
    let at = still.len() * 4 / 5;
    if at >= still.len() {
        return 0.0;
    }
    *still.select_nth_unstable_by(at, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_command_had_a_spell_more_than_sleeps() {
        let mut rhythm = Rhythm::default();
        assert_eq!(rhythm.cycle(&[]), WINDOW);
        // Recorded: a program that slept for 190 ms four times, and twice more at its start.
        let usage = Usage { wall_ns: 942_768_000, sleeps: 6, ..Usage::default() };
        (0..200).for_each(|_| rhythm.note_finished(&usage));
        let cycle = rhythm.cycle(&[]).as_secs_f64();
        assert!((cycle - 0.942_768 / 7.0).abs() < 1e-4, "{cycle}");
        // Until it has finished, its sleeps count where they are seen.
        let span = Duration::from_millis(40);
        (0..200).for_each(|_| rhythm.note_sampled(0.212, span));
        assert!((rhythm.cycle(&[]).as_secs_f64() - 0.212).abs() < 1e-4);
        assert_eq!(rhythm.about_to_wake(&[0.15, 0.01], span), Some(1));
    }

    #[test]
    fn cycles_that_last_are_not_over() {
        let rhythm = Rhythm::default();
        let cycle = |still: &[f64]| rhythm.cycle(still).as_secs_f64();
        assert_eq!(cycle(&[0.9, 0.0, 0.0, 0.0, 0.0]), 0.9, "one in five");
        assert_eq!(cycle(&[0.9, 0.0, 0.0, 0.0, 0.0, 0.0]), 0.04, "one in six");
        assert_eq!(cycle(&[0.9, 0.3, 0.5, 0.7, 0.2]), 0.9);
        assert_eq!(cycle(&[0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0]), 0.8);
    }
}
