//! Tasks that the user is asked about before they start (`-p`): until the answer is there, such a
//! task is in no slot.

use std::collections::BTreeSet;

use super::{Ledger, TaskRecord};

/// What was asked, and what was answered.
#[derive(Debug, Default)]
pub(super) struct OpenQuestions {
    /// The task that the user is being asked about.
    record: Option<TaskRecord>,
    /// The numbers of tasks that may start and have not started.
    allowed: BTreeSet<u64>,
}

impl OpenQuestions {
    /// The number of tasks that wait for an answer.
    pub(super) fn waiting(&self) -> usize {
        usize::from(self.record.is_some())
    }

    pub(super) fn drop_waiting(&mut self) {
        self.record = None;
    }
}

impl Ledger {
    /// Whether a task waits for an answer.
    pub(crate) fn is_asking(&self) -> bool {
        self.asked.waiting() > 0
    }

    /// Takes the task of this slot out of it to ask about it, unless it may start. Returns its
    /// number and its value.
    pub(crate) fn ask_about(&mut self, slot: u16) -> Option<(u64, Vec<u8>)> {
        let seq = self.at(slot)?.seq;
        if self.asked.allowed.remove(&seq) {
            return None;
        }
        let record = self.remove(slot)?;
        let value = record.value.clone();
        self.asked.record = Some(record);
        Some((seq, value))
    }

    /// This task may start: the user has said so.
    pub(crate) fn allow(&mut self, seq: u64) {
        if let Some(record) = self.take_asked(seq) {
            self.keep_allowed(seq);
            self.put_back(record);
        }
    }

    /// This task may start, though it is withdrawn now.
    pub(crate) fn keep_allowed(&mut self, seq: u64) {
        self.asked.allowed.insert(seq);
    }

    /// Takes out this task, if it waits for an answer.
    pub(crate) fn take_asked(&mut self, seq: u64) -> Option<TaskRecord> {
        self.asked.record.take_if(|record| record.seq == seq)
    }
}
