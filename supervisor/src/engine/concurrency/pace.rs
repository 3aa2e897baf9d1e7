//! Conditions for each start: a pause since the one before (`--delay`), and what a look at the
//! machine or a command says (`--load`, `--memfree`, `--noswap`, `--limit`).
//!
//! Where there are any, tasks are published one by one, and only when one can start at once.

use std::time::Duration;

use crate::engine::time::Now;

/// How long an answer counts. After it, and after a refusal, the adapters look again.
const ANSWER_COUNTS: Duration = Duration::from_secs(1);

/// How a delay that adapts changes when a task fails, and when one succeeds, as in GNU parallel.
const LONGER: f64 = 1.3;
const SHORTER: f64 = 0.9;

/// It becomes no longer than this.
const LONGEST: Duration = Duration::from_secs(86_400);

/// The conditions of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct StartRules {
    /// The pause between two starts.
    pub(crate) delay: Duration,
    /// It becomes longer when tasks fail, and shorter when they succeed.
    pub(crate) adapts: bool,
    /// The user is asked before each start.
    pub(crate) asks: bool,
    /// The adapters look before each start.
    pub(crate) looks: bool,
    /// They also look while tasks run: the youngest may have to stop.
    pub(crate) may_stop: bool,
    /// A start shows in what they see after this time.
    pub(crate) settles: Duration,
}

/// What such a look says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    /// One task may start.
    Start,
    /// None may.
    Wait,
    /// None may, and the youngest is stopped and runs again later.
    StopYoungest,
}

/// What is known of the next start.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    /// Nothing, until the adapters look at this time.
    Due(Now),
    /// They are looking.
    Asked,
    /// What they said, and when.
    Given(Permission, Now),
}

/// Whether the next task may start.
#[derive(Debug)]
pub(in crate::engine) struct Pace {
    rules: StartRules,
    delay: Duration,
    /// When the last task was started.
    last: Option<Now>,
    /// It was published, and no worker was seen to have taken it up.
    is_pending: bool,
    answer: Answer,
}

impl Pace {
    pub(in crate::engine) fn new(rules: StartRules) -> Pace {
        let answer = Answer::Due(Now::ZERO);
        Pace { delay: rules.delay, rules, last: None, is_pending: false, answer }
    }

    /// Whether there are conditions.
    pub(in crate::engine) fn is_limited(&self) -> bool {
        self.rules.looks || self.rules.asks || !self.rules.delay.is_zero()
    }

    /// Whether the user is asked before each start.
    pub(in crate::engine) fn asks_user(&self) -> bool {
        self.rules.asks
    }

    /// Whether a task may start now.
    pub(in crate::engine) fn may_start(&self, now: Now) -> bool {
        let has_permission = match self.answer {
            Answer::Given(Permission::Start, at) => now < at + ANSWER_COUNTS,
            _ => !self.rules.looks,
        };
        !self.is_pending && self.has_paused(now) && has_permission
    }

    fn has_paused(&self, now: Now) -> bool {
        self.last.is_none_or(|last| now >= last + self.delay)
    }

    /// Whether the adapters should look now; then they are asked. `wanted`: a task waits for it.
    pub(in crate::engine) fn asks(&mut self, wanted: bool, now: Now) -> bool {
        let asks = self.rules.looks
            && (wanted && !self.is_pending && self.has_paused(now) || self.rules.may_stop)
            && self.look_due().is_some_and(|due| now >= due);
        if asks {
            self.answer = Answer::Asked;
        }
        asks
    }

    fn look_due(&self) -> Option<Now> {
        match self.answer {
            Answer::Due(at) => Some(at),
            Answer::Asked => None,
            Answer::Given(_, at) => Some(at + ANSWER_COUNTS),
        }
    }

    pub(in crate::engine) fn answered(&mut self, permission: Permission, now: Now) {
        self.answer = Answer::Given(permission, now);
    }

    /// A task was published: it starts now, if a worker is there.
    pub(in crate::engine) fn placed(&mut self, now: Now) {
        (self.last, self.is_pending) = (Some(now), true);
        self.answer = Answer::Due(now + self.rules.settles);
    }

    /// A worker has come up. It is what the last task has waited for.
    pub(in crate::engine) fn settled(&mut self, now: Now) {
        if self.is_pending {
            self.last = Some(now);
        }
    }

