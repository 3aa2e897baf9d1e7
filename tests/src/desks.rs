//! Two desks for those who hold one of two tokens: a third holder has no place to sit.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use crate::{is_alive, name_of};

/// The desks, as one process sees them. Both stand in one word, a process id in each half, so that
/// one look sees who sat at both at the same instant.
#[derive(Debug)]
pub struct Desks<'a> {
    word: &'a AtomicU64,
    me: u32,
    name: String,
}

/// Somebody has a token too many, as far as the desks tell.
#[derive(Debug)]
pub struct Violation(pub String);

impl<'a> Desks<'a> {
    /// The desks in this word, for the calling process. All who sit there run the same program.
    ///
    /// # Panics
    /// When the process has no name.
    #[must_use]
    pub fn new(word: &'a AtomicU64) -> Desks<'a> {
        let me = std::process::id();
        Desks { word, me, name: name_of(me as i32).expect("we live") }
    }

    /// Sits down at a free desk, or at one whose owner is dead. The caller holds a token. Who is only
    /// stopped keeps its desk, as it keeps its token.
    ///
    /// # Errors
    /// Two others, both alive, sit there.
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
                // Whoever lives now has lived when the word was read, and sat there.
                let me = self.me;
                return Err(Violation(format!("{me} has a token beside {left} and {right}")));
            };
            if self.word.compare_exchange(seen, word(here), SeqCst, SeqCst).is_ok() {
                return Ok(());
            }
        }
    }

    /// Stands up, before the token is given up.
    ///
    /// # Errors
    /// Somebody else sits there now.
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

    /// A process id may be in use again, by some other program.
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
    fn a_third_is_noticed_and_the_dead_are_not_minded() {
        let word = AtomicU64::new(0);
        let mine = Desks::new(&word);
        let name = mine.name.clone();
        let others = |me| Desks { word: &word, me, name: name.clone() };
        // Process ids of nobody: the kernel gives out no larger ones than 2^22.
        let (dead, buried) = (others(1 << 30), others(1 << 29));
        dead.sit().expect("free");
        buried.sit().expect("free");
        mine.sit().expect("dead");
        assert!(dead.stand_up().is_err(), "somebody else sits there");
        let [left, right] = owners(word.load(SeqCst));
        assert_eq!((left, right), (mine.me, 1 << 29));
        mine.stand_up().expect("it is ours");
        // Both desks taken by somebody who lives: ourselves, as another process sees it.
        word.store(super::word([mine.me; 2]), SeqCst);
        assert!(dead.sit().is_err(), "no desk is free");
    }
}
