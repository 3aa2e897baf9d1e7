//! How processes are stopped: signal after signal, with a pause after each, and SIGKILL last. Every
//! attempt is stopped by this ladder, whatever the reason.

use std::time::Duration;

use crate::engine::time::Now;

/// SIGKILL, which no process survives.
const SIGKILL: i32 = 9;

/// A process that was started while its tree got SIGKILL gets one after this time.
const KILL_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// A worker has this long to report an attempt after all its processes got SIGKILL. Then it is
/// killed too: either it is stopped itself, or one of the processes is in an uninterruptible wait.
const REPORTS_WITHIN: Duration = Duration::from_secs(1);

/// While no process of an attempt exists yet, or none is left, the next look comes after this.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// A signal, and how long the processes have before the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) signal: i32,
    pub(crate) wait: Duration,
}

/// What to do about the processes of an attempt now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Nothing,
    /// Send this signal to them.
    Send(i32),
    /// Kill the worker, which does not report.
    KillWorker,
    /// Nothing is left to do.
    Done,
}

/// How far the ladder has gone for one attempt.
#[derive(Clone, Debug)]
pub(crate) struct Ladder {
    steps: Vec<Step>,
    next: usize,
    due: Now,
    /// Since when only the worker's report is missing: the processes got SIGKILL, or there are
    /// none.
    over: Option<Now>,
}

impl Ladder {
    /// The given steps, then SIGKILL. The first one is due at once.
    pub(crate) fn new(steps: &[Step], now: Now) -> Ladder {
        let steps = steps.iter().copied().filter(|step| step.signal != SIGKILL).collect();
        Ladder { steps, next: 0, due: now, over: None }
    }

    /// When to decide again.
    pub(crate) fn due(&self) -> Now {
        self.due
    }

    /// Whether a signal was sent.
    pub(crate) fn has_begun(&self) -> bool {
        self.next > 0
    }

    /// Whether the processes have survived SIGKILL for long: they cannot be killed now.
    pub(crate) fn is_over(&self, now: Now) -> bool {
        self.over.is_some_and(|over| now.saturating_sub(over) >= REPORTS_WITHIN)
    }

    /// Makes SIGKILL the next step, due at once.
    pub(crate) fn hurry(&mut self, now: Now) {
        self.next = self.next.max(self.steps.len());
        self.due = now;
    }

    /// Decides what to do. `any_alive`: whether a process of the attempt was just seen; `reported`:
    /// whether its worker has reported its outcome.
    pub(crate) fn decide(&mut self, now: Now, any_alive: bool, reported: bool) -> Act {
        if reported && !any_alive {
            return Act::Done;
        }
        if now < self.due {
            return Act::Nothing;
        }
        let over = self.over.filter(|_| !reported);
        if over.is_some_and(|over| now.saturating_sub(over) >= REPORTS_WITHIN) {
            self.due = now + REPORTS_WITHIN;
            return Act::KillWorker;
        }
        if !any_alive {
            self.due = now + LOOK_AGAIN_AFTER;
            self.over.get_or_insert(now);
            return Act::Nothing;
        }
        let step = self.steps.get(self.next).copied();
        let step = step.unwrap_or(Step { signal: SIGKILL, wait: KILL_AGAIN_AFTER });
        if step.signal == SIGKILL {
            self.over.get_or_insert(now);
        } else {
            self.over = None;
        }
        self.next = (self.next + 1).min(self.steps.len() + 1);
        self.due = now + step.wait;
        Act::Send(step.signal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGTERM: i32 = 15;

    fn at(ms: u64) -> Now {
        Duration::from_millis(ms)
    }

    fn ladder() -> Ladder {
        Ladder::new(&[Step { signal: SIGTERM, wait: at(1000) }], at(0))
    }

    #[test]
    fn processes_have_the_whole_grace() {
        let mut ladder = ladder();
        assert!(!ladder.has_begun());
        assert_eq!(ladder.decide(at(0), true, false), Act::Send(SIGTERM));
        assert!(ladder.has_begun());
        assert_eq!(ladder.decide(at(999), true, false), Act::Nothing);
        // Its leader has exited and its worker has reported; others of its process tree are still
        // there.
        assert_eq!(ladder.decide(at(999), true, true), Act::Nothing);
        assert_eq!(ladder.decide(at(1000), true, true), Act::Send(SIGKILL));
        assert_eq!(ladder.decide(at(1020), true, true), Act::Send(SIGKILL), "one more was forked");
        assert_eq!(ladder.decide(at(1021), false, true), Act::Done);
    }

    #[test]
    fn an_attempt_without_a_process_yet_gets_the_first_signal_later() {
        let mut ladder = ladder();
        assert_eq!(ladder.decide(at(0), false, false), Act::Nothing);
        assert_eq!(ladder.due(), at(10));
        assert_eq!(ladder.decide(at(900), true, false), Act::Send(SIGTERM));
        assert_eq!(ladder.decide(at(1800), true, false), Act::Nothing, "it has its whole grace");
        assert_eq!(ladder.decide(at(1900), true, false), Act::Send(SIGKILL));
    }

    #[test]
    fn a_worker_that_does_not_report_is_killed() {
        let mut ladder = ladder();
        assert_eq!(ladder.decide(at(0), true, false), Act::Send(SIGTERM));
        assert_eq!(ladder.decide(at(1000), false, false), Act::Nothing, "they are gone");
        assert_eq!(ladder.decide(at(1990), false, false), Act::Nothing);
        assert_eq!(ladder.decide(at(2000), false, false), Act::KillWorker);
        // Its command had exited before the first signal, and the worker is stopped.
        let mut ladder = super::tests::ladder();
        assert_eq!(ladder.decide(at(0), false, false), Act::Nothing);
        assert_eq!(ladder.decide(at(1000), false, false), Act::KillWorker);
        // A process in an uninterruptible wait does not go away.
        let mut ladder = super::tests::ladder();
        ladder.hurry(at(0));
        assert_eq!(ladder.decide(at(0), true, false), Act::Send(SIGKILL));
        assert_eq!(ladder.decide(at(1000), true, false), Act::KillWorker);
    }

    #[test]
    fn in_a_hurry_only_sigkill_is_left() {
        let mut ladder = ladder();
        assert_eq!(ladder.decide(at(0), true, false), Act::Send(SIGTERM));
        ladder.hurry(at(10));
        assert_eq!(ladder.decide(at(10), true, false), Act::Send(SIGKILL));
    }

    #[test]
    fn steps_follow_in_order_and_sigkill_is_always_last() {
        let step = |signal| Step { signal, wait: at(10) };
        let mut ladder = Ladder::new(&[step(2), step(SIGTERM), step(SIGKILL)], at(0));
        let sent = [0, 10, 20, 40].map(|ms| ladder.decide(at(ms), true, false));
        assert_eq!(sent, [2, SIGTERM, SIGKILL, SIGKILL].map(Act::Send));
    }
}
