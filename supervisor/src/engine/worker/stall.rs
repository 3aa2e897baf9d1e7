//! Detects a stall: all workers are in blocking calls and no more may be started, while tasks are
//! ready and a CPU is free.

use std::time::Duration;

use crate::engine::time::Now;

/// A shorter stall is only a busy moment.
const STALL_AFTER: Duration = Duration::from_secs(5);

/// What to do about a stall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AtCap {
    /// Report it, and wait for the calls to return.
    #[default]
    Wait,
    /// Abort the run.
    Fail,
}

/// Whether the run is stalled, and since when.
#[derive(Debug, Default)]
pub(crate) struct Stall {
    since: Option<Now>,
    is_reported: bool,
    /// The number of stalls.
    pub(crate) count: u64,
}

impl Stall {
    /// Notes whether the run stalls now. Returns true when the stall is to be reported.
    pub(crate) fn look(&mut self, stands_still: bool, now: Now) -> bool {
        if !stands_still {
            (self.since, self.is_reported) = (None, false);
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let is_new = !self.is_reported && now.saturating_sub(since) >= STALL_AFTER;
        if is_new {
            self.is_reported = true;
            self.count += 1;
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_is_reported_once_when_it_has_lasted() {
        let mut stall = Stall::default();
        let at = Duration::from_secs;
        assert!(!stall.look(true, at(1)));
        assert!(!stall.look(false, at(5)), "it moved");
        assert!(!stall.look(true, at(6)));
        assert!(!stall.look(true, at(10)));
        assert!(stall.look(true, at(11)));
        assert!(!stall.look(true, at(100)), "once");
        assert!(!stall.look(false, at(101)));
        assert!(!stall.look(true, at(102)));
        assert!(stall.look(true, at(107)));
        assert_eq!(stall.count, 2);
    }
}
