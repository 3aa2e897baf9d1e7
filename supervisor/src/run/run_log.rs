//! The log of a run: its journal, kept outputs, and the joblog beside it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use msup_protocol::in_flight::InFlight;
use rustix::fs::OFlags;

use crate::cli::{Continued, Keeping, Retried};
use crate::engine::{Earlier, Engine, Entry, Event, Input, TaskRecord};
use crate::journal::entries::{KnownTasks, ended, tried, write_down};
use crate::journal::{
    Bytes, Durability, Folder, Intent, Journal, JournalError, Keeper, Kept, Opening, Past, Record,
    Run, SCHEMA, Settled, State, Trouble, runs,
};
use crate::os::files;
use crate::output::Delivery;
use crate::report::joblog::Joblog;
use crate::run::error::RunError;

use crate::output::replay::Replay;

/// The log of a run; each part is optional.
#[derive(Debug, Default)]
pub(crate) struct Books {
    journal: Option<Journal>,
    /// The folder of the journal.
    folder: Option<Folder>,
    /// Keeps outputs, until the writer takes it.
    keeper: Option<Keeper>,
    /// Outputs that are shown again.
    pub(crate) replay: Option<Replay>,
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
    pub(crate) is_cut_off: bool,
    pub(crate) missing: u64,
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

/// What the log needs to know of its run.
#[derive(Clone, Copy)]
pub(crate) struct OfRun<'a> {
    pub(crate) id: &'a str,
    /// The number of task slots.
    pub(crate) slots: u32,
    /// Outputs are kept however large they are.
    pub(crate) keeps_all: bool,
}

/// The result of opening: the log, messages about it, and tasks that are known beforehand.
pub(crate) struct Opened {
    pub(crate) books: Books,
    pub(crate) words: Vec<String>,
    pub(crate) inputs: Vec<Input>,
    /// The file in which workers note what they take up.
    pub(crate) in_flight: Option<PathBuf>,
}

impl Books {
    /// # Errors
    /// The journal or the joblog cannot be used.
    pub(crate) fn open(
        keeping: Keeping,
        run: &OfRun<'_>,
        joblog: Option<&Path>,
        describe: impl Fn(&[u8], u64) -> Vec<u8>,
        doorbell: OwnedFd,
    ) -> Result<Opened, RunError> {
        let books = Books::default();
        let mut opened = Opened { books, words: Vec::new(), inputs: Vec::new(), in_flight: None };
        let continues = matches!(keeping, Keeping::Continued { .. });
        if let Some(path) = joblog {
            // Checked before anything is made, but emptied last: a failed start changes nothing.
            Joblog::check(path, continues)?;
        }
        match keeping {
            Keeping::Nowhere => {}
            Keeping::New { place, order, arguments, spools, durability } => {
                let named = place.is_some();
                let folder =
                    place.map_or_else(|| runs::new_folder(run.id), |place| Ok(Folder::at(place)));
                let begun = folder.and_then(|folder| {
                    let (folder, locks) = folder.begin(order)?;
                    let kept = folder.clone();
                    let file = folder.create_outputs()?;
                    let path = kept.outputs();
                    let outputs = Some(file.try_clone().map_err(JournalError::at(&path))?);
                    let keeper = Keeper::new(file, path, run.id, run.keeps_all);
                    let (next, whole) = (1, 0);
                    let opening =
                        Opening { folder, locks, next, whole, outputs, spools, durability };
                    let arguments = arguments.into_iter().map(Bytes).collect();
                    let this = this_generation(run.id, 1, arguments)?;
                    let journal = Journal::open(opening, Vec::new(), this, doorbell)?;
                    Ok((journal, kept, keeper))
                });
                match begun {
                    Ok((journal, folder, keeper)) => {
                        opened.make_room(&folder, run);
                        let books = &mut opened.books;
                        (books.journal, books.folder) = (Some(journal), Some(folder));
                        books.keeper = Some(keeper);
                    }
                    Err(why) if named => return Err(RunError::NamedJournal(why)),
                    Err(why) => opened.words.push(format!(
                        "no journal is kept, so this run cannot be resumed: {}; --no-journal silences this",
                        runs::explain(&why)
                    )),
                }
            }
            Keeping::Continued { continued, durability } => {
                opened.go_on(*continued, durability, run, &describe, doorbell)?;
            }
        }
        if let Some(path) = joblog {
            let mut joblog = Joblog::open(path, continues)?;
            if let Some(folder) = opened.books.folder.as_ref().filter(|_| continues) {
                joblog.restore(folder, &describe)?;
            }
            opened.books.joblog = Some(joblog);
        }
        Ok(opened)
    }

