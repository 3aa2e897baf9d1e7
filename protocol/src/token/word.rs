//! One token: a 64-bit word on a cache line of its own, and the states it can be in.

use std::fmt;

use crate::packed::{Packed, WorkerId};
use crate::sync::{AtomicU64, Ordering};

/// The states of a token word. Zero is no state: memory that was never set up is not a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Has no owner. Any process may take it.
    Idle = 1,
    /// Its owner uses it. Only the owner may change it.
    Running = 2,
    /// Its owner is in a blocking call and has the first right to it afterwards. **Any process**
    /// may take it.
    Blocked = 3,
    /// Its owner's command uses the CPU. The owner and the supervisor may change it.
    Foreign = 4,
    /// Handed to its owner, which has not accepted it yet. The owner and the supervisor may change
    /// it.
    Granted = 5,
    /// Beyond the current number of tokens. Only the supervisor may change it.
    Retired = 6,
}

impl State {
    fn from_byte(byte: u8) -> Option<State> {
        [
            State::Idle,
            State::Running,
            State::Blocked,
            State::Foreign,
            State::Granted,
            State::Retired,
        ]
        .into_iter()
        .find(|state| *state as u8 == byte)
    }

    /// Whether a word in this state belongs to a worker.
    #[must_use]
    pub fn has_owner(self) -> bool {
        !matches!(self, State::Idle | State::Retired)
    }
}

/// A snapshot of a token word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Snapshot(Packed);

impl Snapshot {
    /// The word's state, or `None` if the byte is no state: the word is corrupt.
    #[must_use]
    pub fn state(self) -> Option<State> {
        State::from_byte(self.0.state())
    }

    /// The owner, if the state has one.
    #[must_use]
    pub fn owner(self) -> Option<WorkerId> {
        self.state().filter(|state| state.has_owner()).map(|_| self.0.owner())
    }

    /// Whether the word is in `state` and owned by `owner`.
    #[must_use]
    pub fn is(self, state: State, owner: WorkerId) -> bool {
        self.0.state() == state as u8 && self.0.owner() == owner
    }

    /// The number of changes of the word so far, modulo 2^40.
    #[must_use]
    pub fn stamp(self) -> u64 {
        self.0.stamp()
    }

    fn next(self, state: State, owner: WorkerId) -> Snapshot {
        Snapshot(self.0.next(owner, state as u8))
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.state(), self.owner()) {
            (Some(state), Some(owner)) => write!(f, "{state:?}({owner})#{}", self.stamp()),
            (Some(state), None) => write!(f, "{state:?}#{}", self.stamp()),
            (None, _) => write!(f, "corrupt({:#018x})", self.0.raw()),
        }
    }
}

/// A token in shared memory: one word, alone on its cache line.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct TokenWord(AtomicU64);

impl TokenWord {
    /// A word in `state`, which must have no owner.
    #[must_use]
    pub fn new(state: State) -> TokenWord {
        TokenWord(AtomicU64::new(Packed::new(0, 0, state as u8).raw()))
    }

    /// The word as it is now.
    #[must_use]
    pub fn load(&self) -> Snapshot {
        // ORDERING: SeqCst. A waiter announces itself, then loads this word. A releaser changes
        // this word, then reads the announcements. Only a single total order of all four accesses
        // makes one see the other; pairs with `change()` and `Bits::set()`.
        Snapshot(Packed::from_raw(self.0.load(Ordering::SeqCst)))
    }

    /// The one way in which a token changes: from exactly `seen` to `state` and `owner`. Returns
    /// the new snapshot, or `None` if another process was first.
    #[inline]
    pub(crate) fn change(&self, seen: Snapshot, state: State, owner: WorkerId) -> Option<Snapshot> {
        let next = seen.next(state, owner);
        // ORDERING: SeqCst, see `load()`. As an acquire it also makes visible what the former owner
        // wrote before it let the token go.
        self.0
            .compare_exchange(seen.0.raw(), next.0.raw(), Ordering::SeqCst, Ordering::Relaxed)
            .ok()
            .map(|_| next)
    }

    /// Running(owner) → Blocked(owner), by the owner. Only the owner may change the word then, so a
    /// store suffices. Returns the new snapshot.
    #[inline]
    pub(crate) fn block(&self, seen: Snapshot, owner: WorkerId) -> Snapshot {
        let next = seen.next(State::Blocked, owner);
        // ORDERING: Release: the worker that takes the token acquires what its owner wrote; pairs
        // with `change()`. Whether to kick sysmon is read after `LightSide::pass()`.
        self.0.store(next.0.raw(), Ordering::Release);
        next
    }

    /// Overwrites the word before the first worker is started, when no other process can see it.
    #[cfg(feature = "create")]
    pub(crate) fn set_up(&self, state: State) {
        self.0.store(Packed::new(0, 0, state as u8).raw(), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bits_decode_without_a_panic(raw: u64) {
            let seen = Snapshot(Packed::from_raw(raw));
            let _ = (seen.state(), seen.owner(), format!("{seen:?}"));
        }
    }

    #[test]
    fn a_stale_sight_cannot_change_the_word() {
        let word = TokenWord::new(State::Idle);
        let stale = word.load();
        let held = word.change(stale, State::Running, 3).expect("first one wins");
        let idle = word.change(held, State::Idle, 0).expect("owner lets go");
        assert_eq!(idle.state(), Some(State::Idle));
        assert_eq!(word.change(stale, State::Running, 4), None, "same state, older stamp");
    }
}
