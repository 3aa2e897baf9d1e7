//! A token that stays with its worker through blocking calls.

use super::Seat;
use crate::park::Park;
use crate::slot::{Pinned, count};

impl<P: Park> Seat<'_, P> {
    /// Keeps this worker's token in its blocking calls until [`Seat::unpin`]. One token stays for
    /// the other workers, unless there is only one. Returns false if all others are pinned.
    #[must_use]
    pub fn pin(&self) -> bool {
        if self.slot.pinned() != Pinned::No {
            return true;
        }
        self.slot.set_pinned(Pinned::Computing);
        let at_most = self.shared.tokens.procs().saturating_sub(1).max(1) as usize;
        if self.shared.line.pinned().count() > at_most {
            // Two workers that pin the last one at the same time may both be refused.
            self.slot.set_pinned(Pinned::No);
            return false;
        }
        count(&self.slot.counters.pins, 1);
        true
    }

    /// The token is given up in blocking calls again.
    pub fn unpin(&self) {
        self.slot.set_pinned(Pinned::No);
    }
}