    /// The run has started: what a failed start would remove stays.
    pub(crate) fn keep(&mut self) {
        if let Some(journal) = &mut self.journal {
            journal.keep();
        }
    }

    /// Keeps values that cannot be read again, before anything else is done with them.
    pub(crate) fn spool(&mut self, values: &[Vec<u8>]) {
        if let Some(journal) = &mut self.journal {
            journal.spool(values);
        }
    }

    /// Whether values are kept because they cannot be read again.
    pub(crate) fn keeps_values(&self) -> bool {
        self.journal.as_ref().is_some_and(Journal::keeps_values)
    }

    /// What happened to a task with this content before.
    pub(crate) fn earlier(&mut self, seq: u64, content: impl FnOnce() -> Vec<u8>) -> Earlier {
        let Some(known) = &mut self.known else { return Earlier::Nothing };
        let content = content();
        let earlier = known.earlier(&content);
        if let Some(replay) = &mut self.replay
            && matches!(earlier, Earlier::Succeeded | Earlier::Failed { .. })
        {
            replay.found(seq, &content);
        }
        earlier
    }

    /// The output of the task with this number in an earlier generation, if that is to be shown
    /// again.
    pub(crate) fn replayed(&mut self, seq: u64) -> Option<Delivery> {
        self.replay.as_mut()?.take(seq)
    }

    /// The keeper of outputs, for the writer.
    pub(crate) fn take_keeper(&mut self) -> Option<Keeper> {
        self.keeper.take()
    }

    /// All values were read: a message about that, if there is one.
    pub(crate) fn all_read(&self) -> Option<String> {
        let left = self.known.as_ref().map_or(0, |known| known.left());
        (left > 0).then(|| format!("{left} tasks of the journal are not in the input any more"))
    }

    /// Writes an entry; an end only when its output has been shown, if it `will_be_shown`.
    /// `received`: the number of bytes of output.
    pub(crate) fn note(
        &mut self,
        entry: Entry,
        will_be_shown: bool,
        received: u64,
        describe: impl Fn(&[u8], u64) -> Vec<u8>,
    ) {
        if let Some(joblog) = &mut self.joblog {
            joblog.add(&entry, (received, will_be_shown), describe);
        }
        let Some(journal) = &mut self.journal else { return };
        if matches!(entry, Entry::InputsEnd(_)) && (self.is_cut_off || self.retries.is_some()) {
            return;
        }
        self.is_urgent |= matches!(entry, Entry::Again { .. } | Entry::Start { .. });
        write_down(journal, entry, will_be_shown);
    }

    /// Records what is about to be done with a file.
    pub(crate) fn intend(&mut self, intent: Intent) {
        if let Some(journal) = &mut self.journal {
            journal.note(&Record::Intent(intent));
        }
    }

    /// Records that it was not done, and will not be.
    pub(crate) fn void(&mut self, task: &TaskRecord) {
        if let Some(journal) = &mut self.journal {
            let TaskRecord { seq, ref value, attempt, .. } = *task;
            journal.note(&Record::Void { seq, value: Bytes(value.clone()), attempt });
        }
    }

    /// The run's folder, if its journal is kept.
    pub(crate) fn folder(&self) -> Option<&Folder> {
        self.folder.as_ref()
    }

    /// The slots of tasks that no worker has taken up, as far as known. All workers are gone.
    pub(crate) fn unstarted(&self, engine: &Engine) -> Vec<u16> {
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
    pub(crate) fn retry(&self) -> Option<&'static str> {
        self.retries.map(|stood| stood.retried.command())
    }

