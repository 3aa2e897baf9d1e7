//! Tells the threads that deal blocks that no more are wanted.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, eventfd};

/// Whether the run stops.
#[derive(Debug)]
pub(crate) struct DealEnd {
    is_set: AtomicBool,
    /// Can be read once it is set: what waits for a stream waits for this, too.
    bell: OwnedFd,
}

impl DealEnd {
    /// # Errors
    /// The kernel's.
    pub(crate) fn new() -> io::Result<DealEnd> {
        Ok(DealEnd { is_set: AtomicBool::new(false), bell: eventfd(0, EventfdFlags::CLOEXEC)? })
    }

    /// No new block is dealt from now on.
    pub(crate) fn set(&self) {
        // ORDERING: pairs with the load in `is_set`.
        if !self.is_set.swap(true, Ordering::AcqRel) {
            let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
        }
    }

    pub(super) fn is_set(&self) -> bool {
        // ORDERING: pairs with the swap in `set`.
        self.is_set.load(Ordering::Acquire)
    }

    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}
