//! Two desks for the holders of two tokens: a third holder finds no free desk.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use crate::{is_alive, name_of};

/// The desks, as one process sees them. Both are in one word, a process id in each half, so that
/// one load shows both at the same instant.
#[derive(Debug)]
pub struct Desks<'a> {
    word: &'a AtomicU64,
    me: u32,
    name: String,
}

/// There are more token holders than tokens, as far as the desks tell.
#[derive(Debug)]
pub struct Violation(pub String);

impl<'a> Desks<'a> {
    /// The desks in this word, for the calling process. All processes that use them run the same
    /// program.
    ///
    /// # Panics
    /// If the process has no name.
    #[must_use]
    pub fn new(word: &'a AtomicU64) -> Desks<'a> {
        let me = std::process::id();
        Desks { word, me, name: name_of(me as i32).expect("we live") }
    }

    /// Sits down at a free desk, or at one whose owner is dead. The caller holds a token. A stopped
    /// process keeps its desk, as it keeps its token.
    ///
    /// # Errors
    /// Two other living processes sit there.
    pub fn sit(&self) -> Result<(), Violation> {
        loop {
            let seen = self.word.load(SeqCst);
            let [left, right] = owners(seen);
            let here = if left == 0 || left == self.me {
                [self.me, right]
            } else if right == 0 || right == self.me {
                [left, self.me]
            } else if !self.lives(left) {
                [self.me, right]
            } else if !self.lives(right) {
                [left, self.me]
            } else {
                // A process that lives now also lived when the word was read, and sat there.
                let me = self.me;
                return Err(Violation(format!("{me} has a token beside {left} and {right}")));
            };
            if self.word.compare_exchange(seen, word(here), SeqCst, SeqCst).is_ok() {
                return Ok(());
            }
        }
    }

    /// Stands up, before the token is released.
    ///
    /// # Errors
    /// Another process sits there now.
    pub fn stand_up(&self) -> Result<(), Violation> {
        loop {
            let seen = self.word.load(SeqCst);
            let gone = match owners(seen) {
                [left, right] if left == self.me => [0, right],
                [left, right] if right == self.me => [left, 0],
                [left, right] => {
                    let me = self.me;
                    let text = format!("{me} was driven out; {left} and {right} sit there");
                    return Err(Violation(text));
                }
            };
            if self.word.compare_exchange(seen, word(gone), SeqCst, SeqCst).is_ok() {
                return Ok(());
            }
        }
    }

    /// The process id may have been reused by another program.
    fn lives(&self, pid: u32) -> bool {
        is_alive(pid as i32) && name_of(pid as i32).as_ref() == Some(&self.name)
    }
}

fn owners(word: u64) -> [u32; 2] {
    [word as u32, (word >> 32) as u32]
}

fn word([left, right]: [u32; 2]) -> u64 {
    u64::from(right) << 32 | u64::from(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_holder_is_noticed_and_dead_ones_are_replaced() {
        let word = AtomicU64::new(0);
        let mine = Desks::new(&word);
        let name = mine.name.clone();
        let others = |me| Desks { word: &word, me, name: name.clone() };
        // Unused process ids: the kernel's highest one is 2^22.
        let (dead, buried) = (others(1 << 30), others(1 << 29));
        dead.sit().expect("free");
        buried.sit().expect("free");
        mine.sit().expect("dead");
        assert!(dead.stand_up().is_err(), "another process sits there");
        let [left, right] = owners(word.load(SeqCst));
        assert_eq!((left, right), (mine.me, 1 << 29));
        mine.stand_up().expect("it is ours");
        // Living processes sit at both desks: this one, as another process sees it.
        word.store(super::word([mine.me; 2]), SeqCst);
        assert!(dead.sit().is_err(), "no desk is free");
    }
}
