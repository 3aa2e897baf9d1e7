//! How tasks come back to the table: withdrawn ones, and those that must run again.

use super::{Ledger, TaskRecord};
use crate::engine::time::Now;

impl Ledger {
    /// Takes back the task in a slot, which no worker has claimed. Of several the last one is taken
    /// back first. The next task goes into this slot. The slots are a ring, at which workers look
    /// from the first unclaimed one on: further on, the task might stand behind later ones.
    pub(crate) fn take_back(&mut self, slot: u16) -> Option<TaskRecord> {
        let record = self.remove(slot)?;
        self.cursor = usize::from(slot);
        Some(record)
    }

    /// Puts back a task that was withdrawn or must run again: after all others if it is a suspect,
    /// else before those that are like it.
    pub(crate) fn put_back(&mut self, record: TaskRecord) {
        if record.suspect {
            self.suspects.insert((record.strikes, record.seq), record);
        } else {
            self.ready.put_back(record);
        }
    }

    /// Puts back a task that must not run again before `due`.
    pub(crate) fn put_back_later(&mut self, record: TaskRecord, due: Now) {
        self.waiting.insert((due, record.seq), record);
    }

    /// Puts back the tasks whose wait is over: those that were parked behind each other.
    pub(crate) fn wake(&mut self, now: Now) {
        while let Some(first) = self.waiting.first_entry().filter(|first| first.key().0 <= now) {
            let record = first.remove();
            match record.state.is_some() && !record.suspect {
                true => self.ready.push(record),
                false => self.put_back(record),
            }
        }
    }

    /// When the first wait is over.
    pub(crate) fn wakes_at(&self) -> Option<Now> {
        self.waiting.first_key_value().map(|((due, _), _)| *due)
    }
}
