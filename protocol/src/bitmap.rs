//! Bitmaps in shared memory: hints about which slots are worth checking.

use crate::sync::{AtomicU64, Ordering};

/// A set of small numbers. A bit may be stale: readers check the slot it points at.
#[derive(Clone, Copy, Debug)]
pub struct Bits<'a> {
    words: &'a [AtomicU64],
}

impl<'a> Bits<'a> {
    /// The set kept in these words.
    #[must_use]
    pub fn new(words: &'a [AtomicU64]) -> Bits<'a> {
        Bits { words }
    }

    /// The number of words that a set of `n` members needs.
    #[must_use]
    pub const fn words_for(n: usize) -> usize {
        n.div_ceil(64)
    }

    /// Adds `member`.
    pub fn set(self, member: u16) {
        if let Some(word) = self.words.get(usize::from(member) / 64) {
            // ORDERING: SeqCst. The first half of the Dekker pairs of a waiter and of a completion;
            // pairs with `TokenWord::load()` of a rescan and with the loads in `iter()`.
            word.fetch_or(1 << (member % 64), Ordering::SeqCst);
        }
    }

    /// Removes `member`.
    pub fn clear(self, member: u16) {
        if let Some(word) = self.words.get(usize::from(member) / 64) {
            // ORDERING: SeqCst, so that the declines after it see a grant made before it.
            word.fetch_and(!(1 << (member % 64)), Ordering::SeqCst);
        }
    }

    /// Whether the set contains `member`.
    #[must_use]
    pub fn has(self, member: u16) -> bool {
        // ORDERING: SeqCst, see `iter()`.
        self.words
            .get(usize::from(member) / 64)
            .is_some_and(|word| word.load(Ordering::SeqCst) >> (member % 64) & 1 == 1)
    }

    /// Whether the set has any member.
    #[must_use]
    pub fn any(self) -> bool {
        // ORDERING: SeqCst, see `iter()`.
        self.words.iter().any(|word| word.load(Ordering::SeqCst) != 0)
    }

    /// The number of members.
    #[must_use]
    pub fn count(self) -> u32 {
        self.words.iter().map(|word| word.load(Ordering::Relaxed).count_ones()).sum()
    }

    /// The members in ascending order; each word is read when the iteration reaches it.
    pub fn iter(self) -> impl Iterator<Item = u16> + 'a {
        // ORDERING: SeqCst. The second half of a releaser's Dekker pair; pairs with `set()`.
        self.drain_with(|word| word.load(Ordering::SeqCst))
    }

    /// The members in ascending order; each word is emptied when the iteration reaches it.
    pub fn drain(self) -> impl Iterator<Item = u16> + 'a {
        self.drain_with(|word| match word.load(Ordering::SeqCst) {
            0 => 0,
            // ORDERING: SeqCst. Acquires what each member wrote before it added itself.
            _ => word.swap(0, Ordering::SeqCst),
        })
    }

    fn drain_with(self, read: fn(&AtomicU64) -> u64) -> impl Iterator<Item = u16> + 'a {
        self.words.iter().enumerate().flat_map(move |(at, word)| {
            let mut rest = read(word);
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros();
                (rest != 0).then(|| {
                    rest &= rest - 1;
                    (at * 64) as u16 + bit as u16
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_and_go() {
        let words: Vec<AtomicU64> = (0..2).map(|_| AtomicU64::new(0)).collect();
        let bits = Bits::new(&words);
        for member in [0, 63, 64, 127] {
            bits.set(member);
        }
        bits.clear(63);
        bits.set(999);
        assert_eq!(bits.iter().collect::<Vec<_>>(), [0, 64, 127]);
        assert!(bits.has(64) && !bits.has(63) && !bits.has(999));
        assert_eq!(bits.count(), 3);
        assert_eq!(bits.drain().collect::<Vec<_>>(), [0, 64, 127]);
        assert!(!bits.any());
    }
}
