//! Before and after a blocking call: letting the token go, and getting one again.

use std::time::Duration;

use super::Seat;
use crate::crash;
use crate::packed::WorkerId;
use crate::park::Park;
use crate::slot::count;
use crate::sync::{Ordering, now_ns};
use crate::token::{Away, Freed, Held, Revoked};

/// A shorter call was not worth a hand-over. Thieves wait as long before they steal a token.
const SHORT: Duration = Duration::from_micros(20);

/// Two losses of the token are in a row if at most this number of calls between them kept it.
const KEPT_BETWEEN: u64 = 2;

/// How long a worker keeps a token that others wait for, if it never blocks for longer than a
/// moment. Go preempts after the same time. In the model, where time almost stands still, slices
/// are over at once.
const SLICE: Duration = Duration::from_nanos(if cfg!(loom) { 1 } else { 10_000_000 });

impl<P: Park> Seat<'_, P> {
    /// Lets the token go for a blocking call: lazily or eagerly, depending on this worker's last
    /// calls. `None` if it was handed over.
    ///
    /// # Errors
    /// [`Revoked`]: leave at once.
    #[inline]
    pub fn enter(&self, held: Held) -> Result<Option<Away>, Revoked> {
        if self.is_eager.get() { self.enter_eagerly(held) } else { Ok(self.enter_lazily(held)) }
    }

    /// Leaves the token behind: it stays ours unless a worker wants it. Costs a store and a load.
    /// `None` if we have had it for a slice and it went to a waiting worker.
    #[inline]
    pub fn enter_lazily(&self, held: Held) -> Option<Away> {
        let away = self.shared.tokens.enter(self.me, held);
        // CRASH: enter_before_kick. Blocked(dead): reclaimed on the reap, which kicks sysmon too.
        crash::point("enter_before_kick");
        self.light_side.pass();
        let is_gone = self.shared.watch.is_over_all_in_use() && self.leave_to_others(&away);
        (!is_gone).then_some(away)
    }

    /// A worker wants a token, and sysmon found none to take. A short call would hide this token
    /// from sysmon and thieves, which look only now and then. So it is handed over after a slice;
    /// before that, sysmon watches how long the call takes. Returns whether it was handed over.
    #[cold]
    fn leave_to_others(&self, away: &Away) -> bool {
        if self.slice_is_over()
            && let Some(to) = self.shared.oldest_unserved(Some(self.me))
            && self.shared.tokens.retake(away.sighting(), to)
        {
            self.wake_granted(to);
            self.handed_at_ns.set(now_ns());
            return true;
        }
        self.shared.watch.rouse(&self.park);
        false
    }

    fn slice_is_over(&self) -> bool {
        now_ns().saturating_sub(self.held_since_ns.get()) >= SLICE.as_nanos() as u64
    }

    /// Hands the token straight to a worker that wants it, else leaves it behind. `None` if it was
    /// handed over or retired.
    ///
    /// # Errors
    /// [`Revoked`]: leave at once.
    pub fn enter_eagerly(&self, held: Held) -> Result<Option<Away>, Revoked> {
        let Some(to) = self.shared.taker(Some(self.me)) else {
            return Ok(self.enter_lazily(held));
        };
        self.hand_off(held, to)?;
        self.handed_at_ns.set(now_ns());
        Ok(None)
    }

    /// Comes back from a blocking call: with the same token, or in line for another.
    ///
    /// If other workers took the token twice in a row, the next call hands it over, which saves the
    /// waiter the time until the token is noticed. Once may be chance: this worker may only have
    /// been preempted there. A short call after a hand-over switches back.
    #[inline]
    pub fn exit(&self, away: Option<Away>) -> Held {
        let was_handed_over = away.is_none();
        if let Some(away) = away
            && let Some(held) = self.shared.tokens.exit(self.me, away)
        {
            count(&self.slot.counters.fast_exits, 1);
            return held;
        }
        self.exit_slowly(was_handed_over)
    }

    #[cold]
    fn exit_slowly(&self, was_handed_over: bool) -> Held {
        self.is_eager.set(if was_handed_over {
            let away_ns = now_ns().saturating_sub(self.handed_at_ns.get());
            away_ns >= SHORT.as_nanos() as u64
        } else {
            let kept = self.slot.counters.fast_exits.load(Ordering::Relaxed);
            kept.wrapping_sub(self.kept_until_taken.replace(kept)) <= KEPT_BETWEEN
        });
        count(&self.slot.counters.slow_exits, 1);
        self.wait_for_token()
    }

    /// Starts to run a command on the token.
    ///
    /// # Errors
    /// [`Revoked`]: leave at once.
    pub fn begin_foreign(&self, held: Held) -> Result<(), Revoked> {
        self.shared.tokens.begin_foreign(self.me, held)
    }

    /// The command has exited: takes back a token that is charged to it. `None` if there is none;
    /// the worker need not wait for one, since only the report is left to do. All other tokens
    /// charged to it are passed on.
    pub fn end_foreign(&self) -> Option<Held> {
        // First the command is cleared, so that no more words are charged to it; then the words are
        // scanned.
        self.slot.set_command(0);
        // CRASH: exited_before_recharge. Foreign(dead): reclaimed on the reap.
        crash::point("exited_before_recharge");
        let held = self.shared.tokens.end_foreign(self.me);
        self.has_finished_one.set(held.is_none());
        while let Some(freed) = self.shared.tokens.discharge_own(self.me) {
            if let Freed::Idle(_) = freed {
                self.shared.pass_on(&self.park, Some(self.me));
            }
        }
        held
    }

    /// For a long computation: after a slice, yields the token to a worker that waits in the middle
    /// of a task, and takes the next one.
    ///
    /// # Errors
    /// [`Revoked`]: leave at once.
    pub fn checkpoint(&self, held: Held) -> Result<Held, Revoked> {
        if self.shared.line.has_waiters() && self.slice_is_over() {
            return self.yield_token(held);
        }
        Ok(held)
    }

    /// Yields the token to a worker that waits in the middle of a task, if there is one, and takes
    /// the next token.
    ///
    /// # Errors
    /// [`Revoked`]: leave at once.
    pub fn yield_token(&self, held: Held) -> Result<Held, Revoked> {
        match self.shared.oldest_unserved(Some(self.me)) {
            Some(to) => self.yield_to(held, to),
            None => Ok(held),
        }
    }

    /// First in line, then the hand-over: its wake may put the other worker in our place on this
    /// CPU at once, and that worker must find us waiting if it wants to hand the token back.
    fn yield_to(&self, held: Held, to: WorkerId) -> Result<Held, Revoked> {
        let since_ns = now_ns();
        self.shared.line.announce(self.me, since_ns);
        // CRASH: announced_before_hand_off. Running(dead), in line: both repaired on the reap.
        crash::point("announced_before_hand_off");
        self.hand_off(held, to)?;
        Ok(self.wait_since(since_ns))
    }

    /// Hands the token to `to`, or retires it if there are fewer tokens now.
    pub(super) fn hand_off(&self, held: Held, to: WorkerId) -> Result<(), Revoked> {
        if !self.shared.tokens.hand_off(held, to)? {
            return Ok(());
        }
        self.wake_granted(to);
        Ok(())
    }

    fn wake_granted(&self, to: WorkerId) {
        // CRASH: hand_off_before_wake. Granted(to), asleep: woken on the reap.
        crash::point("hand_off_before_wake");
        self.shared.line.wake(&self.park, to);
        // CRASH: woken_before_kick. sysmon may not know of the grant: kicked on the reap.
        crash::point("woken_before_kick");
        self.shared.watch.token_granted(&self.park);
        count(&self.slot.counters.handoffs, 1);
    }
}
