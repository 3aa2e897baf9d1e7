//! A worker's side: taking a token, giving it up, waiting for one, and finding the next task.
//!
//! Two rules make lost grants impossible. Before it sleeps, a worker first says so (announces or
//! parks), then looks at the words once more. And after it got a token in any way, it first takes its
//! announcement back, then declines whatever was granted to it besides.

mod blocking;
mod waiting;

use std::cell::Cell;
use std::time::Duration;

use crate::barrier::LightSide;
use crate::crash;
use crate::layout::Shared;
use crate::packed::WorkerId;
use crate::park::Park;
use crate::slot::{Status, WorkerSlot, count};
use crate::sync::Ordering;
use crate::task::Claim;
use crate::token::{Freed, Held, Revoked};

/// A parked worker looks again after this long even if nobody wakes it.
const PARK_AT_MOST: Duration = Duration::from_secs(1);

/// Every so many tasks a worker goes on to a new task although somebody waits for a token, so that
/// new tasks cannot starve. Go's scheduler uses the same number for the same purpose.
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
    /// Whether the next blocking call shall hand the token over, and when the last one did.
    is_eager: Cell<bool>,
    handed_at_ns: Cell<u64>,
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
        let light_side = LightSide::new(shared.header.heavy_side_asks());
        let (is_eager, handed_at_ns) = (Cell::new(false), Cell::new(0));
        Some(Seat { shared, slot, me, park, light_side, turns: 0, is_eager, handed_at_ns })
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
            crash::point("parked_before_rescan");
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
            // CRASH: unparked_before_decline. Running(dead) or Granted(dead): reclaimed on the reap.
            crash::point("unparked_before_decline");
            self.decline_all();
        }
    }

    /// Gives a token up for good and passes it on.
    ///
    /// # Errors
    /// [`Revoked`]: leave at once.
    pub fn release(&self, held: Held) -> Result<(), Revoked> {
        if let Freed::Idle(_) = self.shared.tokens.release(held)? {
            // CRASH: release_before_grant. Idle with somebody waiting: granted on the reap.
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
            // A blocked one will do; sysmon hands it over.
            self.shared.watch.token_wanted(&self.park);
        }
        held
    }

    /// Gives back everything granted to this worker beyond what it took.
    fn decline_all(&self) {
        while let Some(freed) = self.shared.tokens.decline(self.me) {
            if let Freed::Idle(_) = freed {
                self.shared.pass_on(&self.park, Some(self.me));
            }
        }
    }
}
