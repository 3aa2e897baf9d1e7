//! A worker's side: taking a token, letting it go, waiting for one, and finding the next task.
//!
//! Two rules make lost grants impossible. Before a worker sleeps, it first says so (announces or
//! parks), then scans the words once more. After it got a token in any way, it first withdraws its
//! announcement, then declines all other grants to it.

mod blocking;
mod pinning;
mod waiting;

use std::cell::Cell;
use std::time::Duration;

use crate::barrier::LightSide;
use crate::crash;
use crate::layout::Shared;
use crate::packed::WorkerId;
use crate::park::Park;
use crate::slot::{Status, WorkerSlot, count};
use crate::sync::{Ordering, now_ns};
use crate::task::Claim;
use crate::token::{Freed, Held, Revoked};

/// A parked worker looks again after this long even without a wake.
const PARK_AT_MOST: Duration = Duration::from_secs(1);

/// Once in this number of tasks, a worker starts a new task although another worker waits for a
/// token, so that new tasks cannot starve. Go's scheduler uses the same number for the same
/// purpose.
const NEW_TASK_TURN: u64 = 61;

/// A worker's place in the segment.
#[derive(Debug)]
pub struct Seat<'a, P> {
    shared: Shared<'a>,
    slot: &'a WorkerSlot,
    me: WorkerId,
    park: P,
    light_side: LightSide,
    turns: u64,
    /// Its last command has just exited and had no token at that time.
    has_finished_one: Cell<bool>,
    /// Whether the next blocking call hands the token over, and the time of the last hand-over.
    is_eager: Cell<bool>,
    handed_at_ns: Cell<u64>,
    /// Since when this worker has had a token without waiting for one.
    held_since_ns: Cell<u64>,
    /// The number of calls that had kept the token when it was last lost.
    kept_until_taken: Cell<u64>,
}

/// What a worker does next.
#[derive(Debug)]
pub enum Next {
    /// Run this task, with this token.
    Run(Held, Claim),
    /// Run this task's command without a token: fewer are in flight than the limit.
    Start(Claim),
    /// Exit: the worker holds nothing any more.
    Leave,
}

