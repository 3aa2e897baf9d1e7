//! Estimates how much of what commands use is not seen while they run: their children may come and
//! go too fast to be sampled.

use std::time::Duration;

use msup_protocol::codec::Usage;

/// When this part of what commands use is seen only after their exit, sampling processes is not
/// enough: the groups of workers are read too, or, where there are none, the machine's CPUs.
const HIDDEN: f64 = 0.3;

/// The mean follows about this number of the last commands.
const KNOWN: u32 = 20;

/// Until this number of sampled commands has finished, commands that start others are presumed to
/// hide their use. Other commands are not.
const PRESUMED_UNTIL: u32 = KNOWN / 2;

/// The part of what commands use that is not seen while they run.
#[derive(Debug, Default)]
pub(super) struct HiddenUse {
    /// A mean over commands. Its newest one weighs one in `known`.
    part: f64,
    /// The number of sampled commands that have finished, at most [`KNOWN`].
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

#[cfg(test)]
mod tests {
    use super::*;

    const US: fn(u64) -> Duration = Duration::from_micros;

    fn usage(wall_us: u64, cpu_us: u64) -> Usage {
        let (wall_ns, cpu_ns) = (wall_us * 1_000, cpu_us * 1_000);
        Usage { pid: 7, wall_ns, cpu_ns, ..Usage::default() }
    }

    /// Recorded: a shell that starts one short program after the other, of which only its own clock
    /// was seen.
    fn note_shell(hidden: &mut HiddenUse) {
        hidden.note(&usage(331_854, 84_231), US(8_933), US(331_854 - 288_782));
    }

    /// Recorded: a program that computes for all of its time, last looked at long before its exit.
    fn note_computing(hidden: &mut HiddenUse) {
        hidden.note(&usage(901_958, 262_098), US(109_580), US(901_958 - 398_718));
    }

    #[test]
    fn ten_commands_must_finish_before_the_mean_counts() {
        let mut hidden = HiddenUse::default();
        assert!(hidden.is_large(true) && !hidden.is_large(false), "presumed");
        (0..9).for_each(|_| note_shell(&mut hidden));
        assert!(!hidden.is_large(false), "still presumed");
        note_shell(&mut hidden);
        assert!(hidden.is_large(false) && hidden.is_large(true));
        let mut hidden = HiddenUse::default();
        (0..10).for_each(|_| note_computing(&mut hidden));
        assert!(!hidden.is_large(true), "children that are seen hide nothing");
    }

    #[test]
    fn what_a_command_used_since_the_last_look_is_not_hidden() {
        let mut hidden = HiddenUse::default();
        note_computing(&mut hidden);
        assert!(hidden.part.abs() < 0.05, "{hidden:?}");
        note_shell(&mut hidden);
        assert!((0.3..0.45).contains(&hidden.part), "the mean of 0.02 and 0.76: {hidden:?}");
    }

    #[test]
    fn the_mean_follows_the_last_twenty() {
        let mut hidden = HiddenUse::default();
        (0..200).for_each(|_| note_computing(&mut hidden));
        (0..9).for_each(|_| note_shell(&mut hidden));
        assert!(!hidden.is_large(false), "{hidden:?}");
        (0..2).for_each(|_| note_shell(&mut hidden));
        assert!(hidden.is_large(false), "{hidden:?}");
    }
}
