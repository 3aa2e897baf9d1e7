//! Granting idle tokens, and in which order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::iter::Peekable;
use std::time::Duration;

use crate::crash;
use crate::layout::Shared;
use crate::packed::WorkerId;
use crate::park::Park;
use crate::token::{State, Tokens};

/// No worker passes one that has waited longer than this in the middle of a task.
const PATIENCE: Duration = Duration::from_millis(1);

/// The workers that have a grant, ascending, from one look at the tokens: for each of them another
/// token would be one too many. `None` until it is asked for: mostly no worker waits.
#[derive(Debug, Default)]
struct Served(Option<Vec<WorkerId>>);

impl Served {
    fn contains(&mut self, worker: WorkerId, tokens: Tokens<'_>) -> bool {
        self.known(tokens).binary_search(&worker).is_ok()
    }

    fn add(&mut self, worker: WorkerId, tokens: Tokens<'_>) {
        let served = self.known(tokens);
        if let Err(at) = served.binary_search(&worker) {
            served.insert(at, worker);
        }
    }

    fn known(&mut self, tokens: Tokens<'_>) -> &mut Vec<WorkerId> {
        self.0.get_or_insert_with(|| {
            let granted = tokens.sight().filter(|at| at.seen.state() == Some(State::Granted));
            let mut served: Vec<WorkerId> = granted.filter_map(|at| at.seen.owner()).collect();
            served.sort_unstable();
            served
        })
    }
}

/// The workers that should get the next tokens, in their order, from one look at the line: to give
/// out many tokens takes one look at the workers that wait, not one for each token.
#[derive(Debug)]
pub(crate) struct Takers<'a, P: Iterator<Item = WorkerId>> {
    shared: Shared<'a>,
    served: Served,
    /// In the middle of a task, the oldest first.
    waiters: BinaryHeap<Reverse<(u64, WorkerId)>>,
    parked: Peekable<P>,
    /// No task was ready when that was last asked.
    none_ready: bool,
}

impl<P: Iterator<Item = WorkerId>> Takers<'_, P> {
    /// The worker that should get the next token, the same until it is served: the oldest waiter,
    /// else a parked worker if a task is ready. `not_to` is left out, from now on.
    pub(crate) fn first(&mut self, not_to: Option<WorkerId>) -> Option<WorkerId> {
        if let Some(waiter) = self.first_waiter(not_to) {
            return Some(waiter);
        }
        let parked = self.first_parked(not_to).filter(|_| !self.none_ready)?;
        self.none_ready = !self.shared.tasks.any_ready();
        (!self.none_ready).then_some(parked)
    }

    /// This worker was granted a token.
    pub(crate) fn serve(&mut self, worker: WorkerId) {
        self.served.add(worker, self.shared.tokens);
    }

    fn first_waiter(&mut self, not_to: Option<WorkerId>) -> Option<WorkerId> {
        let Shared { line, tokens, .. } = self.shared;
        loop {
            let Reverse((_, worker)) = *self.waiters.peek()?;
            // Checked each time: it may have got a token otherwise since the look at the line.
            let waits = line.is_announced(worker) && Some(worker) != not_to;
            if waits && !self.served.contains(worker, tokens) {
                return Some(worker);
            }
            self.waiters.pop();
        }
    }

    fn first_parked(&mut self, not_to: Option<WorkerId>) -> Option<WorkerId> {
        let Shared { line, tokens, .. } = self.shared;
        loop {
            let worker = *self.parked.peek()?;
            let waits = line.is_parked(worker) && Some(worker) != not_to;
            if waits && !self.served.contains(worker, tokens) {
                return Some(worker);
            }
            self.parked.next();
        }
    }
}

impl<'a> Shared<'a> {
    /// Grants idle tokens: to workers that wait in the middle of a task, oldest first, then to
    /// parked workers as long as tasks are ready. `not_to` is a worker that is about to look for
    /// itself. Returns the number of grants.
    pub fn pass_on(&self, park: &impl Park, not_to: Option<WorkerId>) -> u32 {
        let mut granted = 0;
        let mut takers = None;
        for at in self.tokens.sight().filter(|at| at.seen.state() == Some(State::Idle)) {
            // The caller has made the token idle before this look at the line.
            let takers = takers.get_or_insert_with(|| self.takers());
            let Some(to) = takers.first(not_to) else { break };
            if self.tokens.grant(at, to) {
                granted += 1;
                takers.serve(to);
                // CRASH: grant_before_wake. Granted(to), asleep: woken on the reap.
                crash::point("grant_before_wake");
                self.line.wake(park, to);
                self.watch.token_granted(park);
            }
        }
        granted
    }

    /// The workers that should get the next tokens.
    pub(crate) fn takers(&self) -> Takers<'a, impl Iterator<Item = WorkerId> + use<'a>> {
        let waiters = self.line.waiters().map(|waiter| Reverse((waiter.since_ns, waiter.worker)));
        let (served, parked) = (Served::default(), self.line.parked().peekable());
        let (waiters, none_ready) = (waiters.collect(), false);
        Takers { shared: *self, served, waiters, parked, none_ready }
    }

