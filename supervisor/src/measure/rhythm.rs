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
