//! The user's settings about failures: number of tries, time limits, when the run is aborted.

use std::time::Duration;

use msup_protocol::exit;

/// The settings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Policy {
    /// The number of times that a failing task is tried in all.
    pub(crate) tries: u32,
    /// The delay before a retry: about the first time, and at most.
    pub(crate) backoff: [Duration; 2],
    /// A task that crashes its process this often is quarantined.
    pub(crate) crash_limit: u32,
    /// A task whose attempts are killed from outside this often has failed.
    pub(crate) outside_limit: u32,
    /// Signals by which commands end that are failures like any other.
    pub(crate) plain_signals: PlainSignals,
    pub(crate) timeout: Option<Timeout>,
    pub(crate) halt: Option<Halt>,
    /// A worker that takes longer to start is killed; `None`: no limit.
    pub(crate) start_timeout: Option<Duration>,
    /// How long running tasks may take when the run stops; `None`: no limit.
    pub(crate) drain: Option<Duration>,
    /// What stops the run, and its exit status, are those of xargs.
    pub(crate) is_xargs: bool,
}

/// Signals that say nothing special where a command has ended by them: it has failed, and only
/// `tries` counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PlainSignals {
    /// Those of crashes.
    pub(crate) crashes: bool,
    /// SIGKILL.
    pub(crate) kills: bool,
}

/// High, because a task is rarely the reason why it is killed from outside.
const OUTSIDE_LIMIT: u32 = 10;

impl Policy {
    /// No task has a second attempt, whatever has become of the first one.
    pub(crate) fn limit_to_one_attempt(&mut self) {
        (self.tries, self.crash_limit, self.outside_limit) = (1, 1, 1);
    }
}

impl Default for Policy {
    fn default() -> Policy {
        let backoff = [Duration::from_millis(200), Duration::from_secs(30)];
        Policy {
            tries: 1,
            backoff,
            crash_limit: 3,
            outside_limit: OUTSIDE_LIMIT,
            plain_signals: PlainSignals::default(),
            timeout: None,
            halt: None,
            start_timeout: None,
            drain: None,
            is_xargs: false,
        }
    }
}

/// The time limit of an attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Timeout {
    After(Duration),
    /// This multiple of the median of those that succeeded.
    Medians(f64),
}

/// When the run is aborted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Halt {
    /// Running tasks are stopped; else they may finish.
    pub(crate) now: bool,
    pub(crate) what: Counted,
    pub(crate) at: Threshold,
}

/// Which finished tasks count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    Fail,
    Success,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Threshold {
    Number(u64),
    /// Of all tasks, once all are known.
    Percent(f64),
    /// The same as GNU parallel reckons: one task may be enough.
    Share(f64),
}

/// How the tasks of this generation of a run stand.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Standing {
    pub(in crate::engine) succeeded: u64,
    pub(in crate::engine) failed: u64,
    /// The number of tasks, if all are known.
    pub(in crate::engine) total: Option<u64>,
}

/// Shares and medians of fewer than this say nothing.
pub(super) const LEAST: u64 = 3;

impl Halt {
    /// Whether all tasks must be known to decide whether it is due.
    pub(in crate::engine) fn needs_total(&self) -> bool {
        matches!(self.at, Threshold::Percent(_) | Threshold::Share(_))
    }

    /// Whether the run is to be aborted now.
    pub(in crate::engine) fn is_due(&self, standing: Standing) -> bool {
        let Standing { succeeded, failed, total } = standing;
        let (counted, least) = match self.what {
            Counted::Fail => (failed, LEAST),
            Counted::Success => (succeeded, 1),
            Counted::Done => (succeeded + failed, 1),
        };
        match self.at {
            Threshold::Number(number) => counted >= number,
            Threshold::Percent(percent) => total.is_some_and(|total| {
                counted >= least && counted as f64 * 100.0 >= percent * total as f64
            }),
            Threshold::Share(percent) => total.is_some_and(|total| {
                counted > 0 && counted as f64 * 100.0 >= percent * total as f64
            }),
        }
    }

