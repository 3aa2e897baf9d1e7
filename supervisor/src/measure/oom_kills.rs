//! Whether a SIGKILL was the kernel's, because there was no memory left. It counts whom it ends, on the
//! whole machine, before it does; who was killed just after the count has risen was meant.

use std::time::{Duration, Instant};

use crate::os::memory;

/// A kill that nobody of ours has died of for so long was meant for somebody else.
const MEANT_FOR_US: Duration = Duration::from_secs(1);

/// The kernel's count, as far as it was looked at.
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

    /// Forgets kills of long ago, now and then.
    pub(crate) fn look(&mut self) {
        let now = Instant::now();
        if now >= self.due {
            self.due = now + MEANT_FOR_US;
            // What was counted since the last look stays for one more.
            let fresh = self.count_new();
            self.unclaimed = fresh;
        }
    }

    /// Somebody of ours was killed: whether that was for want of memory.
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
