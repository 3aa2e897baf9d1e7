//! The log of a run: its journal, kept outputs, and the joblog beside it.

mod opening;
mod starts;

use std::fs::File;
use std::io;

use msup_protocol::crash;
use msup_protocol::in_flight::InFlight;
use serde::Serialize;

use super::shown::Handed;
use crate::cli::Retried;
use crate::engine::{Earlier, Engine, Entry, Event, TaskRecord, Tried};
use crate::journal::entries::{KnownTasks, earlier, write_down};
use crate::journal::{
    Bytes, Details, Folder, Found, Intent, Journal, Keeper, Record, Sample, State, Trouble, runs,
};
use crate::output::Delivery;
use crate::output::replay::{Replay, ShownAgain};
use crate::report::joblog::Joblog;

pub(super) use opening::{OfRun, Opened};
pub(super) use starts::OtherStarts;

/// The log of a run; each part is optional.
#[derive(Debug, Default)]
pub(super) struct RunLog {
    journal: Option<Journal>,
    /// The folder of the journal.
    folder: Option<Folder>,
    /// Keeps outputs, until the writer takes it.
    keeper: Option<Keeper>,
    /// Outputs that are shown again.
    pub(super) replay: Option<Replay>,
    joblog: Option<Joblog>,
    /// The file in which workers note what they take up, and the number of task slots.
    in_flight: Option<InFlight>,
    slots: u16,
    /// Messages that are still to be shown.
    words: Vec<String>,
    trouble: Trouble,
    /// Something was noted that must be written before any task is published.
    is_urgent: bool,
    /// The state that was last reported.
    told: Trouble,
    known: Option<KnownTasks>,
    /// Values of the run's input are missing; `missing` of them were kept, and are damaged.
    pub(super) is_cut_off: bool,
    pub(super) missing: u64,
    /// Only finished tasks are run again: the state of the run before.
    retries: Option<Stood>,
}

/// The state of a run before some of its tasks were run again.
#[derive(Clone, Copy, Debug)]
struct Stood {
    /// No others were left.
    complete: bool,
    /// They were left because of --halt.
    halted: bool,
    retried: Retried,
}

impl RunLog {
    /// The run has started: what a failed start would remove stays.
    pub(super) fn keep(&mut self) {
        if let Some(journal) = &mut self.journal {
            journal.keep();
        }
    }

    /// Keeps values that cannot be read again, before anything else is done with them.
    pub(super) fn spool(&mut self, values: &[Vec<u8>]) {
        if let Some(journal) = &mut self.journal {
            journal.spool(values);
        }
    }

    /// Whether values are kept because they cannot be read again.
    pub(super) fn keeps_values(&self) -> bool {
        self.journal.as_ref().is_some_and(Journal::keeps_values)
    }

    /// What happened to the task with this number, value and content before.
    pub(super) fn earlier(
        &mut self,
        seq: u64,
        value: &[u8],
        content: impl FnOnce() -> Vec<u8>,
    ) -> Earlier {
        let Some(known) = &mut self.known else { return Earlier::Nothing };
        let content = content();
        let found = known.find(seq, &content);
        match (&found, &mut self.replay, &mut self.journal) {
            (Found::End(_, before), Some(replay), _) => replay.found(seq, (*before, content)),
            (Found::Story(_, Some(before)), _, Some(journal)) => {
                // Else a task that runs here would still be unfinished there.
                journal.note(&Record::Moved {
                    seq: *before,
                    value: Bytes(value.to_vec()),
                    to: seq,
                });
            }
            _ => {}
        }
        match earlier(found, runs::seconds()) {
            Earlier::Failed { attempts, .. } if known.tries_again => {
                Earlier::Tried(Tried { attempts, ..Tried::default() })
            }
            earlier => earlier,
        }
    }

    /// Whether the output of the task with this number in an earlier generation is shown now.
    pub(super) fn replays(&self, seq: u64) -> bool {
        self.replay.as_ref().is_some_and(|replay| replay.has(seq))
    }

    /// Whether that task has failed.
    pub(super) fn replays_failure(&self, seq: u64) -> bool {
        self.replay.as_ref().is_some_and(|replay| replay.is_failure(seq))
    }

    /// The output of the task with this number in an earlier generation, if that is shown now; and
    /// how the task has finished, if its output was not shown then.
    pub(super) fn replayed(&mut self, seq: u64) -> Option<(Delivery, Option<State>)> {
        let ShownAgain { delivery, end } = self.replay.as_mut()?.take(seq)?;
        let state = end.as_ref().map(|end| end.state);
        if let (Some(end), Some(journal)) = (end, &mut self.journal) {
            self.joblog.iter_mut().for_each(|joblog| joblog.awaits(seq, &end));
            journal.note_when_shown(seq, end);
        }
        Some((delivery, state))
    }

