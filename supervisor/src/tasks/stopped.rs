//! Finds tasks that are stopped (SIGSTOP, SIGTTIN), so that the user is told instead of waiting for
//! them in vain.

use std::time::Duration;

use msup_protocol::packed::WorkerId;
use msup_protocol::process_tree;

use super::attempts::{Attempts, Sight};
use super::stopping::Place;

/// How often some tasks are looked at, and how many at a time: looking at one costs about 10 µs.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOKED_AT: usize = 64;

/// The tasks that have been seen to be stopped.
#[derive(Debug, Default)]
pub(crate) struct Stopped {
    next: Duration,
    next_worker: usize,
    /// Each with whether it was reported. Not at the first sight: it may be over in a moment.
    seen: Vec<(WorkerId, Sight, bool)>,
}

impl Stopped {
    /// Looks at some tasks, if it is time. Returns those that are stopped and were not reported:
    /// the slot, and the process.
    pub(crate) fn look(
        &mut self,
        attempts: &Attempts,
        place_of: impl Fn(WorkerId) -> Option<Place>,
        now: Duration,
    ) -> Vec<(u16, i32)> {
        if now < self.next {
            return Vec::new();
        }
        self.next = now + LOOK_EVERY;
        let running: Vec<(WorkerId, Sight)> = attempts.older_than(LOOK_EVERY, now);
        // Ascending by worker, each once.
        let runs = |worker: WorkerId, attempt: Sight| {
            let at = running.binary_search_by_key(&worker, |(worker, _)| *worker);
            at.is_ok_and(|at| running[at].1 == attempt)
        };
        self.seen.retain(|(worker, attempt, _)| runs(*worker, *attempt));
        let mut news = Vec::new();
        for nth in 0..running.len().min(LOOKED_AT) {
            let (worker, attempt) = running[(self.next_worker + nth) % running.len()];
            let stopped = place_of(worker).and_then(stopped_process);
            let known = self.seen.iter().position(|(w, a, _)| (*w, *a) == (worker, attempt));
            match (stopped, known) {
                (Some(pid), Some(at)) if !self.seen[at].2 => {
                    self.seen[at].2 = true;
                    news.push((attempt.slot, pid));
                }
                (Some(_), None) => self.seen.push((worker, attempt, false)),
                (None, Some(at)) if !self.seen[at].2 => {
                    self.seen.swap_remove(at);
                }
                _ => {}
            }
        }
        self.next_worker = self.next_worker.wrapping_add(LOOKED_AT);
        news
    }
}

/// The command or else its worker, if that is stopped.
fn stopped_process(place: Place) -> Option<i32> {
    let is_stopped = |pid| process_tree::look_up(pid).filter(|kin| matches!(kin.state, 'T' | 't'));
    // The number comes from shared memory: it counts only for a child of that worker.
    let command = is_stopped(place.command).filter(|kin| kin.parent == place.worker);
    command.or_else(|| is_stopped(place.worker)).map(|kin| kin.pid)
}
