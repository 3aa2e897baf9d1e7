//! Counts workers that exit or are killed without a task. Too many of them abort the run.

use std::time::Duration;

use msup_protocol::exit::{self, WorkerEnd};

use crate::engine::time::Now;

/// This number of workers in a row that exit before they take up work aborts the run.
const FAILURES_AT_MOST: u32 = 3;
/// So does this number of workers killed from outside before they take up work, over this time.
const KILLED_AT_MOST: u32 = 10;
const KILLED_FOR: Duration = Duration::from_secs(10);

/// So does this number of workers that crash between two tasks, if no task finishes meanwhile:
/// they would be restarted for ever.
const IDLE_CRASHES_AT_MOST: u32 = 10;

/// How the starts of workers have gone since the last one that succeeded. Each kind of failed start
/// returns why the run cannot go on, if it cannot.
#[derive(Debug, Default)]
pub(in crate::engine) struct Startup {
    /// The number of failed starts in a row.
    failures: u32,
    /// Workers killed from outside: how many, and when the first was.
    killed: Option<(u32, Now)>,
    /// A worker has taken up work in this run.
    has_attached: bool,
    /// Workers that crashed without a task since the last one finished.
    idle_crashes: u32,
}

impl Startup {
    /// A worker has taken up work.
    pub(in crate::engine) fn succeeded(&mut self) {
        self.has_attached = true;
        self.begin_again();
    }

    /// A task has finished: workers do work.
    pub(in crate::engine) fn has_worked(&mut self) {
        self.idle_crashes = 0;
    }

    /// A worker that had taken up work crashed when it had no task.
    pub(in crate::engine) fn crashed_idle(
        &mut self,
        program: &str,
        end: WorkerEnd,
    ) -> Option<String> {
        self.idle_crashes += 1;
        let n = self.idle_crashes;
        let why = "in a row between two tasks, and no task has finished meanwhile";
        (n >= IDLE_CRASHES_AT_MOST).then(|| format!("{program} crashed {n} times {why} ({end})"))
    }

    /// What happened so far says nothing about the next start.
    pub(in crate::engine) fn begin_again(&mut self) {
        (self.failures, self.killed) = (0, None);
    }

    /// A worker was killed from outside. That says nothing of the program, unless it keeps
    /// happening. `outside_limit`: this number of kills fails a task; a low one holds here, too.
    pub(in crate::engine) fn was_killed(
        &mut self,
        program: &str,
        end: WorkerEnd,
        outside_limit: u32,
        now: Now,
    ) -> Option<String> {
        let (before, first) = self.killed.unwrap_or((0, now));
        let n = before + 1;
        self.killed = Some((n, first));
        let is_lasting = now.saturating_sub(first) >= KILLED_FOR;
        let is_hopeless = if outside_limit < KILLED_AT_MOST {
            n >= outside_limit.max(FAILURES_AT_MOST)
        } else {
            n >= KILLED_AT_MOST && is_lasting
        };
        let why = "something on this machine kills it before it takes a task";
        is_hopeless.then(|| format!("{program}: {why} ({n} times, last by {end})"))
    }

    /// A worker did not attach within `--start-timeout`.
    pub(in crate::engine) fn was_slow(&mut self, program: &str) -> Option<String> {
        let n = self.fail_once_more()?;
        let why = "a worker did not attach within --start-timeout";
        Some(format!("{program}: {why} ({n} times in a row)"))
    }

    /// A worker exited or crashed.
    pub(in crate::engine) fn exited(&mut self, program: &str, end: WorkerEnd) -> Option<String> {
        let too_many = self.fail_once_more();
        // Once a worker has attached, the version was right. Then either the segment was
        // overwritten, which the next look detects, or the program was replaced, and the next
        // workers cannot attach either.
        let is_believed = !self.has_attached || too_many.is_some();
        if end == WorkerEnd::Exited(exit::WORKER_MISMATCH) && is_believed {
            let why = "is of another version than this msup: install both from the same release";
            return Some(format!("{program} {why}"));
        }
        let n = too_many?;
        let hint = match end {
            _ if program.ends_with("msup-worker") => "",
            WorkerEnd::Exited(0) => ": is it built with msup-worker?",
            _ => ": what it wrote says why",
        };
        Some(format!("{program} exited {n} times before it took a task ({end}){hint}"))
    }

    /// No process could be created for a worker, and there is no other worker.
    pub(in crate::engine) fn was_not_created(&mut self, why: &str) -> Option<String> {
        self.fail_once_more()?;
        Some(format!("cannot start a worker: {why}"))
    }

    /// Counts one more failed start. Returns how many in a row there were, if they are too many.
    fn fail_once_more(&mut self) -> Option<u32> {
        self.failures += 1;
        (self.failures >= FAILURES_AT_MOST).then_some(self.failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of kills, a second apart, after which the run is given up.
    fn kills(outside_limit: u32) -> u64 {
        let mut startup = Startup::default();
        let mut killed = |second| {
            let now = Duration::from_secs(second);
            startup.was_killed("p", WorkerEnd::Signaled(9), outside_limit, now).is_some()
        };
        (1..100).find(|second| killed(*second)).expect("it is given up")
    }

    #[test]
    fn a_worker_that_is_always_killed_is_given_up() {
        assert_eq!(kills(10), 11, "ten times, and for ten seconds");
        assert_eq!(kills(1), 3);
        assert_eq!(kills(5), 5);
    }
}
