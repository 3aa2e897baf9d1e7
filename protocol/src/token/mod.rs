//! The tokens and their verbs: each changes a word in one atomic access.
//!
//! Evidence types: a [`Held`] proves that its owner holds that token, an [`Away`] that its owner
//! left that token `Blocked`. They cannot be copied, so a verb that consumes one cannot be used
//! twice. There is no evidence of a command's words: the supervisor moves them while it runs.

mod word;

pub use word::{Snapshot, State, TokenWord};

use crate::packed::WorkerId;
use crate::sync::{AtomicU32, Ordering};

/// A token that the caller holds: its word is `Running(me)`.
#[must_use = "a token that is dropped without a verb stays Running for ever"]
#[derive(Debug, PartialEq, Eq)]
pub struct Held {
    index: u16,
    seen: Snapshot,
}

/// A token left behind for a blocking call: its word was `Blocked(me)`; other processes may take
/// it.
#[must_use = "come back to the token with exit()"]
#[derive(Debug, PartialEq, Eq)]
pub struct Away {
    index: u16,
    seen: Snapshot,
}

impl Away {
    /// The word as it was left.
    #[must_use]
    #[inline]
    pub fn sighting(&self) -> Sighting {
        Sighting { index: self.index, seen: self.seen }
    }
}

/// The word is not as its owner left it: the supervisor has declared this worker dead, or the
/// segment is corrupt. The worker must exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("token {index} was taken from its owner")]
pub struct Revoked {
    /// Which token.
    pub index: u16,
}

/// A snapshot of a word with its index, to be changed later if the word is still the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Which token.
    pub index: u16,
    /// What it was.
    pub seen: Snapshot,
}

/// The number of words in each state, from one scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Words that are not `Retired`.
    pub live: u32,
    /// `Idle`.
    pub idle: u32,
    /// `Running`.
    pub running: u32,
    /// `Blocked`.
    pub blocked: u32,
    /// `Foreign`.
    pub foreign: u32,
    /// `Granted`.
    pub granted: u32,
    /// No state at all.
    pub corrupt: u32,
}

impl Census {
    /// Counts these words.
    #[must_use]
    pub fn of(words: impl IntoIterator<Item = Sighting>) -> Census {
        let mut census = Census::default();
        for at in words {
            match at.seen.state() {
                Some(State::Idle) => census.idle += 1,
                Some(State::Running) => census.running += 1,
                Some(State::Blocked) => census.blocked += 1,
                Some(State::Foreign) => census.foreign += 1,
                Some(State::Granted) => census.granted += 1,
                Some(State::Retired) => continue,
                None => census.corrupt += 1,
            }
            census.live += 1;
        }
        census
    }

    /// Words in use: `Running` or `Foreign`.
    #[must_use]
    pub fn held(self) -> u32 {
        self.running + self.foreign
    }
}

/// The state of a token after it was let go.
#[must_use = "an idle token is passed on to a worker that wants it"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freed {
    /// It is idle: pass it on.
    Idle(Sighting),
    /// There are fewer tokens now, and this one is retired. Nothing to do.
    Retired,
}

/// All token words of a segment.
#[derive(Clone, Copy, Debug)]
pub struct Tokens<'a> {
    words: &'a [TokenWord],
    /// The number of tokens in use: words from this index on are retired when they are let go.
    procs: &'a AtomicU32,
}