    /// The keeper of outputs, for the writer.
    pub(super) fn take_keeper(&mut self) -> Option<Keeper> {
        self.keeper.take()
    }

    /// All values were read: a message about tasks that are not among them, if there are any.
    pub(super) fn all_read(&mut self) -> Option<String> {
        let tasks = match self.known.as_ref()?.left() {
            0 => return None,
            1 => "1 task of the journal is".to_owned(),
            n => format!("{n} tasks of the journal are"),
        };
        let unshown = self.replay.as_mut().map_or(0, Replay::all_found);
        let whole_list = "msup resume -a with the whole list shows";
        let outputs = match (unshown, self.known.as_ref()?.left()) {
            (0, _) => String::new(),
            (_, 1) => format!("; its output was not shown: {whole_list} it"),
            (1, _) => format!("; the output of 1 of them was not shown: {whole_list} it"),
            (n, _) => format!("; the outputs of {n} of them were not shown: {whole_list} them"),
        };
        Some(format!("{tasks} not in the input any more{outputs}"))
    }

    /// Whether there are tasks that are not in the list any more, and whose outputs were not shown.
    pub(super) fn leaves_unshown(&self) -> bool {
        self.replay.as_ref().is_some_and(|replay| replay.left > 0)
    }

    /// Writes an entry; the end of a task only when its output has been shown, if it will be.
    pub(super) fn note(
        &mut self,
        (entry, details): (Entry, Option<Details>),
        output: Handed,
        describe: impl Fn(&[u8], u64) -> Vec<u8>,
    ) {
        let Handed { will_be_shown, received } = output;
        if let Some(joblog) = &mut self.joblog {
            joblog.add(&entry, (received, will_be_shown), describe);
        }
        let Some(journal) = &mut self.journal else { return };
        if matches!(entry, Entry::InputsEnd(_)) && (self.is_cut_off || self.retries.is_some()) {
            return;
        }
        self.is_urgent |=
            matches!(entry, Entry::Again { .. } | Entry::Parked { .. } | Entry::Start { .. });
        write_down(journal, (entry, details), will_be_shown, runs::seconds());
    }

    pub(super) fn has_journal(&self) -> bool {
        self.journal.is_some()
    }

    /// Records how the run is doing.
    pub(super) fn note_sample(&mut self, sample: Sample) {
        if let Some(journal) = &mut self.journal {
            journal.note(&Record::Sample(sample));
        }
    }

    /// Records which task of a pipeline has this number.
    pub(super) fn note_step(&mut self, seq: u64, step: &impl Serialize) {
        if let Some(journal) = &mut self.journal
            && let Ok(step) = serde_json::to_value(step)
        {
            journal.note(&Record::Step { seq, step });
        }
    }

    /// Records what a task of a pipeline has emitted.
    pub(super) fn note_values(&mut self, seq: u64, values: &[Vec<u8>]) {
        if let Some(journal) = &mut self.journal {
            let values = values.iter().cloned().map(Bytes).collect();
            journal.note(&Record::Values { seq, values });
        }
    }

    /// Records what is about to be done with a file.
    pub(super) fn intend(&mut self, intent: Intent) {
        if let Some(journal) = &mut self.journal {
            journal.note(&Record::Intent(intent));
        }
    }

    /// Records that it was not done, and will not be.
    pub(super) fn void(&mut self, task: &TaskRecord) {
        if let Some(journal) = &mut self.journal {
            let TaskRecord { seq, ref value, attempt, .. } = *task;
            journal.note(&Record::Void { seq, value: Bytes(value.clone()), attempt });
        }
    }

    /// The run's folder, if its journal is kept.
    pub(super) fn folder(&self) -> Option<&Folder> {
        self.folder.as_ref()
    }

    /// The slots of tasks that no worker has taken up, as far as known. All workers are gone.
    pub(super) fn unstarted(&self, engine: &Engine) -> Vec<u16> {
        let noted = self.in_flight.as_ref().and_then(|file| file.read().ok().flatten());
        let Some(noted) = noted else { return Vec::new() };
        let is_unstarted = |slot: &u16| {
            let entry = noted.get(usize::from(*slot)).copied().flatten();
            engine.task(*slot).is_some_and(|task| {
                entry.is_none_or(|entry| (entry.seq, entry.attempt) != (task.seq, task.attempt))
            })
        };
        (0..self.slots).filter(is_unstarted).collect()
    }

