//! A worker's side: taking a token, giving it up, waiting for one, and finding the next task.
//!
//! Two rules make lost grants impossible. Before it sleeps, a worker first says so (announces or
//! parks), then looks at the words once more. And after it got a token in any way, it first takes its
//! announcement back, then declines whatever was granted to it besides.

use std::time::Duration;

use crate::layout::Shared;
use crate::packed::WorkerId;
use crate::park::Park;
use crate::slot::{Status, WorkerSlot, count};
use crate::sync::{Ordering, now_ns};
use crate::task::Claim;
use crate::token::{Away, Charged, Held, Revoked, State};

/// A waiter looks again after this long even if nobody wakes it: a belt, never relied on.
const WAIT_AT_MOST: Duration = Duration::from_millis(100);

/// A parked worker looks again after this long even if nobody wakes it.
const PARK_AT_MOST: Duration = Duration::from_secs(1);

/// Every so many tasks a worker goes on to a new task although somebody waits for a token, so that
/// new tasks cannot starve. Go's scheduler uses the same number for the same purpose.
const NEW_TASK_TURN: u64 = 61;

/// How old a waiter must be for `checkpoint()` to yield to it.
const YIELD_AFTER: Duration = Duration::from_millis(10);

/// A worker's place in the segment.
#[derive(Debug)]
pub struct Seat<'a, P> {
    shared: Shared<'a>,
    slot: &'a WorkerSlot,
    me: WorkerId,
    park: P,
    turns: u64,
}

/// What a worker does next.
#[derive(Debug)]
pub enum Next {
    /// Run this task, with this token.
    Run(Held, Claim),
    /// Leave: it holds nothing any more.
    Leave,
}

impl<'a, P: Park> Seat<'a, P> {
    /// The seat of worker `me`; `None` when the segment has no such slot.
    pub fn new(shared: Shared<'a>, me: WorkerId, park: P) -> Option<Seat<'a, P>> {
        let slot = shared.line.slot(me)?;
        Some(Seat { shared, slot, me, park, turns: 0 })
    }

    /// Tells the supervisor that this worker runs its task loop now. Ring its bell afterwards.
    pub fn attach(&self) {
        self.slot.set_status(Status::Attached);
    }

    /// The segment.
    #[must_use]
    pub fn shared(&self) -> Shared<'a> {
        self.shared
    }

    /// This worker's slot number.
    #[must_use]
    pub fn me(&self) -> WorkerId {
        self.me
    }

