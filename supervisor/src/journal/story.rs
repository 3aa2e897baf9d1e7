//! What a journal says of each task: its end, or the history of its attempts.

use std::collections::{BTreeMap, HashMap};

use msup_protocol::in_flight::Entry;

use super::outputs::KeptFor;
use super::record::{Added, Again, AgainKind, Bytes, End, Intent, Parked, Record, Start, State};
use crate::engine::EMITTED_FROM;

/// The cause of an attempt that had finished, but msup died before that could be journaled.
const UNHEARD: &str = "msup was gone before it was written down";

/// A task, as the journal names it: by its number and its value. The same number may belong to
/// another value after the input was changed.
pub(crate) type Name = (u64, Vec<u8>);

/// What is known of a finished task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) state: State,
    pub(crate) cause: Option<String>,
    pub(crate) attempt: u32,
    /// It was quarantined after it had been in flight when a generation died.
    pub(super) is_suspect: bool,
    /// No attempt before it was unrecorded.
    pub(super) is_exact: bool,
}

/// What is known of an unfinished task.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Story {
    /// The last attempt that has started.
    pub(crate) attempts: u32,
    /// No attempt was unrecorded.
    pub(super) is_exact: bool,
    /// How many of them failed, and how many crashed their process.
    pub(crate) failures: u32,
    pub(crate) crashes: u32,
    /// It was in flight when a generation died; and how often it was alone then.
    pub(crate) is_suspect: bool,
    pub(crate) alone: u32,
    /// A published attempt, and its task slot, of which nothing else is known.
    open: Option<(u32, u16)>,
    /// In how many starts of a shard it was in flight when they died.
    died_with: u32,
    /// It has parked: until when, in seconds since 1970, and the state that it left.
    pub(crate) parked: Option<(f64, Vec<u8>)>,
    /// It has added tasks to the run.
    pub(crate) has_emitted: bool,
}

/// The stories of all tasks.
#[derive(Debug, Default)]
pub(super) struct Stories {
    pub(super) ends: HashMap<Name, Known>,
    pub(super) open: HashMap<Name, Story>,
    /// Ends of tasks whose outputs are kept and have not been shown.
    unshown: HashMap<Name, End>,
    /// Attempts whose outputs could not be kept.
    pub(super) unkept: Vec<KeptFor>,
    /// Files that were about to be renamed, of unfinished tasks.
    intents: HashMap<Name, Intent>,
    /// The values of tasks that others have added to the run, by their numbers.
    pub(super) added: BTreeMap<u64, Vec<u8>>,
    /// What was last published in each task slot, in this generation.
    cells: HashMap<u16, Name>,
    /// Something was published in this generation.
    has_started: bool,
    /// The number of attempts recorded as cut off in it: the recording itself may have been cut
    /// off.
    cut_off: u64,
    /// Attempts are journaled before they start.
    is_exact: bool,
    /// The generations are starts of a shard, of which two may have run at the same time.
    pub(super) are_starts: bool,
}

/// In how many starts of a shard a task must have been in flight, when they died, before it runs
/// alone: one death may be that of a machine.
const SUSPECT_AFTER: u32 = 2;

impl Story {
    fn has_started(&mut self, attempt: u32) {
        self.attempts = self.attempts.max(attempt);
        self.open = None;
    }
}

impl Stories {
    /// A generation begins. Attempts published in the one before that are still open never started.
    /// If that one `has_died` before it published anything, something outside kills msup, and no
    /// task is blamed for that.
    pub(super) fn begin(&mut self, is_exact: bool, has_died: bool) {
        if has_died && !self.has_started {
            self.open.values_mut().for_each(|story| story.alone = 0);
        }
        if has_died && self.are_starts {
            self.start_has_died();
        }
        self.has_started = false;
        (self.is_exact, self.cut_off) = (is_exact, 0);
        for name in std::mem::take(&mut self.cells).into_values() {
            self.open.entry(name).and_modify(|story| story.open = None);
        }
    }

    /// A start of a shard has died, with what was in flight.
    pub(super) fn start_has_died(&mut self) {
        let in_flight = |(cell, name): (&u16, &Name)| {
            let (attempt, there) = self.open.get(name)?.open?;
            (there == *cell).then(|| (name.clone(), attempt))
        };
        let in_flight: Vec<(Name, u32)> = self.cells.iter().filter_map(in_flight).collect();
        let is_alone = in_flight.len() == 1;
        for (name, attempt) in in_flight {
            let story = self.story(name);
            story.has_started(attempt);
            story.died_with += 1;
            if story.died_with >= SUSPECT_AFTER {
                story.is_suspect = true;
                story.alone += u32::from(is_alone);
            }
        }
    }

