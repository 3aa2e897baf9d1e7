//! The doorbell: how a worker wakes the supervisor's event loop, and only when it sleeps.

use std::os::fd::BorrowedFd;

use crate::sync::{AtomicU32, Ordering};

const AWAKE: u32 = 0;

/// Of so many completed tasks one rings for a supervisor that wants batches.
const BATCH: u16 = 64;

/// For what the supervisor wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Wants {
    /// For every outcome.
    Each = 1,
    /// For a batch of outcomes: there are so many that it would do nothing but wake up. It looks by
    /// itself soon.
    Batches = 2,
}

/// A word that says whether the supervisor sleeps, and the eventfd that wakes it.
#[derive(Clone, Copy, Debug)]
pub struct Bell<'a> {
    armed: &'a AtomicU32,
    eventfd: BorrowedFd<'a>,
}

impl<'a> Bell<'a> {
    /// The bell of this word and this eventfd.
    #[must_use]
    pub fn new(armed: &'a AtomicU32, eventfd: BorrowedFd<'a>) -> Bell<'a> {
        Bell { armed, eventfd }
    }

    /// Wakes the supervisor if it sleeps. Call it after what it shall see is in memory.
    pub fn ring(self) {
        // ORDERING: SeqCst. The news was written, then this is read; the supervisor arms, then reads
        // the news. One of them sees the other; pairs with `arm()`.
        if self.armed.load(Ordering::SeqCst) != AWAKE {
            self.ring_anyway();
        }
    }

    /// Wakes the supervisor if it sleeps and wants to know of this completed task slot now.
    pub fn ring_for(self, slot: u16) {
        // ORDERING: SeqCst, see `ring()`.
        let wants = self.armed.load(Ordering::SeqCst);
        if wants == Wants::Each as u32 || (wants != AWAKE && slot % BATCH == BATCH - 1) {
            self.ring_anyway();
        }
    }

    /// Wakes the supervisor, or keeps it from sleeping next.
    pub fn ring_anyway(self) {
        // Not a swap of `armed` and then a write: a worker stopped between the two would leave the
        // supervisor asleep with a bell that nobody rings. Several writes are harmless.
        let _ = rustix::io::write(self.eventfd, &1u64.to_ne_bytes());
    }

    /// The supervisor is about to sleep. It looks for news once more before it does.
    pub fn arm(self, wants: Wants) {
        // ORDERING: SeqCst, see `ring()`.
        self.armed.store(wants as u32, Ordering::SeqCst);
    }

    /// The supervisor is awake: nobody needs to ring. Empties the eventfd, which must not block.
    pub fn disarm(self) {
        self.armed.store(AWAKE, Ordering::SeqCst);
        let mut count = [0; 8];
        let _ = rustix::io::read(self.eventfd, &mut count);
    }
}