    /// The command that can still run tasks that were to be run again, and have not been: `msup
    /// retry`, since they had finished before.
    pub(super) fn retry(&self) -> Option<&'static str> {
        self.retries.map(|stood| stood.retried.command())
    }

    /// The results of tasks are on the file system of this file: they are on the disk before what
    /// the journal says of them.
    pub(super) fn results_are_on(&self, file: Option<File>) {
        if let (Some(journal), Some(file)) = (&self.journal, file) {
            journal.results_are_on(file);
        }
    }

    /// The journal's file, for another thread to sync.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub(super) fn journal_file(&self) -> io::Result<Option<File>> {
        self.journal.as_ref().map(Journal::file).transpose()
    }

    /// How many bytes these tasks have written to standard output.
    pub(super) fn received(&mut self, counts: &[(u64, u64)]) {
        if let Some(joblog) = &mut self.joblog {
            joblog.received(counts);
        }
    }

    /// Whether this task has finished except that its output has not been shown.
    pub(super) fn awaits(&self, seq: u64) -> bool {
        self.journal.as_ref().is_some_and(|journal| journal.holds(seq))
            || self.joblog.as_ref().is_some_and(|joblog| joblog.holds(seq))
    }

    /// The outputs of these tasks were shown.
    pub(super) fn shown(&mut self, tasks: Vec<u64>) {
        if let Some(joblog) = &mut self.joblog {
            joblog.shown(&tasks);
        }
        if let Some(journal) = &mut self.journal {
            journal.shown(tasks);
        }
    }

    /// The outputs of these tasks are kept, and wait to be shown.
    pub(super) fn kept(&mut self, tasks: Vec<u64>) {
        if let Some(journal) = &mut self.journal {
            // CRASH: kept_before_unshown. A kept output without a record: its task runs again, or
            // the record of its file says that it has finished.
            crash::point("kept_before_unshown");
            journal.kept(tasks);
        }
    }

    /// The outputs of these tasks could not be kept.
    pub(super) fn unkept(&mut self, tasks: Vec<u64>) {
        if let Some(journal) = &mut self.journal {
            journal.unkept(tasks);
        }
    }

    pub(super) fn flush_if_urgent(&mut self) {
        if self.is_urgent {
            self.flush();
        }
    }

    pub(super) fn flush(&mut self) {
        self.is_urgent = false;
        self.trouble = self.journal.as_mut().map_or(Trouble::None, Journal::flush);
        self.words.extend(self.joblog.as_mut().and_then(Joblog::flush));
    }

    /// Messages about logs that cannot be written.
    pub(super) fn words(&mut self) -> Vec<String> {
        std::mem::take(&mut self.words)
    }

    /// A change in the state of the disk.
    pub(super) fn news(&mut self) -> Option<Event> {
        if self.told == self.trouble {
            return None;
        }
        self.told = self.trouble.clone();
        let place = self.journal.as_ref().map(|journal| journal.place().display().to_string());
        let place = place.unwrap_or_default();
        Some(match &self.trouble {
            Trouble::None => Event::JournalFull(None),
            Trouble::Full => Event::JournalFull(Some(place)),
            Trouble::Lost(why) => Event::JournalLost(format!("{place}: {why}")),
        })
    }

    pub(super) fn is_full(&self) -> bool {
        self.trouble == Trouble::Full
    }

    /// Whether everything was written, at the last flush.
    pub(super) fn is_sound(&self) -> bool {
        self.trouble == Trouble::None
    }

    pub(super) fn is_lost(&self) -> bool {
        matches!(self.trouble, Trouble::Lost(_))
    }

    /// Removes the log of a run that has just begun and leaves nothing to go on with. A later start
    /// removes what a death leaves of it.
    pub(super) fn discard(&mut self) {
        if self.known.is_none() && self.retries.is_none() {
            self.journal = None;
            // It stays where it cannot be removed: a run without tasks.
            let _ = self.folder.take().map(|folder| folder.remove());
        }
    }

    /// Closes the log. Returns what is not written, if anything.
    pub(super) fn finish(&mut self, status: u8, complete: bool, halted: bool) -> Vec<String> {
        let mut missing = Vec::new();
        let is_all = self.retries.is_none_or(|stood| stood.complete)
            && !self.is_cut_off
            && !self.leaves_unshown();
        if let Some(journal) = &mut self.journal {
            let halted = halted || self.retries.is_some_and(|stood| stood.halted);
            let complete = complete && journal.is_whole() && is_all;
            self.trouble = journal.finish(status, complete, halted);
            let place = journal.place().display();
            if self.trouble != Trouble::None {
                missing.push(format!("{place}: the journal is not complete"));
            } else if !journal.is_in_place() {
                missing.push(format!(
                    "{place}: the journal was removed while the run went on: it cannot be resumed \
                     or retried"
                ));
            }
        }
        missing.extend(self.joblog.as_mut().and_then(Joblog::finish));
        missing
    }
}
