//! Outputs that wait for their turn (`-k`), when they are too many for memory.

use std::sync::Arc;

use super::Writer;
use crate::output::Delivery;
use crate::output::capture::nameless_file;
use crate::output::live::Live;

impl Writer {
    /// Moves what is held in memory to one more file, with what waits of running tasks; on failure
    /// it stays in memory.
    pub(super) fn spool_with(&mut self, live: Option<&mut Live>) {
        let Ok(file) = nameless_file(&self.style.folder).map(Arc::new) else { return };
        let held = self.held.values_mut().flat_map(|held| [&mut held.stdout, &mut held.stderr]);
        let mut at = held.fold(0, |at, piece| at + piece.spool(&file, at));
        self.held_in_memory = self.held.values().map(Delivery::in_memory).sum();
        if let Some(live) = live {
            for piece in live.pieces() {
                at += piece.spool(&file, at);
            }
            live.note_moved();
        }
    }
}