    /// This worker's slot.
    #[must_use]
    pub fn slot(&self) -> &'a WorkerSlot {
        self.slot
    }

    /// Leaves the token behind for a blocking call: it stays ours unless somebody wants it.
    ///
    /// # Errors
    /// [`Revoked`]: leave at once.
    pub fn enter(&self, held: Held) -> Result<Away, Revoked> {
        let away = self.shared.tokens.enter(self.me, held)?;
        // CRASH: enter_before_kick. Blocked(dead): reclaimed on the reap, which kicks sysmon too.
        self.shared.watch.token_blocked(&self.park);
        Ok(away)
    }

    /// Gives the token up for a call that will surely block: straight to somebody who wants it, else
    /// like [`Seat::enter`]. `None` when it was handed over.
    ///
    /// # Errors
    /// [`Revoked`]: leave at once.
    pub fn enter_long(&self, held: Held) -> Result<Option<Away>, Revoked> {
        match self.shared.taker(Some(self.me)) {
            Some(to) => self.hand_off(held, to).map(|()| None),
            None => self.enter(held).map(Some),
        }
    }

    /// Comes back from a blocking call: with the same token, or in line for another.
    pub fn exit(&self, away: Option<Away>) -> Held {
        match away.and_then(|away| self.shared.tokens.exit(self.me, away)) {
            Some(held) => {
                count(&self.slot.counters.fast_exits, 1);
                held
            }
            None => self.wait_for_token(),
        }
    }

    /// Starts to run a command on the token.
    ///
    /// # Errors
    /// [`Revoked`]: leave at once.
    pub fn begin_foreign(&self, held: Held) -> Result<Charged, Revoked> {
        self.shared.tokens.begin_foreign(self.me, held)
    }

    /// The command has ended: back to the token, or in line for another.
    pub fn end_foreign(&self, charged: Charged) -> Held {
        self.shared.tokens.end_foreign(self.me, charged).unwrap_or_else(|| self.wait_for_token())
    }

    /// In a long computation: yields the token to somebody who has waited for more than 10 ms in the
    /// middle of a task, and takes the next one.
    ///
    /// # Errors
    /// [`Revoked`]: leave at once.
    pub fn checkpoint(&self, held: Held) -> Result<Held, Revoked> {
        if !self.shared.line.somebody_waits() {
            return Ok(held);
        }
        let Some(waiter) = self.shared.line.oldest() else { return Ok(held) };
        if now_ns().saturating_sub(waiter.since_ns) < YIELD_AFTER.as_nanos() as u64 {
            return Ok(held);
        }
        self.hand_off(held, waiter.worker)?;
        Ok(self.wait_for_token())
    }

    /// Between two tasks: yields the token to somebody in the middle of a task, else claims the next
    /// ready task, else parks until there is one. `leaving` is asked before every task and every
    /// sleep: once it says yes, no task is claimed any more.
    ///
    /// # Errors
    /// [`Revoked`]: leave at once.
    pub fn next_task(
        &mut self,
        mut held: Option<Held>,
        leaving: &dyn Fn() -> bool,
    ) -> Result<Next, Revoked> {
        loop {
            // Neither parked nor announced here.
            if leaving() {
                if let Some(token) = held {
                    self.release(token)?;
                }
                return Ok(Next::Leave);
            }
            if let Some(token) = held.take() {
                match self.use_token(token)? {
                    Some(next) => return Ok(next),
                    None => continue,
                }
            }
            // The park word is read before anything else: what changes after it ends the sleep.
            let seen = self.slot.park.load(Ordering::SeqCst);
            self.shared.line.park(self.me);
            // CRASH: parked_before_rescan. A stale parked bit: cleared on the reap.
            held = self.shared.tokens.accept(self.me).or_else(|| self.start_on_idle());
            if held.is_none() {
                if leaving() || self.slot.told_to_leave() {
                    self.shared.line.unpark(self.me);
                    self.decline_all();
                    return Ok(Next::Leave);
                }
                self.park.wait(&self.slot.park, seen, PARK_AT_MOST);
                held = self.shared.tokens.accept(self.me);
            }
            self.shared.line.unpark(self.me);
            self.decline_all();
        }
    }

    /// Gives a token up for good and passes it on.
    ///
    /// # Errors
    /// [`Revoked`]: leave at once.
    pub fn release(&self, held: Held) -> Result<(), Revoked> {
        let _idle = self.shared.tokens.release(held)?;
        // CRASH: release_before_grant. Idle with somebody waiting: granted on the reap.
        self.shared.pass_on(&self.park, Some(self.me));
        Ok(())
    }

    fn use_token(&mut self, token: Held) -> Result<Option<Next>, Revoked> {
        self.turns += 1;
        if !self.turns.is_multiple_of(NEW_TASK_TURN)
            && let Some(waiter) = self.shared.oldest_unserved(None)
        {
            return self.hand_off(token, waiter).map(|()| None);
        }
        match self.shared.tasks.claim(self.me) {
            Some(claim) => {
                count(&self.slot.counters.tasks, 1);
                Ok(Some(Next::Run(token, claim)))
            }
            None => self.release(token).map(|()| None),
        }
    }

    fn start_on_idle(&self) -> Option<Held> {
        if !self.shared.tasks.any_ready() {
            return None;
        }
        let held = self.shared.tokens.acquire(self.me);
        if held.is_none() {
            // A blocked one will do; sysmon hands it over.
            self.shared.watch.token_wanted(&self.park);
        }
        held
    }

    fn wait_for_token(&self) -> Held {
        let since_ns = now_ns();
        let held = loop {
            let seen = self.slot.park.load(Ordering::SeqCst);
            let tokens = self.shared.tokens;
            if let Some(held) = tokens.accept(self.me).or_else(|| tokens.acquire(self.me)) {
                break held;
            }
            // Asked every time: sysmon passes over a worker that was too slow to take up a grant.
            if self.shared.line.is_announced(self.me) {
                self.park.wait(&self.slot.park, seen, WAIT_AT_MOST);
            } else {
                self.shared.line.announce(self.me, since_ns);
                // CRASH: announced_before_rescan. A stale announcement: cleared on the reap.
                self.shared.watch.token_wanted(&self.park);
            }
        };
        self.shared.line.withdraw(self.me);
        // CRASH: withdrawn_before_decline. Granted(dead): reclaimed on the reap.
        self.decline_all();
        count(&self.slot.counters.slow_exits, 1);
        count(&self.slot.counters.wait_ns, now_ns().saturating_sub(since_ns));
        held
    }

    /// Gives back everything granted to this worker beyond what it took.
    fn decline_all(&self) {
        while self.shared.tokens.decline(self.me).is_some() {
            self.shared.pass_on(&self.park, Some(self.me));
        }
    }

    fn hand_off(&self, held: Held, to: WorkerId) -> Result<(), Revoked> {
        self.shared.tokens.hand_off(held, to)?;
        // CRASH: hand_off_before_wake. Granted(to), asleep: woken on the reap.
        self.shared.line.wake(&self.park, to);
        self.shared.watch.token_granted(&self.park);
        count(&self.slot.counters.handoffs, 1);
        Ok(())
    }
}

impl Shared<'_> {
    /// Grants idle tokens: to who waits in the middle of a task, oldest first, then to parked workers
    /// as long as tasks are ready. `not_to` is a worker that is about to look for itself. Returns how
    /// many were granted.
    pub fn pass_on(&self, park: &impl Park, not_to: Option<WorkerId>) -> u32 {
        let mut granted = 0;
        for at in self.tokens.sight().filter(|at| at.seen.state() == Some(State::Idle)) {
            let Some(to) = self.taker(not_to) else { break };
            if self.tokens.grant(at, to) {
                granted += 1;
                // CRASH: grant_before_wake. Granted(to), asleep: woken on the reap.
                self.line.wake(park, to);
                self.watch.token_granted(park);
            }
        }
        granted
    }

    /// Who should get a token next, passing over those who have one granted already: the oldest
    /// waiter, else a parked worker if a task is ready.
    #[must_use]
    pub fn taker(&self, not_to: Option<WorkerId>) -> Option<WorkerId> {
        self.oldest_unserved(not_to).or_else(|| {
            let mut parked = self.line.parked();
            let worker = parked.find(|worker| Some(*worker) != not_to && !self.is_served(*worker));
            worker.filter(|_| self.tasks.any_ready())
        })
    }

    fn oldest_unserved(&self, not_to: Option<WorkerId>) -> Option<WorkerId> {
        self.line
            .waiters()
            .filter(|waiter| Some(waiter.worker) != not_to && !self.is_served(waiter.worker))
            .min_by_key(|waiter| waiter.since_ns)
            .map(|waiter| waiter.worker)
    }

    fn is_served(&self, worker: WorkerId) -> bool {
        self.tokens.sight().any(|at| at.seen.is(State::Granted, worker))
    }
}