    /// The journal's file, for another thread to sync.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub(crate) fn journal_file(&self) -> io::Result<Option<File>> {
        self.journal.as_ref().map(Journal::file).transpose()
    }

    /// The outputs of these tasks were shown.
    pub(crate) fn shown(&mut self, tasks: Vec<u64>) {
        if let Some(joblog) = &mut self.joblog {
            joblog.shown(&tasks);
        }
        if let Some(journal) = &mut self.journal {
            journal.shown(tasks);
        }
    }

    pub(crate) fn flush_if_urgent(&mut self) {
        if self.is_urgent {
            self.flush();
        }
    }

    pub(crate) fn flush(&mut self) {
        self.is_urgent = false;
        self.trouble = self.journal.as_mut().map_or(Trouble::None, Journal::flush);
        self.words.extend(self.joblog.as_mut().and_then(Joblog::flush));
    }

    /// Messages about logs that cannot be written.
    pub(crate) fn words(&mut self) -> Vec<String> {
        std::mem::take(&mut self.words)
    }

    /// A change in the state of the disk.
    pub(crate) fn news(&mut self) -> Option<Event> {
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

    pub(crate) fn is_full(&self) -> bool {
        self.trouble == Trouble::Full
    }

    /// Whether everything was written, at the last flush.
    pub(crate) fn is_sound(&self) -> bool {
        self.trouble == Trouble::None
    }

    pub(crate) fn is_lost(&self) -> bool {
        matches!(self.trouble, Trouble::Lost(_))
    }

    /// Closes the log. Returns what is not written, if anything.
    pub(crate) fn finish(&mut self, status: u8, complete: bool, halted: bool) -> Vec<String> {
        let mut missing = Vec::new();
        if let Some(journal) = &mut self.journal {
            let is_all = self.retries.is_none_or(|stood| stood.complete);
            let halted = halted || self.retries.is_some_and(|stood| stood.halted);
            let complete = complete && journal.is_whole() && !self.is_cut_off && is_all;
            self.trouble = journal.finish(status, complete, halted);
            let place = journal.place().display();
            if self.trouble != Trouble::None {
                missing.push(format!("{place}: the journal is not complete"));
            } else if !journal.is_in_place() {
                missing.push(format!(
                    "{place}: the journal was removed while the run went on: it cannot be resumed or retried"
                ));
            }
        }
        missing.extend(self.joblog.as_mut().and_then(Joblog::finish));
        missing
    }
}

impl Opened {
    /// Resumes a run.
    fn go_on(
        &mut self,
        continued: Continued,
        durability: Durability,
        run: &OfRun<'_>,
        describe: impl Fn(&[u8], u64) -> Vec<u8>,
        doorbell: OwnedFd,
    ) -> Result<(), JournalError> {
        let Continued { folder, locks, mut past, retried, ended, cut_off, missing, .. } = continued;
        let (keeper, outputs) = keep_on(&folder, run)?.unzip();
        let kept = folder.clone();
        let noted = in_flight(&kept, run).and_then(|file| file.read().ok().flatten());
        let of_before = past.cut_off(noted.as_deref());
        let settled = past.settle()?;
        self.words.extend(remarks(&past, ended, missing, &settled));
        let generation = past.generations + 1;
        let (next, whole) = (past.condition.next, past.condition.whole);
        let spools = false;
        let opening = Opening { folder, locks, next, whole, outputs, spools, durability };
        let this = this_generation(run.id, generation, past.run.arguments.clone())?;
        let mut journal = Journal::open(opening, of_before, this, doorbell)?;
        // The journal says what the notes said.
        self.make_room(&kept, run);
        journal.settle(settled)?;
        let books = &mut self.books;
        if continued.replays {
            books.replay = Some(Replay::open(&kept, run.id, &describe)?);
        }
        (books.journal, books.folder, books.keeper) = (Some(journal), Some(kept), keeper);
        (books.is_cut_off, books.missing) = (cut_off, missing);
        if let Some(retried) = retried {
            // Unfinished tasks are not run.
            let complete = matches!(past.finished, Some((_, true)));
            books.retries = Some(Stood { complete, halted: past.halted, retried });
            self.inputs = again(past, retried);
        } else {
            books.known = Some(KnownTasks::of(past, describe));
        }
        Ok(())
    }