    /// Takes in a record about a task.
    pub(super) fn take(&mut self, record: Record) {
        match record {
            Record::Start(start) => self.start(start),
            Record::Withdrawn { seq, value, attempt } => {
                let story = self.open.get_mut(&(seq, value.0));
                if let Some(story) =
                    story.filter(|story| story.open.is_some_and(|open| open.0 == attempt))
                {
                    story.open = None;
                }
            }
            Record::CutOff { seq, value, attempt, beside } => {
                self.cut_off += 1;
                let story = self.story((seq, value.0));
                story.has_started(attempt);
                story.is_suspect = true;
                story.alone += u32::from(beside == 0);
            }
            Record::Again(Again { seq, value, attempt, kind, .. }) => {
                let name = (seq, value.0);
                self.intents.remove(&name);
                let story = self.story(name);
                story.has_started(attempt);
                story.failures += u32::from(kind == Some(AgainKind::Failed));
                story.crashes += u32::from(kind == Some(AgainKind::Crashed));
            }
            Record::Parked(Parked { seq, value, attempt, until, state, details: _ }) => {
                let story = self.story((seq, value.0));
                story.has_started(attempt);
                story.parked = Some((until, state.0));
            }
            Record::Intent(intent) => {
                // If it must run again, it never gets the same attempt number.
                let name = (intent.seq, intent.value.0.clone());
                let story = self.story(name.clone());
                story.attempts = story.attempts.max(intent.attempt);
                self.intents.insert(name, intent);
            }
            Record::Void { seq, value, .. } => drop(self.intents.remove(&(seq, value.0))),
            Record::Unshown(end) => self.wait_for_output(end),
            Record::Unkept { seq, value, attempt } => {
                self.unkept.push(KeptFor::new(seq, &value.0, attempt));
            }
            Record::End(end) => self.end(end),
            Record::Moved { seq, value, to } => self.rename((seq, value.0), to),
            _ => {}
        }
    }

    fn story(&mut self, name: Name) -> &mut Story {
        let is_exact = self.is_exact;
        let story = self.open.entry(name).or_default();
        story.is_exact |= is_exact;
        story
    }

    fn start(&mut self, start: Start) {
        let Start { seq, value, attempt, cell } = start;
        self.has_started = true;
        let name = (seq, value.0);
        let before = self.cells.insert(cell, name.clone());
        // Its slot was free again: the attempt has finished, and its end waited for its output to
        // be shown.
        if let Some(story) = before.and_then(|before| self.open.get_mut(&before))
            && let Some((attempt, _)) = story.open.filter(|open| open.1 == cell)
        {
            story.has_started(attempt);
        }
        // It runs again: its output was not kept after all.
        self.unshown.remove(&name);
        let story = self.story(name);
        story.attempts = story.attempts.max(attempt.saturating_sub(1));
        story.open = Some((attempt, cell));
    }

    /// Gives numbers to the values that an attempt has added to the run.
    pub(super) fn numbered(&self, values: Vec<Bytes>) -> Option<Added> {
        let first = self.added.last_key_value().map_or(EMITTED_FROM, |(last, _)| last + 1);
        (!values.is_empty()).then_some(Added { first, values })
    }

    fn note_added(&mut self, end: &End) {
        if let Some(Added { first, values }) = &end.emitted {
            let values = values.iter().map(|value| value.0.clone());
            self.added.extend((*first..).zip(values));
        }
    }

    /// A task has finished except that its output has not been shown.
    pub(super) fn wait_for_output(&mut self, end: End) {
        if self.has_succeeded_before(&end) {
            return;
        }
        self.note_added(&end);
        let name = (end.seq, end.value.0.clone());
        self.intents.remove(&name);
        let story = self.story(name.clone());
        story.has_started(end.attempt);
        story.has_emitted |= end.emitted.is_some();
        self.unshown.insert(name, end);
    }

    /// Whether a start of a shard that did not know of it has run this task once more. What it has
    /// done then, and added, does not count.
    fn has_succeeded_before(&mut self, end: &End) -> bool {
        let name = (end.seq, end.value.0.clone());
        let is_known = self.are_starts
            && self.ends.get(&name).is_some_and(|known| known.state == State::Succeeded);
        if is_known {
            self.open.remove(&name);
            self.intents.remove(&name);
        }
        is_known
    }

    /// It is run again: what it has printed before is not shown any more.
    fn rename(&mut self, name: Name, to: u64) {
        let new = (to, name.1.clone());
        self.unshown.remove(&name);
        if let Some(known) = self.ends.remove(&name) {
            self.ends.insert(new.clone(), known);
        }
        if let Some(story) = self.open.remove(&name) {
            self.open.insert(new, story);
        }
    }