    /// The run's exit status when it is due, as in GNU parallel: the status of the failed task if
    /// one was enough, else the number of failures, or their percentage if that was asked for; 0
    /// when successes were counted.
    pub(in crate::engine) fn exit_status(&self, standing: Standing, last: u8) -> u8 {
        let all = standing.total.unwrap_or(standing.failed);
        match (self.what, self.at) {
            (Counted::Success, _) => 0,
            (_, Threshold::Number(1)) => last,
            (_, Threshold::Share(percent)) if (percent * all as f64 - 100.0).abs() < 1e-9 => last,
            (_, Threshold::Number(_)) => exit::for_failures(standing.failed),
            (_, Threshold::Percent(_) | Threshold::Share(_)) => share_of(standing.failed, all),
        }
    }
}

/// `count` as a percentage of `all`, rounded up; 0 only for 0.
pub(in crate::engine) fn share_of(count: u64, all: u64) -> u8 {
    u8::try_from((count * 100).div_ceil(all.max(1))).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn halt(what: Counted, at: Threshold) -> Halt {
        Halt { now: true, what, at }
    }

    fn of(succeeded: u64, failed: u64, total: u64) -> Standing {
        Standing { succeeded, failed, total: Some(total) }
    }

    #[test]
    fn when_it_is_time_to_halt() {
        assert!(!halt(Counted::Fail, Threshold::Number(2)).is_due(of(9, 1, 20)));
        assert!(halt(Counted::Fail, Threshold::Number(2)).is_due(of(0, 2, 20)));
        assert!(halt(Counted::Success, Threshold::Number(1)).is_due(of(1, 5, 20)));
        assert!(halt(Counted::Done, Threshold::Number(3)).is_due(of(1, 2, 20)));
        let fifth = halt(Counted::Fail, Threshold::Percent(20.0));
        assert!(!fifth.is_due(of(0, 2, 5)), "two failures say nothing");
        assert!(
            !fifth.is_due(of(0, 19, 100)),
            "19 % of all tasks, though all of those that have finished"
        );
        assert!(fifth.is_due(of(40, 20, 100)));
        assert!(!fifth.is_due(Standing { succeeded: 0, failed: 50, total: None }), "of how many?");
        assert!(halt(Counted::Success, Threshold::Percent(50.0)).is_due(of(1, 1, 2)));
        assert!(halt(Counted::Done, Threshold::Percent(30.0)).is_due(of(1, 2, 10)));
    }

    #[test]
    fn gnu_parallel_counts_the_first_failure() {
        let fifth = halt(Counted::Fail, Threshold::Share(20.0));
        assert!(fifth.is_due(of(1, 1, 5)) && !fifth.is_due(of(1, 1, 6)));
        assert!(!halt(Counted::Fail, Threshold::Share(20.0)).is_due(of(1, 0, 0)));
        assert_eq!(fifth.exit_status(of(1, 1, 5), 7), 7, "one was enough");
        assert_eq!(fifth.exit_status(of(1, 2, 6), 7), 34);
    }

    #[test]
    fn the_exit_status_says_what_was_counted() {
        let fail = |at| halt(Counted::Fail, at);
        assert_eq!(fail(Threshold::Number(1)).exit_status(of(3, 1, 9), 7), 7);
        assert_eq!(fail(Threshold::Number(3)).exit_status(of(3, 3, 9), 7), 3);
        assert_eq!(fail(Threshold::Number(300)).exit_status(of(3, 300, 999), 7), 101);
        assert_eq!(fail(Threshold::Percent(20.0)).exit_status(of(3, 3, 14), 7), 22);
        assert_eq!(halt(Counted::Done, Threshold::Number(2)).exit_status(of(1, 1, 9), 0), 1);
        assert_eq!(halt(Counted::Success, Threshold::Number(1)).exit_status(of(1, 5, 9), 0), 0);
    }

    proptest! {
        /// For any order of outcomes, a percentage of failures stops the run at the first failure
        /// at which that percentage of all tasks has failed, and not before the third.
        #[test]
        fn a_percentage_of_failures_is_one_of_all_tasks(
            outcomes in prop::collection::vec(any::<bool>(), 1..200),
            percent in 1..=100_u64,
        ) {
            let halt = halt(Counted::Fail, Threshold::Percent(percent as f64));
            let total = outcomes.len() as u64;
            let needed = (percent * total).div_ceil(100).max(LEAST);
            let mut standing = of(0, 0, total);
            for failed in outcomes {
                if failed {
                    standing.failed += 1;
                } else {
                    standing.succeeded += 1;
                }
                prop_assert_eq!(halt.is_due(standing), standing.failed >= needed);
                prop_assert!(u64::from(halt.exit_status(standing, 1)) <= 100);
            }
        }
    }
}
