//! Granting idle tokens, and in which order.

use std::time::Duration;

use crate::crash;
use crate::layout::Shared;
use crate::packed::WorkerId;
use crate::park::Park;
use crate::token::State;

/// No worker passes one that has waited longer than this in the middle of a task.
const PATIENCE: Duration = Duration::from_millis(1);

impl Shared<'_> {
    /// Grants idle tokens: to workers that wait in the middle of a task, oldest first, then to
    /// parked workers as long as tasks are ready. `not_to` is a worker that is about to look for
    /// itself. Returns the number of grants.
    pub fn pass_on(&self, park: &impl Park, not_to: Option<WorkerId>) -> u32 {
        let mut granted = 0;
        for at in self.tokens.sight().filter(|at| at.seen.state() == Some(State::Idle)) {
            let Some(to) = self.taker(not_to) else { break };
            if self.tokens.grant(at, to) {
                granted += 1;
                // CRASH: grant_before_wake. Granted(to), asleep: woken on the reap.
                crash::point("grant_before_wake");
                self.line.wake(park, to);
                self.watch.token_granted(park);
            }
        }
        granted
    }

    /// The worker that should get the next token: the oldest waiter, else a parked worker if a task
    /// is ready. Workers that already have a grant are skipped.
    #[must_use]
    pub fn taker(&self, not_to: Option<WorkerId>) -> Option<WorkerId> {
        self.oldest_unserved(not_to).or_else(|| {
            let mut parked = self.line.parked();
            let worker = parked.find(|worker| Some(*worker) != not_to && !self.is_served(*worker));
            worker.filter(|_| self.tasks.any_ready())
        })
    }

    /// The worker that has waited longest in the middle of a task and has no grant.
    #[must_use]
    pub fn oldest_unserved(&self, not_to: Option<WorkerId>) -> Option<WorkerId> {
        self.line
            .waiters()
            .filter(|waiter| Some(waiter.worker) != not_to && !self.is_served(waiter.worker))
            .min_by_key(|waiter| waiter.since_ns)
            .map(|waiter| waiter.worker)
    }

    /// Whether `me`, which has waited since `since_ns`, may take a token past the line: no worker
    /// that has waited longer has waited for more than a millisecond.
    #[must_use]
    pub fn may_go_first(&self, me: WorkerId, since_ns: u64, now_ns: u64) -> bool {
        let lost_patience = now_ns.saturating_sub(PATIENCE.as_nanos() as u64);
        !self
            .line
            .waiters()
            .any(|waiter| waiter.worker != me && waiter.since_ns < since_ns.min(lost_patience))
    }

    /// Whether this worker has waited too long for the usual checks: it gets the first token that
    /// can be taken from any worker.
    #[must_use]
    pub fn has_lost_patience(&self, worker: WorkerId, now_ns: u64) -> bool {
        let since_ns = self.line.slot(worker).map_or(0, |slot| slot.ticket());
        since_ns != 0 && now_ns.saturating_sub(since_ns) > PATIENCE.as_nanos() as u64
    }

    fn is_served(&self, worker: WorkerId) -> bool {
        self.tokens.sight().any(|at| at.seen.is(State::Granted, worker))
    }
}
