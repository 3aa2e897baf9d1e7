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
            self.forget(memory::kills());
        }
    }

    /// A process of ours was killed: returns whether that was for lack of memory.
    pub(crate) fn explains_a_kill(&mut self) -> bool {
        self.claim(memory::kills())
    }

    /// Kills counted since the last look stay for one more. `count`: the kernel's, if it can be
    /// read.
    fn forget(&mut self, count: Option<u64>) {
        self.unclaimed = self.added(count);
    }

    /// Whether the kernel has counted a kill that explains no other death.
    fn claim(&mut self, count: Option<u64>) -> bool {
        self.unclaimed += self.added(count);
        let explained = self.unclaimed > 0;
        self.unclaimed = self.unclaimed.saturating_sub(1);
        explained
    }

    fn added(&mut self, count: Option<u64>) -> u64 {
        let count = count.unwrap_or(self.count);
        count.saturating_sub(std::mem::replace(&mut self.count, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(count: u64) -> Watch {
        Watch { count, unclaimed: 0, due: Instant::now() }
    }

    #[test]
    fn each_counted_kill_explains_one_death() {
        let mut watch = watch(3);
        assert!(!watch.claim(Some(3)), "these were before the run");
        assert!(watch.claim(Some(5)));
        assert!(watch.claim(None), "the second one, though the count cannot be read");
        assert!(!watch.claim(Some(5)));
    }

    #[test]
    fn a_kill_that_explains_no_death_is_forgotten_at_the_second_look() {
        let mut watch = watch(0);
        watch.forget(Some(1));
        assert!(watch.claim(Some(1)), "it was counted since the look before");
        watch.forget(Some(2));
        watch.forget(Some(2));
        assert!(!watch.claim(Some(2)));
    }
}