    /// The worker that should get the next token: the oldest waiter, else a parked worker if a task
    /// is ready. Workers that already have a grant are skipped.
    #[must_use]
    pub fn taker(&self, not_to: Option<WorkerId>) -> Option<WorkerId> {
        self.oldest_unserved(not_to).or_else(|| {
            let mut served = Served::default();
            let mut parked = self.line.parked().filter(|worker| Some(*worker) != not_to);
            let worker = parked.find(|worker| !served.contains(*worker, self.tokens));
            worker.filter(|_| self.tasks.any_ready())
        })
    }

    /// The worker that has waited longest in the middle of a task and has no grant.
    #[must_use]
    pub fn oldest_unserved(&self, not_to: Option<WorkerId>) -> Option<WorkerId> {
        let mut served = Served::default();
        self.line
            .waiters()
            .filter(|waiter| Some(waiter.worker) != not_to)
            .filter(|waiter| !served.contains(waiter.worker, self.tokens))
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
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::layout::{Header, Parts, Sizes};
    use crate::park::Futex;
    use crate::slot::WorkerSlot;
    use crate::sync::AtomicU64;
    use crate::token::TokenWord;

    const WORKERS: u32 = 200;

    /// A segment on the heap, for the lifetime of the test process.
    fn shared(tokens: u32) -> Shared<'static> {
        let header: &Header = Box::leak(Box::default());
        let sizes = Sizes { tokens, workers: WORKERS, tasks: 1, cell_bytes: 64 };
        header.set_up(sizes, tokens, "test", 0);
        let words = |n, value| (0..n).map(|_| AtomicU64::new(value)).collect::<Vec<_>>().leak();
        let slots: Vec<_> = (0..WORKERS).map(|_| WorkerSlot::default()).collect();
        let tokens: Vec<_> = (0..tokens).map(|_| TokenWord::new(State::Idle)).collect();
        let (announced, parked) = (words(4, 0), words(4, 0));
        let free = 1;
        Shared::new(Parts {
            header,
            tokens: tokens.leak(),
            slots: slots.leak(),
            announced,
            parked,
            done: words(1, 0),
            words: words(1, free),
            cells: words(8, 0),
        })
    }

    /// The workers that have a grant, each as often as it has one.
    fn granted(shared: &Shared<'_>) -> Vec<WorkerId> {
        let words = shared.tokens.sight().filter(|at| at.seen.state() == Some(State::Granted));
        words.filter_map(|at| at.seen.owner()).collect()
    }

    proptest! {
        /// Many tokens that are given out after one look at the line go where they would go if the
        /// next worker were looked for each time.
        #[test]
        fn one_look_gives_out_as_many_looks_would(
            tokens in 1..40_u32,
            waiters in proptest::collection::btree_map(0..100_u16, 1..9_u64, 0..50),
            parked in proptest::collection::btree_set(100..200_u16, 0..50),
            served in proptest::collection::vec(0..200_u16, 0..10),
            not_to in proptest::option::of(0..200_u16),
            is_ready: bool,
        ) {
            let (once, each) = (shared(tokens), shared(tokens));
            for shared in [&once, &each] {
                waiters.iter().for_each(|(worker, since)| shared.line.announce(*worker, *since));
                parked.iter().for_each(|worker| shared.line.park(*worker));
                for (at, worker) in shared.tokens.sight().zip(&served) {
                    prop_assert!(shared.tokens.grant(at, *worker));
                }
                prop_assert!(!is_ready || shared.tasks.publish(0).is_some());
            }
            let mut grants = 0;
            for at in each.tokens.sight().filter(|at| at.seen.state() == Some(State::Idle)) {
                let Some(to) = each.oldest_unserved(not_to).or_else(|| each.taker(not_to)) else {
                    break;
                };
                prop_assert!(each.tokens.grant(at, to));
                grants += 1;
            }
            prop_assert_eq!(once.pass_on(&Futex, not_to), grants);
            prop_assert_eq!(granted(&once), granted(&each));
        }
    }

    #[test]
    fn a_worker_that_got_a_token_since_the_look_is_left_out() {
        let shared = shared(2);
        for (worker, since_ns) in [(0, 1), (1, 2), (2, 3)] {
            shared.line.announce(worker, since_ns);
        }
        let mut takers = shared.takers();
        assert_eq!((takers.first(None), takers.first(None)), (Some(0), Some(0)), "not served yet");
        shared.line.withdraw(0);
        assert_eq!(takers.first(None), Some(1));
        takers.serve(1);
        assert_eq!(takers.first(Some(2)), None);
        shared.line.park(5);
        assert_eq!(shared.takers().first(None), Some(1), "it is still in line");
    }
}
