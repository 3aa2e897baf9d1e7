//! The tasks that could start now, and which of them is next.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use super::emitted::EMITTED_FROM;
use super::table::TaskRecord;

/// Tasks without a slot that wait for nothing but one.
#[derive(Debug, Default)]
pub(super) struct Ready {
    /// Those that run again because an attempt failed or was lost. They go first.
    again: VecDeque<TaskRecord>,
    /// Those whose time in the park is over. They take turns with those that never ran: a task that
    /// polls must not keep the others from ever running.
    woken: VecDeque<TaskRecord>,
    /// The last one that was taken had been parked, so that the next one never ran.
    woken_was_last: bool,
    /// Tasks of the input that never ran.
    fresh: VecDeque<TaskRecord>,
    /// Tasks that others have added and that never ran, by number. They run when no task of the
    /// input is ready: with `-k` their outputs wait for those of the whole input.
    added: BTreeMap<u64, TaskRecord>,
}

/// Where the next task is.
#[derive(Clone, Copy)]
enum Place {
    Again,
    Woken,
    Fresh,
    Added,
}

impl Ready {
    /// Takes in a task, behind those that are like it.
    pub(super) fn push(&mut self, record: TaskRecord) {
        match self.place_of(&record) {
            Place::Again => self.again.push_back(record),
            Place::Woken => self.woken.push_back(record),
            Place::Fresh => self.fresh.push_back(record),
            Place::Added => drop(self.added.insert(record.seq, record)),
        }
    }

    /// Takes back a task, before those that are like it.
    pub(super) fn put_back(&mut self, record: TaskRecord) {
        match self.place_of(&record) {
            Place::Again => self.again.push_front(record),
            Place::Woken => self.woken.push_front(record),
            Place::Fresh => self.fresh.push_front(record),
            Place::Added => drop(self.added.insert(record.seq, record)),
        }
    }

    fn place_of(&self, record: &TaskRecord) -> Place {
        match record {
            TaskRecord { state: Some(_), .. } => Place::Woken,
            TaskRecord { again: true, .. } => Place::Again,
            TaskRecord { seq, .. } if *seq >= EMITTED_FROM => Place::Added,
            _ => Place::Fresh,
        }
    }

    /// Where the next one is; with `only_again`, the next one of those that have run before.
    fn next_place(&self, only_again: bool) -> Option<Place> {
        let never_ran = match (self.fresh.is_empty(), self.added.is_empty()) {
            _ if only_again => None,
            (false, _) => Some(Place::Fresh),
            (true, false) => Some(Place::Added),
            (true, true) => None,
        };
        let woken = (!self.woken.is_empty()).then_some(Place::Woken);
        match self.again.is_empty() {
            false => Some(Place::Again),
            true if self.woken_was_last => never_ran.or(woken),
            true => woken.or(never_ran),
        }
    }

    /// The next one.
    pub(super) fn next(&self) -> Option<&TaskRecord> {
        match self.next_place(false)? {
            Place::Again => self.again.front(),
            Place::Woken => self.woken.front(),
            Place::Fresh => self.fresh.front(),
            Place::Added => self.added.first_key_value().map(|(_, record)| record),
        }
    }

    /// Takes the next one; with `only_again`, the next one of those that have run before.
    pub(super) fn take(&mut self, only_again: bool) -> Option<TaskRecord> {
        match self.next_place(only_again)? {
            Place::Again => self.again.pop_front(),
            Place::Woken => {
                self.woken_was_last = true;
                self.woken.pop_front()
            }
            Place::Fresh => {
                self.woken_was_last = false;
                self.fresh.pop_front()
            }
            Place::Added => {
                self.woken_was_last = false;
                self.added.pop_first().map(|(_, record)| record)
            }
        }
    }

    /// The lowest number of a task.
    pub(super) fn lowest(&self) -> Option<u64> {
        let queues = [&self.again, &self.woken, &self.fresh];
        let queued = queues.into_iter().flatten().map(|record| record.seq);
        queued.chain(self.added.first_key_value().map(|(seq, _)| *seq)).min()
    }

    /// Takes the task with this number.
    pub(super) fn take_numbered(&mut self, seq: u64) -> Option<TaskRecord> {
        for queue in [&mut self.again, &mut self.woken, &mut self.fresh] {
            if let Some(at) = queue.iter().position(|record| record.seq == seq) {
                return queue.remove(at);
            }
        }
        self.added.remove(&seq)
    }

    /// Sorts the tasks that never ran by expected duration, longest first.
    pub(super) fn order_longest_first(&mut self) {
        self.fresh.make_contiguous().sort_by_key(|record| Reverse(record.expected));
    }

    pub(super) fn clear(&mut self) {
        *self = Ready::default();
    }

    pub(super) fn len(&self) -> usize {
        self.again.len() + self.woken.len() + self.of_input() + self.added.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of those of the input that never ran.
    pub(super) fn of_input(&self) -> usize {
        self.fresh.len()
    }
}
