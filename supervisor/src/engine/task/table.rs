//! The table of unfinished tasks: which are ready, which is in which slot, and how often each was
//! tried.

mod asked;
mod returning;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use super::emitted::EmittedTasks;
use super::outcome::Ruling;
use super::ready::Ready;
use crate::engine::time::Now;
use crate::engine::{Tried, Turn};

/// Values are read ahead, and published beyond those that run, up to about this number of bytes:
/// batches may have megabytes each.
const BYTES_AHEAD: usize = 16 << 20;

/// A task that has no outcome yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TaskRecord {
    /// Its number in the input, from 1.
    pub(crate) seq: u64,
    /// Its input value.
    pub(crate) value: Vec<u8>,
    /// The number of the next or the running attempt, from 1.
    pub(crate) attempt: u32,
    /// How many attempts crashed their process.
    pub(crate) crashes: u32,
    /// How many attempts were killed from outside.
    pub(crate) outside: u32,
    /// How many were killed for lack of memory.
    pub(crate) starved: u32,
    /// How many failed otherwise.
    pub(crate) failures: u32,
    /// When it starts, if it never ran.
    pub(crate) turn: Turn,
    /// The number of threads that the next or the running attempt is advised to use.
    pub(crate) threads: u32,
    /// It was under way before.
    pub(crate) again: bool,
    /// The number of epochs in a row that were cut short while it may have been under way.
    pub(crate) epochs: u32,
    /// It may cause what brings the whole run down: it runs last, and alone.
    pub(crate) suspect: bool,
    /// How often that happened while it ran alone.
    pub(crate) strikes: u32,
    /// What it left when it parked last, if it has.
    pub(crate) state: Option<Box<[u8]>>,
    /// It has succeeded in an earlier generation and its output was lost: what it has emitted then
    /// counts, and nothing more.
    pub(crate) has_emitted: bool,
}

impl TaskRecord {
    /// Counts an attempt with this ruling.
    pub(super) fn count(&mut self, ruling: &Ruling) {
        match ruling {
            Ruling::Succeeded | Ruling::Parked(_) | Ruling::Stopped(_) => {}
            Ruling::Failed(_) | Ruling::Final(_) => self.failures += 1,
            Ruling::Crashed(_) => self.crashes += 1,
            Ruling::Outside(_) => self.outside += 1,
            Ruling::Starved(_) => self.starved += 1,
        }
    }
}

/// A task that has not run in this generation.
fn new_record(seq: u64, value: Vec<u8>, turn: Turn, tried: &Tried) -> TaskRecord {
    let Tried { attempts, failures, crashes, is_suspect, alone, has_emitted, .. } = *tried;
    TaskRecord {
        seq,
        value,
        attempt: attempts + 1,
        crashes,
        outside: 0,
        starved: 0,
        failures,
        turn,
        threads: 1,
        again: is_suspect,
        epochs: 0,
        suspect: is_suspect,
        strikes: alone,
        state: None,
        has_emitted,
    }
}

/// All tasks without an outcome.
#[derive(Debug)]
pub(crate) struct Ledger {
    ready: Ready,
    /// Tasks that wait before a retry or are parked, by the time at which the wait is over.
    waiting: BTreeMap<(Now, u64), TaskRecord>,
    /// Tasks that run when all others have finished, one at a time, the least suspicious first.
    suspects: BTreeMap<(u32, u64), TaskRecord>,
    slots: Vec<Option<TaskRecord>>,
    in_slots: usize,
    suspects_in_slots: usize,
    cursor: usize,
    /// The number of values of the input that were taken in.
    accepted: u64,
    /// How many of these numbers belong to no tasks of this run.
    others: u64,
    emitted: EmittedTasks,
    asked: asked::OpenQuestions,
}

impl Ledger {
    /// An empty table with this number of task slots.
    pub(crate) fn new(slots: usize) -> Ledger {
        Ledger {
            ready: Ready::default(),
            waiting: BTreeMap::new(),
            suspects: BTreeMap::new(),
            slots: (0..slots).map(|_| None).collect(),
            in_slots: 0,
            suspects_in_slots: 0,
            cursor: 0,
            accepted: 0,
            others: 0,
            emitted: EmittedTasks::new(),
            asked: asked::OpenQuestions::default(),
        }
    }

    /// Adds one more value, with what earlier generations know of its task.
    pub(crate) fn accept(&mut self, value: Vec<u8>, turn: Turn, tried: Tried, now: Now) {
        self.accepted += 1;
        let record = new_record(self.accepted, value, turn, &tried);
        self.add(record, tried, now);
    }

    /// The same for a task with this number that another one has emitted in an earlier generation.
    pub(crate) fn accept_emitted(&mut self, seq: u64, value: Vec<u8>, tried: Tried, now: Now) {
        let record = new_record(seq, value, Turn::NEXT, &tried);
        self.add(record, tried, now);
    }

