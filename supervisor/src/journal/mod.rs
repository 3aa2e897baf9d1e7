//! The journal of a run: what has reached its end, so that a run that was cut off can be taken up again.
//!
//! One writer, the event loop; a line per event, appended with `write(2)`. What a task wrote is shown first and
//! journaled then: a task whose output nobody has seen has not ended, and is run again.

mod appender;
mod folder;
mod line;
mod outputs;
mod past;
mod reader;
mod record;
pub(crate) mod runs;
mod survivors;
mod sync;

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::time::{SystemTime, UNIX_EPOCH};

use msup_protocol::crash;
use rustix::fs::OFlags;

use crate::os::files;

pub(crate) use appender::{Appender, Flushed};
pub(crate) use folder::{Folder, Locks, mend_inputs};
use line::Head;
pub(crate) use outputs::{Keeper, Kept, Place, Writer as KeptFor};
pub(crate) use past::{Known, Matches, Past, Settled};
pub(crate) use reader::read;
pub(crate) use record::{Bytes, End, Intent, Record, Run, SCHEMA, State};
pub(crate) use survivors::take_over;
pub(crate) use sync::{Durability, Sync};

/// Who writes it.
#[derive(Debug)]
pub(crate) struct Journal<F = File> {
    records: Appender<F>,
    /// Where values go that cannot be read again.
    inputs: Option<Appender<F>>,
    /// The next record's number.
    next: u64,
    /// Ends of tasks whose output is on its way.
    held: HashMap<u64, Record>,
    sync: Sync,
    trouble: Trouble,
    locks: Option<Locks>,
}

/// What is wrong with the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Trouble {
    #[default]
    None,
    /// It is full: nothing new may be started until it is not.
    Full,
    /// The journal cannot be relied on any more: why.
    Lost(String),
}

/// How a journal is begun, or gone on with.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) folder: Folder,
    pub(crate) locks: Locks,
    /// The next record's number; and where the last whole one ends.
    pub(crate) next: u64,
    pub(crate) whole: u64,
    /// Where outputs are kept: made safe before what is journaled of them.
    pub(crate) outputs: Option<File>,
    /// Whether values must be kept.
    pub(crate) spools: bool,
    pub(crate) durability: Durability,
}

impl Trouble {
    /// This, or what is wrong with another file.
    pub(crate) fn or(self, flushed: Flushed, name: &str) -> Trouble {
        match (self, flushed) {
            (Trouble::None, Flushed::Broken(why)) => Trouble::Lost(format!("{name}: {why}")),
            (Trouble::None, Flushed::Full) => Trouble::Full,
            (trouble, _) => trouble,
        }
    }
}

impl Journal {
    /// Begins a generation.
    ///
    /// # Errors
    /// One line that says what is in the way.
    pub(crate) fn open(opening: Opening, run: Run, doorbell: OwnedFd) -> Result<Journal, String> {
        let Opening { folder, locks, next, whole, outputs, spools, durability } = opening;
        let appended = |path: std::path::PathBuf| {
            let how = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE;
            let file = files::open_own(&path, how);
            file.map_err(|why| format!("{}: {why}", path.display()))
        };
        let records = appended(folder.journal())?;
        let inputs = if spools { Some(appended(folder.inputs())?) } else { None };
        let place = folder.path().display().to_string();
        let line = |why: std::io::Error| format!("{place}: {why}");
        // The torn end of the last write goes before anything is added to it: if this process dies here, a
        // journal has lost nothing that could be read.
        records.set_len(whole).map_err(line)?;
        folder.sync().map_err(line)?;
        let synced = outputs.iter().chain(&inputs).chain([&records]).map(File::try_clone);
        let synced = synced.collect::<Result<Vec<File>, _>>().map_err(line)?;
        let sync = Sync::start(synced, durability, doorbell)?;
        let mut journal =
            Journal { locks: Some(locks), ..Journal::over(records, inputs, next, sync) };
        // CRASH: journal_before_run. An empty run: nobody takes it up, and the next clean removes it.
        crash::point("journal_before_run");
        journal.note(&Record::Run(run));
        match journal.flush() {
            Trouble::None => Ok(journal),
            Trouble::Full => Err(format!("{place}: no space left on the disk")),
            Trouble::Lost(why) => Err(format!("{place}: {why}")),
        }
    }
}

impl Journal {
    /// Writes down what has become of files that were about to be put in their places, before anything else
    /// is done about them.
    ///
    /// # Errors
    /// One line that says what is in the way.
    pub(crate) fn settle(&mut self, settled: Settled) -> Result<(), String> {
        let Settled { ends, void, .. } = settled;
        if ends.is_empty() && void.is_empty() {
            return Ok(());
        }
        for end in ends {
            self.note(&Record::End(end));
        }
        for Intent { seq, value, attempt, .. } in void {
            self.note(&Record::Void { seq, value, attempt });
        }
        match self.flush() {
            Trouble::None => {
                self.records.file().sync_data().map_err(|why| format!("the journal: {why}"))
            }
            Trouble::Full => Err("no space left for the journal".into()),
            Trouble::Lost(why) => Err(format!("the journal: {why}")),
        }
    }

    /// The run has started: what a failed start would take away stays.
    pub(crate) fn keep(&mut self) {
        self.locks.as_mut().map(Locks::keep);
    }

    /// Its file, to be synced by somebody else.
    pub(crate) fn file(&self) -> std::io::Result<File> {
        self.records.file().try_clone()
    }
}

impl<F: Write> Journal<F> {
    /// Goes on with these files, at this number.
    pub(crate) fn over(records: F, inputs: Option<F>, next: u64, sync: Sync) -> Journal<F> {
        Journal {
            records: Appender::new(records),
            inputs: inputs.map(Appender::new),
            next,
            held: HashMap::new(),
            sync,
            trouble: Trouble::None,
            locks: None,
        }
    }

    /// Keeps values that cannot be read again. Before anything else is done with them.
    pub(crate) fn spool(&mut self, values: &[Vec<u8>]) {
        let Some(inputs) = &mut self.inputs else { return };
        for value in values {
            inputs.buffer().extend_from_slice(value);
            inputs.buffer().push(0);
        }
    }

    /// Adds a record; it is written with the next flush.
    pub(crate) fn note(&mut self, record: &Record) {
        let t = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        line::write(Head { n: self.next, t }, record, self.records.buffer());
        self.next += 1;
    }

    /// Adds it when the output of the task with this number has been shown.
    pub(crate) fn note_when_shown(&mut self, seq: u64, record: Record) {
        self.held.insert(seq, record);
    }

    /// The outputs of these tasks were shown.
    pub(crate) fn shown(&mut self, tasks: impl IntoIterator<Item = u64>) {
        for seq in tasks {
            if let Some(record) = self.held.remove(&seq) {
                self.note(&record);
            }
        }
    }

    /// Whether every end that was told is in the journal, or about to be.
    pub(crate) fn is_whole(&self) -> bool {
        self.held.is_empty() && self.trouble == Trouble::None
    }

    /// Writes what was added. What is wrong, if anything.
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
            (_, Some(why)) => Trouble::Lost(format!("cannot be made safe: {why}")),
            (Flushed::Full, None) => Trouble::Full,
            (Flushed::All, None) => Trouble::None,
        };
        self.trouble.clone()
    }

    /// The last record; waits for the disk.
    pub(crate) fn finish(&mut self, status: u8, complete: bool) -> Trouble {
        self.note(&Record::Finish { status, complete });
        self.flush();
        self.sync.finish();
        self.flush()
    }
}