    /// The segment was looked at: this number of tasks lie ready.
    pub(in crate::engine) fn looked(&mut self, ready: u32, now: Now) {
        match ready {
            0 => self.is_pending = false,
            _ if self.is_pending => self.last = Some(now),
            _ => {}
        }
    }

    /// A task has finished: there may be room for another one.
    pub(in crate::engine) fn finished(&mut self, succeeded: bool, now: Now) {
        if self.rules.adapts {
            let longest = LONGEST.max(self.rules.delay);
            let changed = self.delay.mul_f64(if succeeded { SHORTER } else { LONGER });
            self.delay = changed.min(longest);
        }
        if let Answer::Given(Permission::Wait | Permission::StopYoungest, at) = self.answer {
            let soon = (now + self.rules.settles).min(at + ANSWER_COUNTS);
            self.answer = Answer::Due(soon);
        }
    }

    /// When to look again, if nothing happens before. `wanted`: a task waits for its start;
    /// `running`: tasks run.
    pub(in crate::engine) fn due(&self, wanted: bool, running: bool) -> Option<Now> {
        let paused = self.last.map_or(Now::ZERO, |last| last + self.delay);
        let look = self.look_due().filter(|_| self.rules.looks);
        let start = match self.rules.looks {
            _ if !wanted || self.is_pending => None,
            true => look.map(|look| look.max(paused)),
            false => Some(paused),
        };
        let watch = look.filter(|_| self.rules.may_stop && running);
        [start, watch].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn starts_are_as_far_apart_as_the_delay() {
        let mut pace = Pace::new(StartRules { delay: ms(100), ..StartRules::default() });
        assert!(pace.is_limited() && pace.may_start(ms(5)));
        pace.placed(ms(5));
        assert_eq!(pace.due(true, true), None, "it has not started yet");
        pace.settled(ms(9));
        pace.looked(0, ms(10));
        assert_eq!((pace.due(true, true), pace.due(false, true)), (Some(ms(109)), None));
        assert!(!pace.may_start(ms(108)) && pace.may_start(ms(109)));
        pace.placed(ms(109));
        // No worker was free.
        pace.looked(1, ms(300));
        assert!(!pace.may_start(ms(300)));
        pace.looked(0, ms(310));
        assert!(!pace.may_start(ms(399)) && pace.may_start(ms(400)));
    }

    #[test]
    fn a_delay_that_adapts_follows_the_outcomes() {
        let rules = StartRules { delay: ms(100), adapts: true, ..StartRules::default() };
        let mut pace = Pace::new(rules);
        pace.placed(ms(0));
        pace.looked(0, ms(0));
        pace.finished(false, ms(1));
        assert_eq!(pace.due(true, true), Some(ms(130)));
        pace.finished(true, ms(2));
        assert_eq!(pace.due(true, true), Some(ms(117)));
    }

    #[test]
    fn each_start_needs_a_permission_of_its_own() {
        let rules = StartRules { looks: true, settles: ms(20), ..StartRules::default() };
        let mut pace = Pace::new(rules);
        assert!(!pace.may_start(ms(0)) && !pace.asks(false, ms(0)));
        assert!(pace.asks(true, ms(0)) && !pace.asks(true, ms(0)), "one look at a time");
        pace.answered(Permission::Start, ms(3));
        assert!(pace.may_start(ms(3)) && !pace.may_start(ms(1003)), "it has become old");
        pace.placed(ms(4));
        pace.looked(0, ms(5));
        assert!(!pace.may_start(ms(5)) && !pace.asks(true, ms(23)) && pace.asks(true, ms(24)));
        pace.answered(Permission::Wait, ms(30));
        assert_eq!((pace.due(true, true), pace.due(false, true)), (Some(ms(1030)), None));
        pace.finished(true, ms(100));
        assert_eq!(pace.due(true, true), Some(ms(120)), "there may be room");
    }

    #[test]
    fn what_may_have_to_stop_is_watched() {
        let rules = StartRules { looks: true, may_stop: true, ..StartRules::default() };
        let mut pace = Pace::new(rules);
        assert!(pace.asks(false, ms(0)));
        pace.answered(Permission::Start, ms(0));
        assert_eq!((pace.due(false, true), pace.due(false, false)), (Some(ms(1000)), None));
    }
}
