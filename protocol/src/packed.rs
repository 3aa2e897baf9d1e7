//! The bits of every ownership word: `[stamp 40][owner 16][state 8]`.
//!
//! Token words and task words have the same shape: a state, an owner, and a stamp that goes up by
//! one at every change, so that a compare-and-swap prepared from a stale snapshot of the word
//! fails.

use std::fmt;

/// A worker's slot number: its name in shared memory. Valid until the supervisor vacates the slot.
pub type WorkerId = u16;

const OWNER_SHIFT: u32 = 8;
const STAMP_SHIFT: u32 = 24;
const STAMP_MASK: u64 = (1 << 40) - 1;

/// A snapshot of an ownership word, as a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Packed(u64);

impl Packed {
    /// The word with these parts; the stamp is taken modulo 2^40.
    #[must_use]
    pub const fn new(stamp: u64, owner: WorkerId, state: u8) -> Packed {
        Packed((stamp & STAMP_MASK) << STAMP_SHIFT | (owner as u64) << OWNER_SHIFT | state as u64)
    }

    /// The word as loaded from memory. Any value is allowed; readers of the state check it.
    #[must_use]
    pub const fn from_raw(raw: u64) -> Packed {
        Packed(raw)
    }

    /// The word as it stands in memory.
    #[must_use]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// The state's byte.
    #[must_use]
    pub const fn state(self) -> u8 {
        self.0 as u8
    }

    /// The owner's slot; meaningless in states that have no owner.
    #[must_use]
    pub const fn owner(self) -> WorkerId {
        (self.0 >> OWNER_SHIFT) as WorkerId
    }

    /// The number of changes of the word so far, modulo 2^40.
    #[must_use]
    pub const fn stamp(self) -> u64 {
        self.0 >> STAMP_SHIFT
    }

    /// The word after a change to `state` and `owner`: the stamp goes up by one.
    #[must_use]
    pub const fn next(self, owner: WorkerId, state: u8) -> Packed {
        Packed::new(self.stamp().wrapping_add(1), owner, state)
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} {} {}]", self.stamp(), self.owner(), self.state())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_survive_packing(stamp in 0u64..1 << 40, owner: u16, state: u8) {
            let word = Packed::new(stamp, owner, state);
            prop_assert_eq!((word.stamp(), word.owner(), word.state()), (stamp, owner, state));
            prop_assert_eq!(Packed::from_raw(word.raw()), word);
        }

        #[test]
        fn every_change_changes_the_word(raw: u64, owner: u16, state: u8) {
            let word = Packed::from_raw(raw);
            let next = word.next(owner, state);
            prop_assert_ne!(next, word);
            prop_assert_eq!(next.stamp(), (word.stamp() + 1) % (1 << 40));
        }
    }
}