    /// Takes in a task with this number once more, which has had its outcome after `attempts`.
    pub(crate) fn run_again(&mut self, seq: u64, value: Vec<u8>, attempts: u32) {
        let tried = Tried { attempts, ..Tried::default() };
        self.put_back(TaskRecord { again: true, ..new_record(seq, value, Turn::NEXT, &tried) });
    }

    /// Counts a task with this number that another one has emitted. Returns the first and the last
    /// of the numbers that are passed over, if any.
    pub(crate) fn count_emitted(&mut self, seq: u64) -> Option<(u64, u64)> {
        self.emitted.count(seq)
    }

    /// Emitted tasks get no number up to this one: earlier generations have given it. Returns the
    /// first and the last of the numbers that are passed over, if any.
    pub(crate) fn reserve(&mut self, last: u64) -> Option<(u64, u64)> {
        self.emitted.reserve(last)
    }

    /// Takes in what a task has emitted. It waits until [`Ledger::release`]. Returns the number of
    /// the first one.
    pub(crate) fn hold(&mut self, parent: u64, values: &[Vec<u8>]) -> u64 {
        self.emitted.hold(parent, values)
    }

    /// What this task has emitted may run.
    pub(crate) fn release(&mut self, parent: u64) {
        for (seq, value) in self.emitted.take(parent) {
            self.ready.push(new_record(seq, value, Turn::NEXT, &Tried::default()));
        }
    }

    /// What this task has emitted waits until all tasks before that one have finished.
    pub(crate) fn awaits_turn(&mut self, parent: u64) {
        self.emitted.awaits_turn(parent);
    }

    /// What this task has emitted never runs. Returns the numbers of the first and the last, if
    /// there are any.
    pub(crate) fn drop_held(&mut self, parent: u64) -> Option<(u64, u64)> {
        let mut numbers = self.emitted.take(parent).map(|(seq, _)| seq);
        let first = numbers.next()?;
        Some((first, numbers.last().unwrap_or(first)))
    }

    fn add(&mut self, mut record: TaskRecord, tried: Tried, now: Now) {
        let (wait, state) = tried
            .parked
            .map_or((Duration::ZERO, None), |(wait, state)| (wait, Some(state.into_boxed_slice())));
        record.state = state;
        if !wait.is_zero() {
            self.put_back_later(record, now + wait);
        } else if record.suspect {
            self.put_back(record);
        } else {
            self.ready.push(record);
        }
    }

    /// Skips a value. Returns its number.
    pub(crate) fn pass_over(&mut self) -> u64 {
        self.accepted += 1;
        self.accepted
    }

    /// The next values, this number of them, are no tasks of this run. Returns the first and the
    /// last of their numbers, if there are any.
    pub(crate) fn leave_to_others(&mut self, values: u64) -> Option<(u64, u64)> {
        let first = self.accepted + 1;
        self.accepted += values;
        self.others += values;
        (values > 0).then_some((first, self.accepted))
    }

    /// Skips all numbers below this one. Returns the first and the last skipped, if any.
    pub(crate) fn pass_over_to(&mut self, seq: u64) -> Option<(u64, u64)> {
        let (first, last) = (self.accepted + 1, seq.saturating_sub(1));
        self.accepted = self.accepted.max(last);
        (first <= last).then_some((first, last))
    }

    /// Moves the next ready task into the next free slot, to use `threads` threads; with
    /// `only_again`, only one that was tried before. `None` when there is no task or no slot, or a
    /// suspect runs.
    pub(crate) fn place(&mut self, only_again: bool, threads: u32) -> Option<u16> {
        if self.in_slots == self.slots.len() || self.suspects_in_slots > 0 {
            return None;
        }
        let record = self.ready.take(only_again)?;
        Some(self.put(record, threads))
    }

    /// The same for the next suspect, if nothing is under way and no other task is left but those
    /// that are parked, perhaps for hours.
    pub(crate) fn place_suspect(&mut self, threads: u32) -> Option<u16> {
        let has_parked = |record: &TaskRecord| record.state.is_some();
        // What was emitted may wait for the output of the suspect, see `awaits_turn`.
        let is_last = self.in_slots == 0 && self.ready.is_empty() && self.emitted.are_behind();
        if !is_last || !self.waiting.values().all(has_parked) {
            return None;
        }
        let (_, record) = self.suspects.pop_first()?;
        Some(self.put(record, threads))
    }

