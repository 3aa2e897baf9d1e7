//! Waiting for a token in the middle of a task.

use std::time::Duration;

use super::Seat;
use crate::crash;
use crate::park::Park;
use crate::slot::count;
use crate::sync::now_ns;
use crate::token::{Held, Sighting, State};

/// A waiter looks again after this long even without a wake. Only a safeguard: nothing relies on
/// it.
const WAIT_AT_MOST: Duration = Duration::from_millis(100);

/// A waiter may take a token that has been blocked for this long. Go's sysmon looks twice this far
/// apart before it takes a P out of a system call. In the model, where every reading of the clock
/// is one nanosecond later, this is never before a nap.
const STEAL_AFTER: Duration = Duration::from_nanos(if cfg!(loom) { 2 } else { 20_000 });

/// A blocked token that a waiter watches.
#[derive(Clone, Copy)]
struct Prey {
    at: Sighting,
    since_ns: u64,
}

impl<P: Park> Seat<'_, P> {
    /// Takes a token as soon as there is one: granted, idle, or stolen from another worker's
    /// blocking call.
    pub(super) fn wait_for_token(&self) -> Held {
        self.wait_since(now_ns())
    }

    /// The same for a worker that has waited for a while and may be in line already.
    pub(super) fn wait_since(&self, since_ns: u64) -> Held {
        let mut prey = None;
        let mut nap = STEAL_AFTER;
        let held = loop {
            // The park word is read before anything else: a change after that stops the sleep.
            let seen = self.slot.park.load(crate::sync::Ordering::SeqCst);
            if let Some(held) = self.take_a_token(since_ns, &mut prey) {
                break held;
            }
            // Checked every time: sysmon passes over a worker that was too slow to accept a grant.
            if !self.shared.line.is_announced(self.me) {
                self.shared.line.announce(self.me, since_ns);
                // CRASH: announced_before_rescan. A stale announcement: cleared on the reap.
                crash::point("announced_before_rescan");
                self.shared.watch.token_wanted(&self.park);
                continue;
            }
            // sysmon watches the same token, but on a busy machine it may come late. The naps get
            // longer, so that many waiters do not keep the machine busy.
            let timeout = if prey.is_some() { nap } else { WAIT_AT_MOST };
            nap = (nap * 2).min(WAIT_AT_MOST);
            self.park.wait(&self.slot.park, seen, timeout);
        };
        // CRASH: taken_before_withdrawal. Running(dead), still in line: both repaired on the reap.
        crash::point("taken_before_withdrawal");
        self.shared.line.withdraw(self.me);
        // CRASH: withdrawn_before_decline. Running(dead), perhaps Granted(dead): reclaimed on the
        // reap.
        crash::point("withdrawn_before_decline");
        self.decline_all();
        let now_ns = now_ns();
        self.held_since_ns.set(now_ns);
        count(&self.slot.counters.wait_ns, now_ns.saturating_sub(since_ns));
        held
    }

    fn take_a_token(&self, since_ns: u64, prey: &mut Option<Prey>) -> Option<Held> {
        let tokens = self.shared.tokens;
        if let Some(held) = tokens.accept(self.me) {
            return Some(held);
        }
        let now_ns = now_ns();
        if !self.shared.may_go_first(self.me, since_ns, now_ns) {
            // An idle token may have been left alone for an older waiter.
            self.shared.pass_on(&self.park, None);
            *prey = None;
            return tokens.accept(self.me);
        }
        tokens.acquire(self.me).or_else(|| self.steal(now_ns, prey))
    }

    /// Takes a token from a blocking call that has lasted long enough since it was first seen.
    fn steal(&self, now_ns: u64, prey: &mut Option<Prey>) -> Option<Held> {
        let tokens = self.shared.tokens;
        let same = prey.filter(|prey| tokens.sighted(prey.at.index) == Some(prey.at));
        if let Some(prey) = same
            && now_ns.saturating_sub(prey.since_ns) >= STEAL_AFTER.as_nanos() as u64
            && let Some(held) = tokens.steal(self.me, prey.at)
        {
            count(&self.slot.counters.steals, 1);
            return Some(held);
        }
        *prey = same.or_else(|| {
            let mut blocked = tokens.sight();
            let at = blocked.find(|at| at.seen.state() == Some(State::Blocked))?;
            Some(Prey { at, since_ns: now_ns })
        });
        None
    }
}