impl<'a> Tokens<'a> {
    /// The verbs over these words.
    #[must_use]
    pub fn new(words: &'a [TokenWord], procs: &'a AtomicU32) -> Tokens<'a> {
        Tokens { words, procs }
    }

    /// The number of tokens that should be in use.
    #[must_use]
    pub fn procs(self) -> u32 {
        self.procs.load(Ordering::Relaxed)
    }

    /// The supervisor's: sets the number of tokens in use, at most the number of words. Words in
    /// use beyond it are retired when they are let go. Call [`Tokens::settle`] next.
    pub fn set_procs(self, procs: u32) {
        // ORDERING: Relaxed. A late reader puts a word into the wrong state; `settle()` repairs it.
        self.procs.store(procs.clamp(1, self.words.len() as u32), Ordering::Relaxed);
    }

    /// The supervisor's, at every look: retires idle words beyond `procs` and restores retired ones
    /// below. Returns whether words became idle: pass them on.
    pub fn settle(self) -> bool {
        let mut restored = false;
        for at in self.sight() {
            match (at.seen.state(), self.is_beyond(at.index)) {
                (Some(State::Idle), true) => {
                    let _ = self.take(at, State::Retired, 0);
                }
                (Some(State::Retired), false) => {
                    restored |= self.take(at, State::Idle, 0).is_some();
                }
                _ => {}
            }
        }
        restored
    }

    /// The number of words, `Retired` ones included.
    #[must_use]
    pub fn len(self) -> usize {
        self.words.len()
    }

    /// Whether there are no words at all.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.words.is_empty()
    }

    /// Every word as it is now, one after the other.
    pub fn sight(self) -> impl Iterator<Item = Sighting> + 'a {
        self.words
            .iter()
            .enumerate()
            .map(|(index, word)| Sighting { index: index as u16, seen: word.load() })
    }

    /// The number of words in each state.
    #[must_use]
    pub fn census(self) -> Census {
        Census::of(self.sight())
    }

    /// `acquire`: Idle → Running(me), on the first idle word.
    #[must_use]
    pub fn acquire(self, me: WorkerId) -> Option<Held> {
        self.sight()
            .filter(|at| at.seen.state() == Some(State::Idle) && !self.is_beyond(at.index))
            .find_map(|at| self.take(at, State::Running, me))
            .map(|at| Held { index: at.index, seen: at.seen })
    }

    /// `enter`: Running(me) → Blocked(me). No other process may change a running word of a living
    /// worker, so this cannot fail. Afterwards the caller checks whether to kick sysmon.
    #[inline]
    pub fn enter(self, me: WorkerId, held: Held) -> Away {
        let Held { index, seen } = held;
        Away { index, seen: self.words[usize::from(index)].block(seen, me) }
    }

    /// `exit`, fast path: Blocked(me) → Running(me). `None` if another worker took the token
    /// meanwhile.
    #[must_use]
    #[inline]
    pub fn exit(self, me: WorkerId, away: Away) -> Option<Held> {
        self.take(away.sighting(), State::Running, me)
            .map(|at| Held { index: at.index, seen: at.seen })
    }

    /// `steal`: Blocked(other) → Running(me). The caller has seen the word in exactly this state
    /// for long enough.
    #[must_use]
    pub fn steal(self, me: WorkerId, at: Sighting) -> Option<Held> {
        if at.seen.state() != Some(State::Blocked) {
            return None;
        }
        self.take(at, State::Running, me).map(|at| Held { index: at.index, seen: at.seen })
    }

    /// `hand_off`: Running(me) → Granted(to). True: the caller wakes `to` next. False: there are
    /// fewer tokens now, and this one was retired instead.
    ///
    /// # Errors
    /// [`Revoked`] if the word is no longer the caller's.
    pub fn hand_off(self, held: Held, to: WorkerId) -> Result<bool, Revoked> {
        if self.is_beyond(held.index) {
            return self.own(held.index, held.seen, State::Retired, 0).map(|_| false);
        }
        self.own(held.index, held.seen, State::Granted, to).map(|_| true)
    }

    /// `accept`: Granted(me) → Running(me), on the first word granted to the caller.
    #[must_use]
    pub fn accept(self, me: WorkerId) -> Option<Held> {
        self.sight()
            .filter(|at| at.seen.is(State::Granted, me))
            .find_map(|at| self.take(at, State::Running, me))
            .map(|at| Held { index: at.index, seen: at.seen })
    }

    /// `decline`: Granted(me) → Idle, on the first word granted to the caller.
    pub fn decline(self, me: WorkerId) -> Option<Freed> {
        self.sight().filter(|at| at.seen.is(State::Granted, me)).find_map(|at| self.free(at))
    }

    /// `release`: Running(me) → Idle.
    ///
    /// # Errors
    /// [`Revoked`] if the word is no longer the caller's.
    pub fn release(self, held: Held) -> Result<Freed, Revoked> {
        let Held { index, seen } = held;
        self.free(Sighting { index, seen }).ok_or(Revoked { index })
    }

    /// `grant`: Idle → Granted(to). The caller wakes `to` next. False if the word has changed.
    #[must_use]
    pub fn grant(self, at: Sighting, to: WorkerId) -> bool {
        at.seen.state() == Some(State::Idle)
            && !self.is_beyond(at.index)
            && self.take(at, State::Granted, to).is_some()
    }

    /// `retake`: Blocked(w) → Granted(to). The caller wakes `to` next. False if the word has
    /// changed.
    #[must_use]
    pub fn retake(self, at: Sighting, to: WorkerId) -> bool {
        at.seen.state() == Some(State::Blocked) && self.take(at, State::Granted, to).is_some()
    }

    /// `begin_foreign`: Running(me) → Foreign(me): from now on the caller's command uses the CPU.
    ///
    /// # Errors
    /// [`Revoked`] if the word is no longer the caller's.
    pub fn begin_foreign(self, me: WorkerId, held: Held) -> Result<(), Revoked> {
        self.own(held.index, held.seen, State::Foreign, me).map(|_| ())
    }

    /// `end_foreign`: Foreign(me) → Running(me), on the first word charged to the caller's command,
    /// which has exited. `None` if it has none: other workers use the CPU now.
    #[must_use]
    pub fn end_foreign(self, me: WorkerId) -> Option<Held> {
        self.sight()
            .filter(|at| at.seen.is(State::Foreign, me))
            .find_map(|at| self.take(at, State::Running, me))
            .map(|at| Held { index: at.index, seen: at.seen })
    }

    /// `discharge`, the worker's: Foreign(me) → Idle, on the first word charged to the caller's
    /// command.
    pub fn discharge_own(self, me: WorkerId) -> Option<Freed> {
        self.sight().filter(|at| at.seen.is(State::Foreign, me)).find_map(|at| self.free(at))
    }

    /// `charge`, the supervisor's: Idle or Foreign(w) → Foreign(to). The command of `to` uses more
    /// CPUs than it has words for, and the word was idle or w's command uses fewer. The caller then
    /// checks whether the command of `to` still runs.
    #[must_use]
    pub fn charge(self, at: Sighting, to: WorkerId) -> Option<Sighting> {
        let is_free = at.seen.state() == Some(State::Idle) && !self.is_beyond(at.index);
        let is_charged = at.seen.state() == Some(State::Foreign);
        if is_free || is_charged { self.take(at, State::Foreign, to) } else { None }
    }

    /// `discharge`: Foreign(w) → Idle. `None` if the word has changed.
    pub fn discharge(self, at: Sighting) -> Option<Freed> {
        (at.seen.state() == Some(State::Foreign)).then(|| self.free(at))?
    }

    /// `revoke`: Granted(w) → Idle. The supervisor's, if w is vacant or slow to accept. `None` if
    /// the word has changed.
    pub fn revoke(self, at: Sighting) -> Option<Freed> {
        (at.seen.state() == Some(State::Granted)).then(|| self.free(at))?
    }

    /// `reclaim`: any(dead) → Idle, on every word of a worker whose death is confirmed. Returns
    /// their number. The caller passes the idle words on.
    pub fn reclaim(self, dead: WorkerId) -> u32 {
        let mut reclaimed = 0;
        for index in 0..self.words.len() as u16 {
            // A word of a dead owner changes only if another worker takes it (Blocked) or grants it
            // to the slot late (Granted). Both stop after a bounded number of rounds, since no
            // process reads the slot's announcement any more.
            while let Some(at) = self.sighted(index).filter(|at| at.seen.owner() == Some(dead)) {
                reclaimed += u32::from(self.free(at).is_some());
            }
        }
        reclaimed
    }

    /// One word as it is now; `None` if there is no such index.
    #[must_use]
    pub fn sighted(self, index: u16) -> Option<Sighting> {
        let seen = self.words.get(usize::from(index))?.load();
        Some(Sighting { index, seen })
    }

    fn is_beyond(self, index: u16) -> bool {
        u32::from(index) >= self.procs()
    }

    /// Lets a word go: to `Idle` or `Retired`. `None` if it has changed.
    fn free(self, at: Sighting) -> Option<Freed> {
        if self.is_beyond(at.index) {
            return self.take(at, State::Retired, 0).map(|_| Freed::Retired);
        }
        self.take(at, State::Idle, 0).map(Freed::Idle)
    }

    #[inline]
    fn take(self, at: Sighting, state: State, owner: WorkerId) -> Option<Sighting> {
        let seen = self.words.get(usize::from(at.index))?.change(at.seen, state, owner)?;
        Some(Sighting { index: at.index, seen })
    }

    fn own(
        self,
        index: u16,
        seen: Snapshot,
        state: State,
        owner: WorkerId,
    ) -> Result<Snapshot, Revoked> {
        self.words
            .get(usize::from(index))
            .and_then(|word| word.change(seen, state, owner))
            .ok_or(Revoked { index })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(n: u32) -> Tokens<'static> {
        let words: Vec<TokenWord> = (0..n).map(|_| TokenWord::new(State::Idle)).collect();
        Tokens::new(words.leak(), Box::leak(Box::new(AtomicU32::new(n))))
    }

    #[test]
    fn one_token_has_one_holder() {
        let tokens = tokens(1);
        let held = tokens.acquire(1).expect("it is idle");
        assert_eq!(tokens.acquire(2), None);
        let Freed::Idle(at) = tokens.release(held).expect("it is ours") else { panic!("in use") };
        assert!(tokens.grant(at, 2));
        assert_eq!(tokens.acquire(1), None, "granted is not idle");
        assert!(tokens.accept(2).is_some());
    }

    #[test]
    fn a_blocked_token_goes_back_or_on() {
        let tokens = tokens(1);
        let held = tokens.acquire(1).expect("idle");
        let away = tokens.enter(1, held);
        let held = tokens.exit(1, away).expect("no other worker wanted it");
        let away = tokens.enter(1, held);
        let at = tokens.sighted(0).expect("one word");
        assert!(tokens.retake(at, 2));
        assert_eq!(tokens.exit(1, away), None);
        assert!(!tokens.retake(at, 3), "an old sight");
    }

    #[test]
    fn a_commands_words_come_and_go_while_it_runs() {
        let tokens = tokens(3);
        let held = tokens.acquire(1).expect("idle");
        tokens.begin_foreign(1, held).expect("ours");
        let at = |index| tokens.sighted(index).expect("a word");
        assert!(matches!(tokens.discharge(at(0)), Some(Freed::Idle(_))));
        assert_eq!(tokens.end_foreign(1), None, "it waited, and another one uses the CPU");
        // It computes on two CPUs, one of which was another's.
        assert!(tokens.charge(at(0), 2).is_some());
        assert!(tokens.charge(at(0), 1).is_some());
        assert!(tokens.charge(at(1), 1).is_some());
        assert_eq!(tokens.end_foreign(2), None);
        let held = tokens.end_foreign(1).expect("charged");
        assert!(matches!(tokens.discharge_own(1), Some(Freed::Idle(_))), "the second one");
        assert_eq!(tokens.discharge_own(1), None);
        assert_eq!(tokens.charge(at(0), 2), None, "a worker holds it");
        let _ = tokens.release(held);
        assert_eq!(tokens.census().idle, 3);
    }

    #[test]
    fn a_stolen_token_is_lost_to_its_owner() {
        let tokens = tokens(1);
        let held = tokens.acquire(1).expect("idle");
        let away = tokens.enter(1, held);
        let at = tokens.sighted(0).expect("one word");
        let stolen = tokens.steal(2, at).expect("still blocked");
        assert_eq!(tokens.exit(1, away), None);
        assert!(tokens.release(stolen).is_ok());
    }

    #[test]
    fn the_dead_give_everything_back() {
        let tokens = tokens(4);
        let running = tokens.acquire(7).expect("idle");
        let blocked = tokens.acquire(7).expect("idle");
        let blocked = tokens.enter(7, blocked);
        let at = tokens.sighted(2).expect("a word");
        assert!(tokens.grant(at, 7));
        let at = tokens.sighted(3).expect("a word");
        assert!(tokens.charge(at, 7).is_some());
        assert_eq!(tokens.census().idle, 0);
        assert_eq!(tokens.reclaim(7), 4);
        assert_eq!(tokens.census().idle, 4);
        assert_eq!(tokens.release(running), Err(Revoked { index: 0 }), "a late act of the dead");
        assert_eq!(tokens.exit(7, blocked), None);
    }

    #[test]
    fn fewer_and_more_tokens() {
        let tokens = tokens(3);
        let held: Vec<Held> = (0..3).map(|me| tokens.acquire(me).expect("idle")).collect();
        let [first, second, third] = <[Held; 3]>::try_from(held).expect("three");
        tokens.set_procs(1);
        assert!(!tokens.settle());
        assert_eq!(tokens.census().running, 3, "a worker that uses one keeps it");
        assert_eq!(tokens.hand_off(second, 9), Ok(false), "until it lets go");
        assert_eq!(tokens.release(third), Ok(Freed::Retired));
        assert_eq!(tokens.hand_off(first, 9), Ok(true));
        assert_eq!((tokens.census().live, tokens.census().granted), (1, 1));
        tokens.set_procs(9);
        assert!(tokens.settle());
        assert_eq!((tokens.census().live, tokens.census().idle), (3, 2), "there are no more words");
    }

    #[test]
    fn an_idle_word_beyond_the_tokens_has_no_owner_until_it_is_retired() {
        let tokens = tokens(2);
        tokens.set_procs(1);
        let at = tokens.sighted(1).expect("a word");
        assert!(!tokens.grant(at, 5));
        assert!(tokens.acquire(5).is_some());
        assert_eq!(tokens.acquire(6), None);
        assert!(!tokens.settle());
        assert_eq!(tokens.census().live, 1);
    }
}