    /// The same for the unfinished task with the lowest number, be it a suspect, if nothing is
    /// under way: with `-k`, all outputs that wait to be written wait for its output.
    pub(crate) fn place_lowest(&mut self, threads: u32) -> Option<u16> {
        if self.in_slots > 0 {
            return None;
        }
        let suspect = self.suspects.keys().min_by_key(|(_, seq)| *seq).copied();
        let waiting = self.waiting.keys().map(|(_, seq)| *seq).min();
        let others = [self.ready.lowest(), waiting].into_iter().flatten().min();
        let record = match (suspect, others) {
            (Some(key), others) if others.is_none_or(|seq| key.1 < seq) => {
                self.suspects.remove(&key)
            }
            (_, others) => self.ready.take_numbered(others?),
        };
        record.map(|record| self.put(record, threads))
    }

    /// Puts a task into the next free slot. There must be one.
    fn put(&mut self, record: TaskRecord, threads: u32) -> u16 {
        while self.slots[self.cursor].is_some() {
            self.cursor = (self.cursor + 1) % self.slots.len();
        }
        let slot = self.cursor;
        self.cursor = (self.cursor + 1) % self.slots.len();
        self.suspects_in_slots += usize::from(record.suspect);
        self.slots[slot] = Some(TaskRecord { threads, ..record });
        self.in_slots += 1;
        slot as u16
    }

    /// The task in a slot.
    pub(crate) fn at(&self, slot: u16) -> Option<&TaskRecord> {
        self.slots.get(usize::from(slot))?.as_ref()
    }

    /// Takes the task out of a slot.
    pub(crate) fn remove(&mut self, slot: u16) -> Option<TaskRecord> {
        let record = self.slots.get_mut(usize::from(slot))?.take()?;
        self.in_slots -= 1;
        self.suspects_in_slots -= usize::from(record.suspect);
        Some(record)
    }

    /// Whether the next task may have been under way in an epoch that was cut short.
    pub(crate) fn next_was_in_a_cut_epoch(&self) -> bool {
        self.ready.next().is_some_and(|next| next.epochs > 0)
    }

    /// Sorts the tasks by expected duration, longest first.
    pub(crate) fn order_longest_first(&mut self) {
        self.ready.order_longest_first();
    }

    /// Drops all tasks without a slot; returns how many.
    pub(crate) fn drop_pending(&mut self) -> u64 {
        let dropped = self.left() - self.in_slots;
        self.emitted.drop_waiting();
        self.asked.drop_waiting();
        self.suspects.clear();
        self.ready.clear();
        self.waiting.clear();
        dropped as u64
    }

    /// The slots that hold a task, in the order in which these tasks start.
    pub(crate) fn in_order(&self) -> Vec<u16> {
        let mut slots: Vec<u16> = self.occupied().collect();
        slots.sort_by_key(|slot| self.at(*slot).map(|record| (Reverse(record.turn), record.seq)));
        slots
    }

    /// The slots that hold a task.
    pub(crate) fn occupied(&self) -> impl Iterator<Item = u16> + '_ {
        (0..self.slots.len() as u16).filter(|slot| self.at(*slot).is_some())
    }

    /// Whether a task could start.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether a task could start, or could once others have finished.
    pub(crate) fn has_unplaced(&self) -> bool {
        self.has_ready() || !self.suspects.is_empty()
    }

    /// The number of tasks of the input that could start and never ran.
    pub(crate) fn fresh(&self) -> usize {
        self.ready.of_input()
    }

    /// Whether the values of those tasks are many bytes together.
    pub(crate) fn is_large(&self) -> bool {
        self.ready.about_bytes(self.fresh()) >= BYTES_AHEAD
    }

    /// Whether the values in slots and the next one are many bytes together, if they are all about
    /// as long.
    pub(crate) fn is_next_large(&self) -> bool {
        self.ready.about_bytes(self.in_slots + 1) >= BYTES_AHEAD
    }

    /// The number of unfinished tasks.
    pub(crate) fn left(&self) -> usize {
        let elsewhere = self.waiting.len() + self.suspects.len() + self.emitted.waiting();
        self.ready.len() + elsewhere + self.asked.waiting() + self.in_slots
    }

    pub(crate) fn in_slots(&self) -> usize {
        self.in_slots
    }

    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The number of values of the input that were taken in.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted
    }

    /// The number of tasks that were taken in.
    pub(crate) fn taken_in(&self) -> u64 {
        self.accepted - self.others + self.emitted.taken_in()
    }

    /// The number of tasks, and of values that are none of this run.
    pub(crate) fn last_number(&self) -> u64 {
        self.accepted + self.emitted.taken_in()
    }

    /// Whether tasks have emitted others.
    pub(crate) fn has_emitted(&self) -> bool {
        self.emitted.taken_in() > 0
    }

    /// Whether every task that was taken in has its outcome.
    pub(crate) fn is_empty(&self) -> bool {
        self.left() == 0
    }
}

#[cfg(test)]
mod tests;
