//! Whether the machine can take another task: `--load`, `--memfree`, `--noswap`.

use std::time::{Duration, Instant};

use crate::engine::Permission;
use crate::os::load;
use crate::os::memory::Memory;

/// Swapping is judged over at least this time.
const SWAP_SPAN: Duration = Duration::from_secs(1);

/// What is looked at before a start.
#[derive(Debug)]
pub(crate) struct StartChecks {
    /// Fewer processes than this may be busy.
    busy_below: Option<f64>,
    /// This number of bytes must be available. Below half of it the youngest task stops.
    free: Option<(Memory, u64)>,
    swap: Option<SwapWatch>,
}

/// How much was swapped when last looked at.
#[derive(Debug)]
struct SwapWatch {
    pages: Option<[u64; 2]>,
    at: Instant,
    swaps: bool,
}

impl StartChecks {
    pub(crate) fn new(busy_below: Option<f64>, free: Option<u64>, no_swap: bool) -> StartChecks {
        let watch = || SwapWatch { pages: load::swapped(), at: Instant::now(), swaps: false };
        StartChecks {
            busy_below,
            free: free.map(|bytes| (Memory::open(), bytes)),
            swap: no_swap.then(watch),
        }
    }

    /// Looks.
    pub(crate) fn look(&mut self) -> Permission {
        if let Some((memory, wanted)) = &self.free {
            // Where it cannot be read, nothing is known against a start.
            let available = memory.available().unwrap_or(u64::MAX);
            if available < wanted / 2 {
                return Permission::StopYoungest;
            }
            if available < *wanted {
                return Permission::Wait;
            }
        }
        let is_busy = self.busy_below.is_some_and(|most| f64::from(load::busy_processes()) >= most);
        if is_busy || self.swap.as_mut().is_some_and(SwapWatch::swaps) {
            return Permission::Wait;
        }
        Permission::Start
    }
}

impl SwapWatch {
    /// Whether pages were both read and written since some time ago.
    fn swaps(&mut self) -> bool {
        if self.at.elapsed() >= SWAP_SPAN {
            let now = load::swapped();
            let both = self.pages.zip(now);
            self.swaps = both.is_some_and(|(before, now)| before[0] < now[0] && before[1] < now[1]);
            (self.pages, self.at) = (now, Instant::now());
        }
        self.swaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_holds_starts_back() {
        let look = |busy, free| StartChecks::new(busy, free, false).look();
        assert_eq!(look(None, None), Permission::Start);
        assert_eq!(look(None, Some(1)), Permission::Start);
        assert_eq!(look(None, Some(u64::MAX)), Permission::StopYoungest);
        let available = Memory::open().available().expect("known");
        assert_eq!(look(None, Some(available / 2 * 3)), Permission::Wait);
        assert_eq!(look(Some(0.0), None), Permission::Wait);
        assert_eq!(look(Some(1e9), None), Permission::Start);
        assert_eq!(StartChecks::new(None, None, true).look(), Permission::Start);
    }
}
