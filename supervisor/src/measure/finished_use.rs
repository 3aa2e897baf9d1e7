//! What commands used that finished in a window.

use std::time::Duration;

use msup_protocol::codec::Usage;

use crate::engine::Ended;

/// A command that went to sleep only once, when it was started, only computed, however long other
/// processes had the CPU.
const NEVER_SLEEPS: u64 = 1;

/// An account of the commands that finished in a window: taken when the window closes.
#[derive(Debug, Default)]
pub(super) struct FinishedUse {
    /// CPU time of the commands that was not counted while they ran.
    uncounted: Duration,
    /// CPU time of their workers.
    by_workers: Duration,
    /// Seconds for which those ran that were too short to be sampled, and in which they could run.
    unsampled: f64,
    runnable: f64,
    pub(super) commands: Ended,
}

impl FinishedUse {
    /// One more command has finished. `counted`: CPU time that was counted while it ran; `None`: it
    /// was too short to be sampled.
    pub(super) fn add(&mut self, usage: &Usage, counted: Option<Duration>) {
        let cpu = Duration::from_nanos(usage.cpu_ns);
        let wall = Duration::from_nanos(usage.wall_ns).as_secs_f64();
        self.uncounted += cpu.saturating_sub(counted.unwrap_or_default());
        self.by_workers += Duration::from_nanos(usage.worker_ns);
        self.commands.add(wall);
        if counted.is_none() {
            let share = (cpu.as_secs_f64() / wall.max(1e-9)).min(1.0);
            let share = if usage.sleeps <= NEVER_SLEEPS { 1.0 } else { share };
            self.runnable += share * wall;
            self.unsampled += wall;
        }
    }

    /// CPU time that belongs to this window.
    pub(super) fn used(&self) -> Duration {
        self.uncounted + self.by_workers
    }

    /// Seconds for which commands ran that were too short to be sampled.
    pub(super) fn unsampled(&self) -> f64 {
        self.unsampled
    }

    /// The part of these seconds in which they could run.
    pub(super) fn runnable(&self) -> f64 {
        self.runnable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: fn(u64) -> Duration = Duration::from_micros;

    fn usage(wall_us: u64, cpu_us: u64, sleeps: u64) -> Usage {
        let (wall_ns, cpu_ns) = (wall_us * 1_000, cpu_us * 1_000);
        Usage { pid: 7, wall_ns, cpu_ns, sleeps, worker_ns: 200_000, ..Usage::default() }
    }

    /// Recorded: what the kernel reported of `true`, of `sleep 0.02` and of a loop in a shell, on
    /// CPUs that other processes used, too.
    #[test]
    fn a_short_command_could_run_unless_it_slept() {
        let mut finished = FinishedUse::default();
        finished.add(&usage(3_930, 701, 1), None);
        finished.add(&usage(67_609, 40_207, 1), None);
        let computing = (3_930.0 + 67_609.0) / 1e6;
        assert!((finished.runnable() - computing).abs() < 1e-9, "{finished:?}");
        finished.add(&usage(23_355, 1_126, 2), None);
        assert!((finished.runnable() - computing - 0.001_126).abs() < 1e-9, "{finished:?}");
        assert!((finished.unsampled() - computing - 0.023_355).abs() < 1e-9, "{finished:?}");
        assert_eq!(finished.used(), US(701 + 40_207 + 1_126 + 3 * 200));
        assert_eq!(finished.commands.commands, 3);
    }

    #[test]
    fn what_was_counted_before_is_not_counted_again() {
        let mut finished = FinishedUse::default();
        finished.add(&usage(901_958, 262_098, 2), Some(US(109_580)));
        assert_eq!(finished.used(), US(262_098 - 109_580 + 200));
        assert_eq!((finished.unsampled(), finished.runnable()), (0.0, 0.0), "it was sampled");
        // The kernel's clock of a process may be ahead of its account.
        finished.add(&usage(67_609, 40_207, 1), Some(US(40_300)));
        assert_eq!(finished.used(), US(262_098 - 109_580 + 2 * 200));
    }
}
