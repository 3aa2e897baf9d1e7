//! The doorbell: a worker wakes the supervisor's event loop with it, only when that sleeps.
//!
//! The word has a new number at each sleep. A worker that has rung for a sleep does not ring for it
//! again: until the supervisor runs, many tasks may be completed.

use std::cell::Cell;
use std::os::fd::BorrowedFd;

use crate::sync::{AtomicU64, Ordering};

/// The lowest bits of the word: what the supervisor wants. Above them is the number of its sleep.
const WANTS: u64 = 3;
const NEXT_SLEEP: u64 = WANTS + 1;

const AWAKE: u64 = 0;

/// For a supervisor that wants batches, one in this number of completed tasks rings.
const BATCH: u16 = 64;

/// When the supervisor wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Wants {
    /// After every outcome.
    Each = 1,
    /// After a batch of outcomes: waking up for each one would take all its time. It also looks by
    /// itself soon.
    Batches = 2,
}

/// What wakes the supervisor: the eventfd, or that of a model.
pub trait Signal {
    /// Wakes the supervisor, or keeps it from its next sleep.
    fn send(&self);
    /// Takes back what was sent.
    fn clear(&self);
}

impl Signal for BorrowedFd<'_> {
    fn send(&self) {
        let _ = rustix::io::write(self, &1u64.to_ne_bytes());
    }

    fn clear(&self) {
        let mut count = [0; 8];
        let _ = rustix::io::read(self, &mut count);
    }
}

/// A word that says whether the supervisor sleeps, and the eventfd that wakes it, which must be
/// non-blocking.
#[derive(Clone, Debug)]
pub struct Bell<'a, S = BorrowedFd<'a>> {
    word: &'a AtomicU64,
    signal: S,
    /// The word for which this process has rung last.
    rung_for: Cell<u64>,
}

impl<'a, S: Signal> Bell<'a, S> {
    /// The bell of this word and this eventfd.
    #[must_use]
    pub fn new(word: &'a AtomicU64, signal: S) -> Bell<'a, S> {
        Bell { word, signal, rung_for: Cell::new(AWAKE) }
    }

    /// Wakes the supervisor if it sleeps. Call it after the news is written.
    pub fn ring(&self) {
        self.ring_if(|wants| wants != AWAKE);
    }

    /// Wakes the supervisor if it sleeps and wants to know about this completed task slot now.
    pub fn ring_for(&self, slot: u16) {
        let ends_batch = slot % BATCH == BATCH - 1;
        self.ring_if(|wants| wants == Wants::Each as u64 || (wants != AWAKE && ends_batch));
    }

    fn ring_if(&self, is_wanted: impl FnOnce(u64) -> bool) {
        // ORDERING: SeqCst. The worker writes the news, then reads this word. The supervisor arms,
        // then reads the news. One of them sees the other; pairs with `arm()`.
        let word = self.word.load(Ordering::SeqCst);
        if is_wanted(word & WANTS) && self.rung_for.get() != word {
            self.signal.send();
            // This process remembers it, and not the word in shared memory: a worker that was
            // killed before it rang would leave the supervisor asleep with a bell that no other
            // worker rings. Several writes are harmless.
            self.rung_for.set(word);
        }
    }

    /// The supervisor is about to sleep. It must look for news once more before it does.
    pub fn arm(&self, wants: Wants) {
        let sleep = (self.word.load(Ordering::Relaxed) & !WANTS).wrapping_add(NEXT_SLEEP);
        // ORDERING: SeqCst, see `ring_if()`.
        self.word.store(sleep | wants as u64, Ordering::SeqCst);
    }

    /// The supervisor is awake: no worker needs to ring. It must look for news afterwards.
    pub fn disarm(&self) {
        let sleep = self.word.load(Ordering::Relaxed) & !WANTS;
        // ORDERING: SeqCst. The news of a worker that still sees the number of the last sleep, for
        // which it has rung, is written before this.
        self.word.store(sleep | AWAKE, Ordering::SeqCst);
        self.signal.clear();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use rustix::event::{EventfdFlags, eventfd};
    use std::os::fd::AsFd;

    /// How often the bell was rung since the last time.
    fn rung(eventfd: BorrowedFd<'_>) -> u64 {
        let mut count = [0; 8];
        rustix::io::read(eventfd, &mut count).map_or(0, |_| u64::from_ne_bytes(count))
    }

    #[test]
    fn a_worker_rings_once_for_each_sleep() {
        let eventfd = eventfd(0, EventfdFlags::NONBLOCK).expect("an eventfd");
        let word = AtomicU64::new(0);
        let [supervisor, first, second] = [(); 3].map(|()| Bell::new(&word, eventfd.as_fd()));
        first.ring_for(0);
        assert_eq!(rung(eventfd.as_fd()), 0, "awake");
        for _ in 0..2 {
            supervisor.arm(Wants::Each);
            first.ring_for(0);
            first.ring_for(1);
            first.ring();
            second.ring_for(2);
            assert_eq!(rung(eventfd.as_fd()), 2, "each of them once");
            supervisor.disarm();
            first.ring_for(3);
            assert_eq!(rung(eventfd.as_fd()), 0, "awake");
        }
        supervisor.arm(Wants::Batches);
        (0..63).for_each(|slot| first.ring_for(slot));
        assert_eq!(rung(eventfd.as_fd()), 0);
        first.ring_for(63);
        assert_eq!(rung(eventfd.as_fd()), 1, "a batch");
    }
}