impl<'a, P: Park> Seat<'a, P> {
    /// The seat of worker `me`; `None` if the segment has no such slot.
    pub fn new(shared: Shared<'a>, me: WorkerId, park: P) -> Option<Seat<'a, P>> {
        let slot = shared.line.slot(me)?;
        let light_side = LightSide::new(shared.header.heavy_side_asks());
        let is_eager = Cell::new(false);
        let [handed_at_ns, held_since_ns] = [(); 2].map(|()| Cell::new(0));
        let kept_until_taken = Cell::new(u64::MAX / 2);
        let turns = 0;
        Some(Seat {
            shared,
            slot,
            me,
            park,
            light_side,
            turns,
            has_finished_one: Cell::new(false),
            is_eager,
            handed_at_ns,
            held_since_ns,
            kept_until_taken,
        })
    }

    /// Tells the supervisor that this worker now runs its task loop. Ring its bell afterwards.
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

    /// Between two tasks: yields the token to a worker in the middle of a task, else claims the
    /// next ready task, else parks until there is one. Calls `leaving` before every task and every
    /// sleep: once that returns true, no more tasks are claimed.
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
            if self.has_finished_one.take()
                && held.is_none()
                && self.shared.header.one_for_one()
                && let Some(claim) = self.shared.tasks.claim(self.me)
            {
                count(&self.slot.counters.tasks, 1);
                return Ok(Next::Start(claim));
            }
            if let Some(token) = held.take() {
                match self.use_token(token)? {
                    Some(next) => return Ok(next),
                    None => continue,
                }
            }
            // The park word is read before anything else: a change after that stops the sleep.
            let seen = self.slot.park.load(Ordering::SeqCst);
            self.shared.line.park(self.me);
            // CRASH: parked_before_rescan. A stale parked bit: cleared on the reap.
            crash::point("parked_before_rescan");
            held = self.shared.tokens.accept(self.me).or_else(|| self.start_on_idle());
            let start = if held.is_none() { self.start_without() } else { None };
            if held.is_none() && start.is_none() {
                if leaving() || self.slot.told_to_leave() {
                    self.shared.line.unpark(self.me);
                    self.decline_all();
                    return Ok(Next::Leave);
                }
                self.park.wait(&self.slot.park, seen, PARK_AT_MOST);
                held = self.shared.tokens.accept(self.me);
            }
            self.shared.line.unpark(self.me);
            // CRASH: unparked_before_decline. Running(dead) or Granted(dead): reclaimed on the
            // reap.
            crash::point("unparked_before_decline");
            // Also those granted to a worker that starts a command: its tokens are charged by the
            // supervisor.
            self.decline_all();
            if let Some(claim) = start {
                return Ok(Next::Start(claim));
            }
            self.held_since_ns.set(now_ns());
        }
    }

    /// Releases a token and passes it on.
    ///
    /// # Errors
    /// [`Revoked`]: leave at once.
    pub fn release(&self, held: Held) -> Result<(), Revoked> {
        if let Freed::Idle(_) = self.shared.tokens.release(held)? {
            // CRASH: release_before_grant. Idle while a worker waits: granted on the reap.
            crash::point("release_before_grant");
            self.shared.pass_on(&self.park, Some(self.me));
        }
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
            // A blocked token will do; sysmon hands it over.
            self.shared.watch.token_wanted(&self.park);
        }
        held
    }

    fn start_without(&self) -> Option<Claim> {
        if !self.shared.tasks.any_ready() || !self.shared.header.take_start() {
            return None;
        }
        // CRASH: start_before_claim. A start that is not made: the supervisor's next look allows it
        // again.
        crash::point("start_before_claim");
        let claim = self.shared.tasks.claim(self.me)?;
        count(&self.slot.counters.tasks, 1);
        Some(claim)
    }

    /// Declines all grants to this worker beyond the token it took.
    fn decline_all(&self) {
        while let Some(freed) = self.shared.tokens.decline(self.me) {
            if let Freed::Idle(_) = freed {
                self.shared.pass_on(&self.park, Some(self.me));
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::layout::{Header, Parts, Sizes};
    use crate::park::Futex;
    use crate::sync::AtomicU64;
    use crate::sysmon_sleep::Quiet;
    use crate::token::{State, TokenWord};

    /// A segment on the heap, for the lifetime of the test process.
    fn shared(tokens: u32) -> Shared<'static> {
        let header: &Header = Box::leak(Box::default());
        let sizes = Sizes { tokens, workers: 3, tasks: 2, cell_bytes: 64 };
        header.set_up(sizes, tokens, "test", 0);
        let words = |n, value| (0..n).map(|_| AtomicU64::new(value)).collect::<Vec<_>>().leak();
        let tokens: Vec<_> = (0..tokens).map(|_| TokenWord::new(State::Idle)).collect();
        let slots: Vec<_> = (0..3).map(|_| WorkerSlot::default()).collect();
        let free = 1;
        Shared::new(Parts {
            header,
            tokens: tokens.leak(),
            slots: slots.leak(),
            announced: words(1, 0),
            parked: words(1, 0),
            done: words(1, 0),
            words: words(2, free),
            cells: words(16, 0),
        })
    }

    #[test]
    fn what_was_granted_beyond_need_is_given_back() {
        let shared = shared(2);
        let seat = Seat::new(shared, 0, Futex).expect("a slot");
        for at in shared.tokens.sight() {
            assert!(shared.tokens.grant(at, 0));
        }
        let held = seat.exit(None);
        assert_eq!((shared.tokens.census().running, shared.tokens.census().idle), (1, 1));
        seat.release(held).expect("ours");
    }

    #[test]
    fn a_slow_exit_is_one_of_a_blocking_call() {
        let shared = shared(2);
        let seat = Seat::new(shared, 0, Futex).expect("a slot");
        let held = shared.tokens.acquire(0).expect("idle");
        // Held for long, so a checkpoint yields; the other token is idle.
        shared.line.announce(1, now_ns());
        let held = seat.checkpoint(held).expect("ours");
        assert_eq!(shared.tokens.accept(1).map(drop), Some(()), "it gave way");
        shared.line.withdraw(1);
        let exits = || seat.slot().counters.slow_exits.load(Ordering::Relaxed);
        assert_eq!(exits(), 0, "that was no blocking call");
        seat.release(held).expect("ours");
        let held = seat.exit(None);
        assert_eq!(exits(), 1);
        seat.release(held).expect("ours");
    }

    #[test]
    fn a_token_that_others_want_is_kept_for_a_slice() {
        let shared = shared(1);
        let seat = Seat::new(shared, 0, Futex).expect("a slot");
        let held = seat.exit(None);
        let began = now_ns();
        shared.line.announce(1, began);
        let (mut held, mut calls) = (Some(held), 0_u64);
        while let Some(token) = held.take() {
            // As sysmon does when it finds every token in use.
            shared.watch.lie_down(Quiet::AllInUse);
            let away = seat.enter_lazily(token);
            held = away.map(|away| seat.exit(Some(away)));
            calls += 1;
        }
        assert!(now_ns() - began >= 9_000_000, "after {calls} calls");
        assert!(shared.tokens.accept(1).is_some(), "it went to the waiter");
    }

    #[test]
    fn no_worker_passes_one_that_has_waited_long() {
        let shared = shared(1);
        let (second, ms) = (1, 1_000_000);
        shared.line.announce(second, 5 * ms);
        assert!(shared.may_go_first(0, 5 * ms + 100, 5 * ms + 200), "it has just come");
        assert!(!shared.may_go_first(0, 7 * ms, 7 * ms));
        assert!(shared.may_go_first(second, 5 * ms, 7 * ms));
        assert!(shared.may_go_first(0, 4 * ms, 7 * ms), "older still");
        // And a released token goes to it.
        let held = shared.tokens.acquire(2).expect("idle");
        let releaser = Seat::new(shared, 2, Futex).expect("a slot");
        releaser.release(held).expect("ours");
        assert!(shared.tokens.accept(second).is_some());
    }

    #[test]
    fn a_worker_learns_when_to_hand_over() {
        let shared = shared(1);
        let seat = Seat::new(shared, 0, Futex).expect("a slot");
        let other = Seat::new(shared, 1, Futex).expect("a slot");
        let held = shared.tokens.acquire(0).expect("idle");
        let taken_meanwhile = |held| {
            let away = seat.enter(held).expect("ours").expect("lazily");
            // Another worker takes it and is done with it before its owner is back.
            let at = shared.tokens.sighted(0).expect("a word");
            let stolen = shared.tokens.steal(1, at).expect("blocked");
            other.release(stolen).expect("ours");
            seat.exit(Some(away))
        };
        // Once may be chance.
        let mut held = taken_meanwhile(held);
        for _ in 0..10 {
            let away = seat.enter(held).expect("ours");
            held = seat.exit(away);
        }
        let held = taken_meanwhile(taken_meanwhile(held));
        shared.line.announce(1, 1);
        assert_eq!(seat.enter(held), Ok(None), "handed to the waiter");
        let held = shared.tokens.accept(1).expect("granted");
        shared.line.withdraw(1);
        other.release(held).expect("ours");
        // That call was over at once.
        let held = seat.exit(None);
        shared.line.announce(1, 1);
        assert!(matches!(seat.enter(held), Ok(Some(_))), "lazily again");
    }
}
