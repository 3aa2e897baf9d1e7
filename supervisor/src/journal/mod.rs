//! The journal of a run: records which tasks have finished, so that a run that was cut off can be
//! resumed.
//!
//! The event loop is the only writer; each event is a line, appended with `write(2)`. A task's
//! output is shown before its end is journaled: of a task whose output was not shown, the next
//! generation shows the kept output, or, if there is none, runs it again.

mod appender;
pub(crate) mod claims;
mod details;
pub(crate) mod entries;
mod error;
mod folder;
mod glance;
mod history;
mod kept;
mod line;
mod lists;
mod locks;
mod matches;
mod outputs;
mod reader;
mod reading;
pub(crate) mod record;
pub(crate) mod registry;
pub(crate) mod runs;
mod shards;
mod story;
mod survivors;
mod sync;
mod told;
pub(crate) mod unkept;

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use msup_protocol::crash;
use rustix::fs::OFlags;

use crate::os::files;

pub(crate) use appender::{Appender, Flushed};
pub(crate) use details::{Details, STDERR_TAIL, Sample};
pub(crate) use error::JournalError;
pub(crate) use folder::Folder;
pub(crate) use glance::Glance;
pub(crate) use history::{Past, Settled, ShardStarts, StartHead};
pub(crate) use kept::{KeptInput, Part};
use line::Head;
pub(crate) use line::Seed;
pub(crate) use locks::Locks;
pub(crate) use matches::Found;
use matches::Matches;
pub(crate) use outputs::{Keeper, Kept, KeptFor, KeptPlace};
pub(crate) use reader::{read, seed};
use record::Batch;
pub(crate) use record::{Bytes, End, Intent, LARGEST, Made, Record, Run, SCHEMA, State};
pub(crate) use shards::{ShardFolder, without_shard};
pub(crate) use story::{Known, Name};
pub(crate) use survivors::take_over;
pub(crate) use sync::{Durability, Sync};
pub(crate) use told::{AttemptFate, AttemptReader, ToldAttempt};

/// The writer of the journal.
#[derive(Debug)]
pub(crate) struct Journal<F = File> {
    records: Appender<F>,
    seed: Seed,
    /// Where values that cannot be read again are kept, and what was kept last.
    inputs: Option<Appender<F>>,
    kept: Batch,
    /// The next record's number.
    next: u64,
    /// Ends of tasks whose output is not shown yet.
    held: HashMap<u64, End>,
    sync: Sync,
    trouble: Trouble,
    /// Its path.
    place: PathBuf,
    locks: Option<Locks>,
}

/// Problems with the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Trouble {
    #[default]
    None,
    /// It is full: nothing new may be started until there is space.
    Full,
    /// The journal cannot be relied on any more: why.
    Lost(String),
}

/// How a journal is begun or continued.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) folder: Folder,
    pub(crate) locks: Locks,
    /// The next record's number, and the position after the last whole record.
    pub(crate) next: u64,
    pub(crate) whole: u64,
    /// The file of kept outputs: it is synced before what is journaled about it.
    pub(crate) outputs: Option<File>,
    /// Whether values must be kept.
    pub(crate) spools: bool,
    pub(crate) durability: Durability,
}

impl Journal {
    /// Begins a generation, after recording what the one before has left behind.
    ///
    /// # Errors
    /// The files cannot be opened or written, or no thread can be started.
    pub(crate) fn open(
        opening: Opening,
        cut_off: Vec<Record>,
        run: Run,
        doorbell: OwnedFd,
    ) -> Result<Journal, JournalError> {
        let Opening { folder, locks, next, whole, outputs, spools, durability } = opening;
        let appended = |path: &Path| {
            let how = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE;
            files::open_own(path, how).map_err(JournalError::at(path))
        };
        let path = folder.journal();
        let records = appended(&path)?;
        let inputs = if spools { Some(appended(&folder.inputs())?) } else { None };
        let error = JournalError::at(folder.path());
        // The torn end of the last write is cut off before anything is added: if this process dies
        // here, the journal has lost nothing that could be read.
        records.set_len(whole).map_err(&error)?;
        folder.sync().map_err(&error)?;
        let synced = outputs.iter().chain(&inputs).chain([&records]).map(File::try_clone);
        let synced = synced.collect::<Result<Vec<File>, _>>().map_err(&error)?;
        let sync = Sync::start(synced, durability, doorbell)?;
        let over = Journal::over(records, inputs, next, &run.run, sync);
        let mut journal = Journal { place: path, locks: Some(locks), ..over };
        // CRASH: journal_before_run. An empty run: it is never resumed, and the next clean removes
        // it.
        crash::point("journal_before_run");
        cut_off.iter().for_each(|record| journal.note(record));
        journal.note(&Record::Run(run));
        match journal.flush() {
            Trouble::None => Ok(journal),
            Trouble::Full => Err(JournalError::NoSpace(folder.path().to_owned())),
            Trouble::Lost(why) => Err(JournalError::Lost { folder: folder.path().to_owned(), why }),
        }
    }
}

impl Journal {
    /// Records what became of attempts that had succeeded, before anything else is done about
    /// them.
    ///
    /// # Errors
    /// The journal cannot be written or synced.
    pub(crate) fn settle(&mut self, settled: Settled) -> Result<(), JournalError> {
        let Settled { ends, unshown, void } = settled;
        if ends.is_empty() && unshown.is_empty() && void.is_empty() {
            return Ok(());
        }
        for end in unshown {
            self.note(&Record::Unshown(end));
        }
        for end in ends {
            self.note(&Record::End(end));
        }
        for Intent { seq, value, attempt, .. } in void {
            self.note(&Record::Void { seq, value, attempt });
        }
        match self.flush() {
            Trouble::None => self.records.file().sync_data().map_err(JournalError::Unsynced),
            Trouble::Full => Err(JournalError::NoSpaceToSettle),
            Trouble::Lost(why) => Err(JournalError::CannotSettle(why)),
        }
    }

