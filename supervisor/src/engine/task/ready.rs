//! The tasks that could start now, and which of them is next.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use super::emitted::EMITTED_FROM;
use super::table::TaskRecord;
use crate::engine::Turn;

/// Tasks without a slot that wait for nothing but one.
#[derive(Debug, Default)]
pub(super) struct Ready {
    /// Those that run again because an attempt failed or was lost. Only tasks of a higher rank go
    /// before them.
    again: VecDeque<TaskRecord>,
    /// Those whose time in the park is over. They take turns with those that never ran: a task that
    /// polls must not keep the others from ever running.
    woken: VecDeque<TaskRecord>,
    /// The last one that was taken had been parked, so that the next one never ran.
    woken_was_last: bool,
    /// Tasks of the input that never ran.
    fresh: VecDeque<TaskRecord>,
    /// Tasks of the input that have ranks and never ran, in their order.
    ranked: BTreeMap<(Reverse<Turn>, u64), TaskRecord>,
    /// Tasks that others have added and that never ran, by number. They run when no task of the
    /// input is ready: with `-k` their outputs wait for those of the whole input.
    added: BTreeMap<u64, TaskRecord>,
}

/// Where the next task is.
#[derive(Clone, Copy)]
enum Place {
    Again,
    Woken,
    Ranked,
    Fresh,
    Added,
}

/// The place of a task among those with ranks.
fn place(record: &TaskRecord) -> (Reverse<Turn>, u64) {
    (Reverse(record.turn), record.seq)
}

impl Ready {
    /// Takes in a task, behind those that are like it.
    pub(super) fn push(&mut self, record: TaskRecord) {
        match self.place_of(&record) {
            Place::Again => self.again.push_back(record),
            Place::Woken => self.woken.push_back(record),
            Place::Ranked => drop(self.ranked.insert(place(&record), record)),
            Place::Fresh => self.fresh.push_back(record),
            Place::Added => drop(self.added.insert(record.seq, record)),
        }
    }

    /// Takes back a task, before those that are like it.
    pub(super) fn put_back(&mut self, record: TaskRecord) {
        match self.place_of(&record) {
            Place::Again => self.again.push_front(record),
            Place::Woken => self.woken.push_front(record),
            Place::Ranked => drop(self.ranked.insert(place(&record), record)),
            Place::Fresh => self.fresh.push_front(record),
            Place::Added => drop(self.added.insert(record.seq, record)),
        }
    }

    fn place_of(&self, record: &TaskRecord) -> Place {
        match record {
            TaskRecord { state: Some(_), .. } => Place::Woken,
            TaskRecord { again: true, .. } => Place::Again,
            TaskRecord { seq, .. } if *seq >= EMITTED_FROM => Place::Added,
            TaskRecord { turn: Turn { rank: 1.., .. }, .. } => Place::Ranked,
            _ => Place::Fresh,
        }
    }

    /// Where the next one is; with `only_again`, the next one of those that have run before.
    fn next_place(&self, only_again: bool) -> Option<Place> {
        let never_ran = match (self.fresh.is_empty(), self.added.is_empty()) {
            _ if only_again => None,
            _ if !self.ranked.is_empty() => Some(Place::Ranked),
            (false, _) => Some(Place::Fresh),
            (true, false) => Some(Place::Added),
            (true, true) => None,
        };
        let woken = (!self.woken.is_empty()).then_some(Place::Woken);
        match self.again.front() {
            Some(again) if !only_again && self.is_outranked(again) => Some(Place::Ranked),
            Some(_) => Some(Place::Again),
            None if self.woken_was_last => never_ran.or(woken),
            None => woken.or(never_ran),
        }
    }

    /// Whether a task of a higher rank than this one is ready.
    fn is_outranked(&self, record: &TaskRecord) -> bool {
        let first = self.ranked.first_key_value();
        first.is_some_and(|(_, first)| first.turn.rank > record.turn.rank)
    }

    /// The next one.
    pub(super) fn next(&self) -> Option<&TaskRecord> {
        match self.next_place(false)? {
            Place::Again => self.again.front(),
            Place::Woken => self.woken.front(),
            Place::Ranked => self.ranked.first_key_value().map(|(_, record)| record),
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
            Place::Ranked => {
                self.woken_was_last = false;
                self.ranked.pop_first().map(|(_, record)| record)
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
        let ranked = self.ranked.keys().map(|(_, seq)| *seq);
        queued.chain(ranked).chain(self.added.first_key_value().map(|(seq, _)| *seq)).min()
    }

    /// Takes the task with this number.
    pub(super) fn take_numbered(&mut self, seq: u64) -> Option<TaskRecord> {
        for queue in [&mut self.again, &mut self.woken, &mut self.fresh] {
            if let Some(at) = queue.iter().position(|record| record.seq == seq) {
                return queue.remove(at);
            }
        }
        let ranked = self.ranked.keys().find(|(_, of)| *of == seq).copied();
        ranked.and_then(|key| self.ranked.remove(&key)).or_else(|| self.added.remove(&seq))
    }

    /// Sorts the tasks that never ran by expected duration, longest first.
    pub(super) fn order_longest_first(&mut self) {
        self.fresh.make_contiguous().sort_by_key(|record| Reverse(record.turn.expected));
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
        self.fresh.len() + self.ranked.len()
    }

    /// The bytes of this number of values of the input, if all are as long as the next one.
    pub(super) fn about_bytes(&self, count: usize) -> usize {
        let next = self.ranked.values().next().or(self.fresh.front());
        next.map_or(0, |record| record.value.len().saturating_mul(count))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::Tried;
    use crate::engine::task::table::Ledger;

    /// A task of this rank and number, which has run before if that is so.
    fn task((rank, seq, again): (u16, u64, bool)) -> TaskRecord {
        let turn = Turn { rank, expected: Duration::ZERO };
        let mut ledger = Ledger::new(1);
        ledger.accept(Vec::new(), turn, Tried::default(), Duration::ZERO);
        let slot = ledger.place(false, 1).expect("a free slot");
        let record = ledger.remove(slot).expect("just placed");
        TaskRecord { seq, again, ..record }
    }

    #[test]
    fn later_stages_go_before_retries_and_retries_before_their_own_stage() {
        let mut ready = Ready::default();
        let all = [(1, 1, false), (1, 2, true), (2, 3, true), (2, 4, false), (3, 5, false)];
        all.into_iter().for_each(|of| ready.push(task(of)));
        assert_eq!(ready.take(true).map(|record| record.seq), Some(2), "only those that ran");
        ready.put_back(task((1, 2, true)));
        let order = std::iter::from_fn(|| ready.take(false).map(|record| record.seq));
        assert_eq!(order.collect::<Vec<_>>(), [5, 4, 2, 3, 1]);
    }
}
