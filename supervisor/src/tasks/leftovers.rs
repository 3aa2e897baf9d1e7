//! Tasks whose command has exited and left processes running in its session: they are waited for,
//! for a while.

use std::time::Duration;

use msup_protocol::packed::WorkerId;

use super::attempts::{Attempts, Sight};
use crate::engine::Leave;

/// Shorter waits are not reported.
const REPORT_AFTER: Duration = Duration::from_secs(1);

/// At most one line in this time.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// The tasks that are waited for.
#[derive(Debug)]
pub(crate) struct Leftovers {
    leave: Leave,
    /// Ascending by worker.
    waits: Vec<Wait>,
    next_report: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    worker: WorkerId,
    attempt: Sight,
    since: Duration,
    told: bool,
}

impl Leftovers {
    pub(crate) fn new(leave: Leave) -> Leftovers {
        Leftovers { leave, waits: Vec::new(), next_report: Duration::ZERO }
    }

    /// Takes in the workers that wait now, in ascending order. Returns those that have waited for
    /// long enough.
    pub(crate) fn look(
        &mut self,
        waiting: impl Iterator<Item = WorkerId>,
        attempts: &Attempts,
        now: Duration,
    ) -> Vec<(WorkerId, Sight)> {
        let patience = match self.leave {
            Leave::Wait(patience) => patience,
            Leave::Kill => Duration::ZERO,
            Leave::Alone => return Vec::new(),
        };
        let waits = waiting.filter_map(|worker| {
            let attempt = attempts.of(worker)?;
            let known = self.waits.binary_search_by_key(&worker, |wait| wait.worker).ok();
            let known = known.map(|at| self.waits[at]).filter(|wait| wait.attempt == attempt);
            Some(known.unwrap_or(Wait { worker, attempt, since: now, told: false }))
        });
        self.waits = waits.collect();
        let over = self.waits.iter().filter(|wait| now.saturating_sub(wait.since) >= patience);
        over.map(|wait| (wait.worker, wait.attempt)).collect()
    }

    /// The tasks that have been waited for for a while and were not reported yet, if a report is
    /// due: their slots, and how much longer they are waited for at most.
    pub(crate) fn report(&mut self, now: Duration) -> Option<(Vec<u16>, Duration)> {
        let Leave::Wait(patience) = self.leave else { return None };
        let is_new = |wait: &&mut Wait| {
            let waited = now.saturating_sub(wait.since);
            // A wait that is over in a moment is not worth a line.
            !wait.told && waited >= REPORT_AFTER && waited + REPORT_AFTER <= patience
        };
        let new: Vec<&mut Wait> = self.waits.iter_mut().filter(is_new).collect();
        if new.is_empty() || now < self.next_report {
            return None;
        }
        self.next_report = now + REPORT_EVERY;
        let left = |wait: &&mut Wait| (wait.since + patience).saturating_sub(now);
        let longest = new.iter().map(left).max().unwrap_or_default();
        let slots = new.into_iter().map(|wait| {
            wait.told = true;
            wait.attempt.slot
        });
        Some((slots.collect(), longest))
    }
}