    /// A task has finished. If it is run again and finishes again, the last time counts.
    pub(super) fn end(&mut self, end: End) {
        if self.has_succeeded_before(&end) {
            return;
        }
        self.note_added(&end);
        let End { seq, value, attempt, state, cause, .. } = end;
        let name = (seq, value.0);
        self.intents.remove(&name);
        self.unshown.remove(&name);
        let story = self.open.remove(&name);
        let is_suspect = state == State::Quarantined && story.is_some_and(|story| story.is_suspect);
        let known = Known { state, cause, attempt, is_suspect, is_exact: self.is_exact };
        self.ends.insert(name, known);
    }

    /// Decides the fate of attempts of which only the publication is known. `noted`: the notes of
    /// workers, by task slot, if there are any. If the generation `has_died`, attempts in flight
    /// were cut off.
    pub(super) fn cut_off(
        &mut self,
        noted: Option<&[Option<Entry>]>,
        has_died: bool,
    ) -> Vec<Record> {
        let mut cells: Vec<(u16, Name)> = self.cells.drain().collect();
        cells.sort_unstable();
        let (mut in_flight, mut finished) = (Vec::new(), Vec::new());
        for (cell, (seq, value)) in cells {
            let name = (seq, value);
            let Some(story) = self.open.get_mut(&name) else { continue };
            if self.intents.contains_key(&name) {
                // It has finished; its file decides whether it counts.
                continue;
            }
            let Some((attempt, _)) = story.open.take_if(|open| open.1 == cell) else { continue };
            let of_it = |entry: &&Entry| entry.seq == name.0 && entry.attempt == attempt;
            let entry = noted.map(|noted| noted.get(usize::from(cell)).copied().flatten());
            // Where it is unknown whether it has started, it counts as started.
            let has_finished = entry.map_or(Some(false), |entry| {
                entry.as_ref().filter(of_it).map(|entry| entry.finished)
            });
            match has_finished {
                Some(false) if has_died => in_flight.push((name, attempt)),
                Some(_) => finished.push((name, attempt)),
                None => {}
            }
        }
        let beside = (in_flight.len() as u64 + self.cut_off).saturating_sub(1);
        let cut_off = in_flight.into_iter().map(|((seq, value), attempt)| {
            let value = Bytes(value);
            Record::CutOff { seq, value, attempt, beside }
        });
        let finished = finished.into_iter().map(|((seq, value), attempt)| {
            let (value, cause) = (Bytes(value), UNHEARD.to_owned());
            let (kind, exit, signal) = (None, None, None);
            Record::Again(Again { seq, value, attempt, kind, cause, exit, signal, details: None })
        });
        let records: Vec<Record> = cut_off.chain(finished).collect();
        records.iter().cloned().for_each(|record| self.take(record));
        records
    }

    /// The intents, in the order of the tasks' numbers.
    pub(super) fn take_intents(&mut self) -> Vec<(Name, Intent)> {
        let mut intents: Vec<(Name, Intent)> = self.intents.drain().collect();
        intents.sort_by_key(|intent| intent.0.0);
        intents
    }

    /// The ends that wait for their outputs, in the order of the tasks' numbers.
    pub(super) fn take_unshown(&mut self) -> Vec<End> {
        let mut unshown: Vec<End> = self.unshown.drain().map(|(_, end)| end).collect();
        unshown.sort_by_key(|end| end.seq);
        unshown
    }

    /// The ends that wait for their outputs.
    pub(super) fn unshown(&self) -> impl Iterator<Item = &End> {
        self.unshown.values()
    }

    /// The states of all tasks that have finished, whether their outputs were shown or not.
    pub(super) fn states(&self) -> impl Iterator<Item = State> {
        let ends = self.ends.iter().filter(|(name, _)| !self.unshown.contains_key(*name));
        ends.map(|(_, known)| known.state).chain(self.unshown.values().map(|end| end.state))
    }

    /// The numbers of all tasks.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        let names = self.ends.keys().chain(self.open.keys()).chain(self.unshown.keys());
        names.map(|name| name.0)
    }

    /// Forgets tasks with higher numbers. Returns how many there were.
    pub(super) fn keep_up_to(&mut self, last: u64) -> u64 {
        let before = self.ends.len() + self.open.len() + self.intents.len();
        let is_possible = |name: &Name| name.0 <= last || self.added.contains_key(&name.0);
        self.ends.retain(|name, _| is_possible(name));
        self.open.retain(|name, _| is_possible(name));
        self.intents.retain(|name, _| is_possible(name));
        self.unshown.retain(|name, _| is_possible(name));
        (before - self.ends.len() - self.open.len() - self.intents.len()) as u64
    }
}