    /// Makes room for every task slot in the file of workers' notes. Where that fails, a later
    /// generation assumes that all published attempts have started.
    fn make_room(&mut self, folder: &Folder, run: &OfRun<'_>) {
        let file = in_flight(folder, run).filter(|file| file.clear(run.slots).is_ok());
        self.books.slots = u16::try_from(run.slots).unwrap_or(u16::MAX);
        self.in_flight = file.is_some().then(|| folder.in_flight());
        if file.is_none() {
            let _ = std::fs::remove_file(folder.in_flight());
        }
        self.books.in_flight = file;
    }
}

fn in_flight(folder: &Folder, run: &OfRun<'_>) -> Option<InFlight> {
    let file = files::open_own(&folder.in_flight(), OFlags::RDWR | OFlags::CREATE);
    Some(InFlight::new(file.ok()?, run.id.as_bytes()))
}

/// Continues to keep outputs, if that was done from the beginning.
fn keep_on(folder: &Folder, run: &OfRun<'_>) -> Result<Option<(Keeper, File)>, JournalError> {
    let Some(file) = folder.open_outputs()? else { return Ok(None) };
    let path = folder.outputs();
    // The torn end of the last write is cut off before anything is added.
    let whole = Kept::read(&file, run.id).map_err(JournalError::at(&path))?.whole;
    file.set_len(whole).map_err(JournalError::at(&path))?;
    let synced = file.try_clone().map_err(JournalError::at(&path))?;
    Ok(Some((Keeper::new(file, path, run.id, run.keeps_all), synced)))
}

fn this_generation(run: &str, generation: u32, arguments: Vec<Bytes>) -> Result<Run, JournalError> {
    use std::os::unix::ffi::OsStringExt;
    let folder = std::env::current_dir().map_err(JournalError::WorkingFolder)?;
    Ok(Run {
        schema: SCHEMA,
        run: run.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        generation,
        arguments,
        folder: Bytes(folder.into_os_string().into_vec()),
        pid: std::process::id(),
        within: runs::within(),
    })
}

fn remarks(past: &Past, ended: usize, missing: u64, settled: &Settled) -> Vec<String> {
    let mut words = Vec::new();
    let damaged = past.condition.damaged;
    if damaged > 0 {
        let (is, its) = match damaged {
            1 => ("line of the journal is", "its task is"),
            _ => ("lines of the journal are", "their tasks are"),
        };
        words.push(format!("{damaged} {is} damaged: {its} run again"));
    }
    if missing > 0 {
        let (is, its) = match missing {
            1 => ("value of the kept input is", "its task is"),
            _ => ("values of the kept input are", "their tasks are"),
        };
        words.push(format!(
            "{missing} {is} damaged: {its} not run (resume with all values: -a FILE)"
        ));
    }
    if ended > 0 {
        let s = if ended == 1 { "" } else { "es" };
        words.push(format!("killed {ended} process{s} that the interrupted run had left"));
    }
    if settled.unseen > 0 {
        let tasks = match settled.unseen {
            1 => "1 task had put its file in place",
            n => &format!("{n} tasks had put their files in place"),
        };
        words.push(format!("{tasks} when the run was cut off; what it printed may be missing"));
    }
    words
}

/// All finished tasks, including those that are to be run again.
fn again(past: Past, retried: Retried) -> Vec<Input> {
    let inputs = past.ended().into_iter().map(|(seq, value, known, story)| {
        let is_run = match known.state {
            State::Succeeded => false,
            State::Failed => retried.failed,
            State::Quarantined => retried.quarantined,
        };
        let earlier = if is_run { tried(story) } else { ended(known) };
        Input { value, seq: Some(seq), expected: Duration::ZERO, earlier }
    });
    inputs.collect()
}