    /// The run has started: what a failed start would remove stays.
    pub(crate) fn keep(&mut self) {
        self.locks.as_mut().map(Locks::keep);
    }

    /// Whether the journal is still at its path.
    pub(crate) fn is_in_place(&self) -> bool {
        let (open, there) = (self.records.file().metadata(), std::fs::metadata(&self.place));
        let id = |meta: std::io::Result<std::fs::Metadata>| {
            meta.map(|meta| (meta.dev(), meta.ino())).ok()
        };
        id(open).is_some_and(|open| id(there) == Some(open))
    }

    /// The results of tasks are on the file system of this file.
    pub(crate) fn results_are_on(&self, file: File) {
        self.sync.results_are_on(file);
    }

    /// Its file, for another thread to sync.
    pub(crate) fn file(&self) -> std::io::Result<File> {
        self.records.file().try_clone()
    }
}

impl<F: Write> Journal<F> {
    /// Continues with these files, at this number.
    pub(crate) fn over(
        records: F,
        inputs: Option<F>,
        next: u64,
        run: &str,
        sync: Sync,
    ) -> Journal<F> {
        Journal {
            records: Appender::new(records),
            seed: Seed::new(run),
            inputs: inputs.map(Appender::new),
            kept: Batch { first: 1, values: 0, at: 0, bytes: 0, sum: 0 },
            next,
            held: HashMap::new(),
            sync,
            trouble: Trouble::None,
            place: PathBuf::new(),
            locks: None,
        }
    }

    /// Whether values are kept because they cannot be read again.
    pub(crate) fn keeps_values(&self) -> bool {
        self.inputs.is_some()
    }

    /// Its path.
    pub(crate) fn place(&self) -> &Path {
        &self.place
    }

    /// Keeps values that cannot be read again, before anything else is done with them.
    pub(crate) fn spool(&mut self, values: &[Vec<u8>]) {
        let Some(inputs) = self.inputs.as_mut().filter(|_| !values.is_empty()) else { return };
        let buffer = inputs.buffer();
        let start = buffer.len();
        for value in values {
            buffer.extend_from_slice(value);
            buffer.push(0);
        }
        let (first, at) = (self.kept.first + self.kept.values, self.kept.at + self.kept.bytes);
        let (bytes, sum) = ((buffer.len() - start) as u64, self.seed.checksum(&buffer[start..]));
        self.kept = Batch { first, values: values.len() as u64, at, bytes, sum };
        self.note(&Record::Kept(self.kept.clone()));
    }

    /// Adds a record; it is written with the next flush.
    pub(crate) fn note(&mut self, record: &Record) {
        let t = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        line::write(Head { n: self.next, t }, record, &self.seed, self.records.buffer());
        self.next += 1;
    }

    /// Adds the end of a task once the output with this number has been shown.
    pub(crate) fn note_when_shown(&mut self, seq: u64, end: End) {
        self.held.insert(seq, end);
    }

    /// The outputs of these tasks are kept and wait to be shown: if this process dies, the next
    /// generation shows them, and does not run the tasks again.
    pub(crate) fn kept(&mut self, tasks: impl IntoIterator<Item = u64>) {
        for seq in tasks {
            if let Some(end) = self.held.get(&seq) {
                let record = Record::Unshown(end.clone());
                self.note(&record);
            }
        }
    }

    /// The outputs of these tasks could not be kept: they cannot be shown again.
    pub(crate) fn unkept(&mut self, tasks: impl IntoIterator<Item = u64>) {
        for seq in tasks {
            if let Some(End { value, attempt, .. }) = self.held.get(&seq) {
                let (value, attempt) = (value.clone(), *attempt);
                self.note(&Record::Unkept { seq, value, attempt });
            }
        }
    }

    /// The outputs of these tasks were shown.
    pub(crate) fn shown(&mut self, tasks: impl IntoIterator<Item = u64>) {
        for seq in tasks {
            if let Some(end) = self.held.remove(&seq) {
                self.note(&Record::End(end));
            }
        }
    }

    /// Whether the end of this task waits for its output to be shown.
    pub(crate) fn holds(&self, seq: u64) -> bool {
        self.held.contains_key(&seq)
    }

    /// Whether every end reported so far is in the journal, or about to be.
    pub(crate) fn is_whole(&self) -> bool {
        self.held.is_empty() && self.trouble == Trouble::None
    }

    /// Writes what was added. Returns the problem, if any.
    pub(crate) fn flush(&mut self) -> Trouble {
        if let Trouble::Lost(_) = self.trouble {
            return self.trouble.clone();
        }
        let pending =
            self.records.is_pending() || self.inputs.as_ref().is_some_and(Appender::is_pending);
        let flushed = match self.inputs.as_mut().map_or(Flushed::All, Appender::flush) {
            Flushed::All => self.records.flush(),
            other => other,
        };
        if pending {
            self.sync.written();
        }
        self.trouble = match (flushed, self.sync.failed()) {
            (Flushed::Broken(why), _) => Trouble::Lost(why),
            (_, Some(why)) => Trouble::Lost(format!("cannot be synced to disk: {why}")),
            (Flushed::Full, None) => Trouble::Full,
            (Flushed::All, None) => Trouble::None,
        };
        self.trouble.clone()
    }

    /// Writes the last record and waits for the disk.
    pub(crate) fn finish(&mut self, status: u8, complete: bool, halted: bool) -> Trouble {
        self.note(&Record::Finish { status, complete, halted });
        self.flush();
        self.sync.finish();
        self.flush()
    }
}
