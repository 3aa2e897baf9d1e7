//! Decides whether a SIGKILL came from the kernel, because no memory was left. The kernel counts
//! such kills on the whole machine, before each kill; a process of ours that is killed just after
//! the count has risen was its target.

use std::time::{Duration, Instant};

use crate::os::memory;

/// A counted kill that matches no death of ours within this time hit another process.
const MEANT_FOR_US: Duration = Duration::from_secs(1);

/// The kernel's count, as last read.
#[derive(Debug)]
pub(crate) struct Watch {
    count: u64,
    unclaimed: u64,
    due: Instant,
}

impl Watch {
    pub(crate) fn new() -> Watch {
        let count = memory::kills().unwrap_or(0);
        Watch { count, unclaimed: 0, due: Instant::now() + MEANT_FOR_US }
    }

    /// Forgets old kills, now and then.
    pub(crate) fn look(&mut self) {
        let now = Instant::now();
        if now >= self.due {
            self.due = now + MEANT_FOR_US;
            // Kills counted since the last look stay for one more.
            let fresh = self.count_new();
            self.unclaimed = fresh;
        }
    }

    /// A process of ours was killed: returns whether that was for lack of memory.
    pub(crate) fn explains_a_kill(&mut self) -> bool {
        self.unclaimed += self.count_new();
        let explained = self.unclaimed > 0;
        self.unclaimed = self.unclaimed.saturating_sub(1);
        explained
    }

    fn count_new(&mut self) -> u64 {
        let count = memory::kills().unwrap_or(self.count);
        count.saturating_sub(std::mem::replace(&mut self.count, count))
    }
}
