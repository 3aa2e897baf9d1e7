//! Tasks that other tasks have emitted: their numbers, and where they wait until the ends of these
//! are in the journal.

use std::collections::{BTreeMap, BTreeSet};

/// The number of the first task that another one has emitted. No list has as many values.
pub(crate) const EMITTED_FROM: u64 = 1_000_000_000_001;

/// The emitted tasks of a run.
#[derive(Debug)]
pub(super) struct EmittedTasks {
    /// The values of those that wait, with the number of the first one, by the numbers of the tasks
    /// that have emitted them.
    held: BTreeMap<u64, (u64, Vec<Vec<u8>>)>,
    waiting: usize,
    /// The tasks that have emitted some of them and whose ends wait for those of all tasks before
    /// them.
    behind: BTreeSet<u64>,
    /// The number of the next one, and how many were taken in.
    next: u64,
    taken_in: u64,
}

impl EmittedTasks {
    pub(super) fn new() -> EmittedTasks {
        let (held, behind) = (BTreeMap::new(), BTreeSet::new());
        EmittedTasks { held, waiting: 0, behind, next: EMITTED_FROM, taken_in: 0 }
    }

    /// Counts one with this number, from an earlier generation. Returns the first and the last of
    /// the numbers that are passed over, if any.
    pub(super) fn count(&mut self, seq: u64) -> Option<(u64, u64)> {
        self.taken_in += 1;
        self.reserve_to(seq.saturating_sub(1), seq + 1)
    }

    /// No new one gets a number up to this one: earlier generations have given it. Returns the
    /// first and the last of the numbers that are passed over, if any.
    pub(super) fn reserve(&mut self, last: u64) -> Option<(u64, u64)> {
        self.reserve_to(last, last + 1)
    }

    fn reserve_to(&mut self, last: u64, next: u64) -> Option<(u64, u64)> {
        let first = self.next;
        self.next = first.max(next);
        (first <= last).then_some((first, last))
    }

    /// Takes in what a task has emitted. Returns the number of the first one.
    pub(super) fn hold(&mut self, parent: u64, values: &[Vec<u8>]) -> u64 {
        let first = self.next;
        self.held.insert(parent, (first, values.to_vec()));
        self.waiting += values.len();
        self.taken_in += values.len() as u64;
        self.next += values.len() as u64;
        first
    }

    /// What this task has emitted does not wait any more.
    pub(super) fn take(&mut self, parent: u64) -> impl ExactSizeIterator<Item = (u64, Vec<u8>)> {
        self.behind.remove(&parent);
        let (first, values) = self.held.remove(&parent).unwrap_or_default();
        self.waiting -= values.len();
        values.into_iter().enumerate().map(move |(at, value)| (first + at as u64, value))
    }

    /// Drops all that wait.
    pub(super) fn drop_waiting(&mut self) {
        self.held.clear();
        self.behind.clear();
        self.waiting = 0;
    }

    /// The end of this task waits for those of all tasks before it.
    pub(super) fn awaits_turn(&mut self, parent: u64) {
        if self.held.contains_key(&parent) {
            self.behind.insert(parent);
        }
    }

    /// Whether all that wait, wait for tasks before those that have emitted them.
    pub(super) fn are_behind(&self) -> bool {
        self.held.len() == self.behind.len()
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// How many were taken in.
    pub(super) fn taken_in(&self) -> u64 {
        self.taken_in
    }
}
