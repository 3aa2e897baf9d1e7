//! The doorbell: a worker wakes the supervisor's event loop with it, only when that sleeps.

use std::os::fd::BorrowedFd;

use crate::sync::{AtomicU32, Ordering};

const AWAKE: u32 = 0;

/// For a supervisor that wants batches, one in this number of completed tasks rings.
const BATCH: u16 = 64;

/// When the supervisor wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Wants {
    /// After every outcome.
    Each = 1,
    /// After a batch of outcomes: waking up for each one would take all its time. It also looks by
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

    /// Wakes the supervisor if it sleeps. Call it after the news is written.
    pub fn ring(self) {
        // ORDERING: SeqCst. The worker writes the news, then reads this word. The supervisor arms,
        // then reads the news. One of them sees the other; pairs with `arm()`.
        if self.armed.load(Ordering::SeqCst) != AWAKE {
            self.ring_anyway();
        }
    }

    /// Wakes the supervisor if it sleeps and wants to know about this completed task slot now.
    pub fn ring_for(self, slot: u16) {
        // ORDERING: SeqCst, see `ring()`.
        let wants = self.armed.load(Ordering::SeqCst);
        if wants == Wants::Each as u32 || (wants != AWAKE && slot % BATCH == BATCH - 1) {
            self.ring_anyway();
        }
    }

    /// Wakes the supervisor, or keeps it from its next sleep.
    pub fn ring_anyway(self) {
        // Not a swap of `armed` followed by a write: a worker stopped between the two would leave
        // the supervisor asleep with a bell that no other worker rings. Several writes are
        // harmless.
        let _ = rustix::io::write(self.eventfd, &1u64.to_ne_bytes());
    }

    /// The supervisor is about to sleep. It must look for news once more before it does.
    pub fn arm(self, wants: Wants) {
        // ORDERING: SeqCst, see `ring()`.
        self.armed.store(wants as u32, Ordering::SeqCst);
    }

    /// The supervisor is awake: no worker needs to ring. Empties the eventfd, which must be
    /// non-blocking.
    pub fn disarm(self) {
        self.armed.store(AWAKE, Ordering::SeqCst);
        let mut count = [0; 8];
        let _ = rustix::io::read(self.eventfd, &mut count);
    }
}
