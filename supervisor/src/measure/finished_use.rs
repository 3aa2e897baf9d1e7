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
        self.commands.add(Duration::from_nanos(usage.cpu_ns + usage.worker_ns).as_secs_f64(), wall);
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
