//! Estimates how much of what commands use is not seen while they run: their children may come and
//! go too fast to be sampled.

use std::time::Duration;

use msup_protocol::codec::Usage;

/// When this part of what commands use is seen only after their exit, sampling processes is not
/// enough: the groups of workers are read too, or, where there are none, the machine's CPUs.
const HIDDEN: f64 = 0.3;

/// The mean follows about this number of the last commands.
const KNOWN: u32 = 20;

/// Until this number of commands has finished, commands that start others are presumed to hide
/// their use, and no others.
const PRESUMED_UNTIL: u32 = KNOWN / 2;

/// The part of what commands use that is not seen while they run.
#[derive(Debug, Default)]
pub(super) struct HiddenUse {
    /// A mean over commands. Its newest one weighs one in `known`.
    part: f64,
    /// The number of commands, at most [`KNOWN`].
    known: u32,
}

impl HiddenUse {
    /// A command has finished of which `counted` was seen; its clock was last read `since` ago.
    pub(super) fn note(&mut self, usage: &Usage, counted: Duration, since: Duration) {
        let cpu = Duration::from_nanos(usage.cpu_ns).as_secs_f64();
        let wall = Duration::from_nanos(usage.wall_ns).as_secs_f64();
        // What it used since the last look cannot have been seen.
        let unseen = (since.as_secs_f64() / wall.max(1e-9)).min(1.0);
        let hidden = 1.0 - unseen - counted.as_secs_f64() / cpu.max(1e-9);
        self.known = (self.known + 1).min(KNOWN);
        self.part += (hidden.clamp(-1.0, 1.0) - self.part) / f64::from(self.known);
    }

    /// Whether much of what commands use is hidden. `start_others`: whether commands were seen that
    /// have started other processes.
    pub(super) fn is_large(&self, start_others: bool) -> bool {
        if self.known < PRESUMED_UNTIL { start_others } else { self.part >= HIDDEN }
    }
}
