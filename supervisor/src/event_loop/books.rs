//! What is written down of a run: its journal, and the joblog beside it.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::cli::{Keeping, Retried};
use crate::engine::sabotage::{self, Bug};
use crate::engine::{Earlier, Entry, Event, Input, TaskRecord};
use crate::journal::{
    Appender, Bytes, End, Flushed, Folder, Intent, Journal, Keeper, Kept, Known, Matches, Opening,
    Past, Record, Run, SCHEMA, Settled, State, Trouble, runs,
};
use crate::os::files;
use crate::output::Delivery;

use super::replay::Replay;

/// The columns of GNU parallel's joblog.
const COLUMNS: &[u8] =
    b"Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

/// The books of a run; none of them need be kept.
#[derive(Debug, Default)]
pub(super) struct Books {
    journal: Option<Journal>,
    /// Where the journal is.
    folder: Option<Folder>,
    joblog: Option<Appender>,
    /// Keeps outputs, until the writer has it.
    keeper: Option<Keeper>,
    /// Outputs that are shown again.
    pub(super) replay: Option<Replay>,
    trouble: Trouble,
    /// Something was noted that must be written before any task is published.
    is_urgent: bool,
    /// What was told of it last.
    told: Trouble,
    known: Option<KnownTasks>,
    /// Values are missing that the run would have had.
    pub(super) is_cut_off: bool,
}

/// What earlier generations have told.
#[derive(Debug)]
pub(crate) struct KnownTasks {
    matches: Matches,
    generations: u32,
}

impl KnownTasks {
    pub(crate) fn of(past: Past, describe: impl Fn(&[u8], u64) -> Vec<u8>) -> KnownTasks {
        let generations = past.generations;
        KnownTasks { matches: past.by_content(describe), generations }
    }

    /// What became of the next task with this content.
    pub(crate) fn earlier(&mut self, content: &[u8]) -> Earlier {
        match self.matches.end(content) {
            Some(end) => ended(end),
            // In each generation it may have been under way without a word.
            None => Earlier::Tried(self.matches.attempts(content) + self.generations),
        }
    }
}

/// How books are opened: themselves, what there is to say about it, and tasks that are known beforehand.
pub(super) struct Opened {
    pub(super) books: Books,
    pub(super) words: Vec<String>,
    pub(super) inputs: Vec<Input>,
}

impl Books {
    /// # Errors
    /// One line that says what is in the way.
    pub(super) fn open(
        keeping: Keeping,
        run: &str,
        joblog: Option<&Path>,
        describe: impl Fn(&[u8], u64) -> Vec<u8>,
        keeps_all: bool,
        doorbell: OwnedFd,
    ) -> Result<Opened, String> {
        let (mut words, mut inputs, mut books) = (Vec::new(), Vec::new(), Books::default());
        let continues = matches!(keeping, Keeping::Continued { .. });
        if let Some(path) = joblog {
            // Before anything is made; it is emptied last: a failed start changes nothing.
            let (path, _) = joblog_file(path, continues);
            files::check_writable(path).map_err(|why| joblog_line(path, &why))?;
        }
        match keeping {
            Keeping::Nowhere => {}
            Keeping::New { place, order, arguments, spools, durability } => {
                let named = place.is_some();
                let folder =
                    place.map_or_else(|| runs::new_folder(run), |place| Ok(Folder::at(place)));
                let opened = folder.and_then(|folder| {
                    let (folder, locks) = folder.begin(order)?;
                    let kept = folder.clone();
                    let file = folder.create_outputs()?;
                    let line = |why: io::Error| format!("{}: {why}", kept.outputs().display());
                    let outputs = Some(file.try_clone().map_err(line)?);
                    let keeper = Keeper::new(file, kept.outputs(), run, keeps_all);
                    let (next, whole) = (1, 0);
                    let opening =
                        Opening { folder, locks, next, whole, outputs, spools, durability };
                    let arguments = arguments.into_iter().map(Bytes).collect();
                    let this = this_generation(run, 1, arguments)?;
                    Journal::open(opening, this, doorbell).map(|journal| (journal, kept, keeper))
                });
                match opened {
                    Ok((journal, folder, keeper)) => {
                        (books.journal, books.folder) = (Some(journal), Some(folder));
                        books.keeper = Some(keeper);
                    }
                    Err(why) if named => return Err(format!("--journal {why}")),
                    Err(why) => words.push(format!(
                        "no journal is kept, the run cannot be resumed: {}; --no-journal says so, too",
                        runs::explain(&why)
                    )),
                }
            }
            Keeping::Continued { continued, durability } => {
                let continued = *continued;
                let mut past = continued.past;
                let settled = past.settle()?;
                words.extend(remarks(&past, continued.ended, &settled));
                let generation = past.generations + 1;
                let (next, whole) = (past.condition.next, past.condition.whole);
                let (folder, locks) = (continued.folder, continued.locks);
                books.folder = Some(folder.clone());
                let (keeper, outputs) = keep_on(&folder, run, keeps_all)?.unzip();
                let spools = false;
                let replays = continued.replays.then(|| folder.clone());
                let opening = Opening { folder, locks, next, whole, outputs, spools, durability };
                let this = this_generation(run, generation, past.run.arguments.clone())?;
                let mut journal = Journal::open(opening, this, doorbell)?;
                journal.settle(settled)?;
                books.journal = Some(journal);
                books.keeper = keeper;
                books.is_cut_off = continued.cut_off;
                if let Some(folder) = replays {
                    books.replay = Some(Replay::open(&folder, run, &describe)?);
                }
                if let Some(retried) = continued.retried {
                    inputs = again(past, retried);
                } else {
                    books.known = Some(KnownTasks::of(past, describe));
                }
            }
        }
        if let Some(path) = joblog {
            books.joblog = Some(open_joblog(path, continues)?);
        }
        Ok(Opened { books, words, inputs })
    }

    /// The run has started: what a failed start would take away stays.
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

    /// What became of a task with this content before.
    pub(super) fn earlier(&mut self, seq: u64, content: impl FnOnce() -> Vec<u8>) -> Earlier {
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

    /// What the task with this number wrote in an earlier generation, if that is to be shown again.
    pub(super) fn replayed(&mut self, seq: u64) -> Option<Delivery> {
        self.replay.as_mut()?.take(seq)
    }

    /// What keeps outputs, for the writer.
    pub(super) fn take_keeper(&mut self) -> Option<Keeper> {
        self.keeper.take()
    }

    /// All values were read: what there is to say about that.
    pub(super) fn all_read(&self) -> Option<String> {
        let left = self.known.as_ref().map_or(0, |known| known.matches.left());
        (left > 0).then(|| format!("{left} tasks of the journal are not in the input any more"))
    }

    /// Writes an entry down; an end only when its output has been shown, if it `will_be_shown`. So many bytes
    /// of output were received.
    pub(super) fn note(
        &mut self,
        entry: Entry,
        will_be_shown: bool,
        received: u64,
        describe: impl Fn(&[u8], u64) -> Vec<u8>,
    ) {
        if let Some(joblog) = &mut self.joblog {
            add_to_joblog(joblog.buffer(), &entry, received, describe);
        }
        let Some(journal) = &mut self.journal else { return };
        if matches!(entry, Entry::InputsEnd(_)) && self.is_cut_off {
            return;
        }
        self.is_urgent |= matches!(entry, Entry::Again { .. });
        write_down(journal, entry, will_be_shown);
    }

    /// Writes down what is about to be done with a file.
    pub(super) fn intend(&mut self, intent: Intent) {
        if let Some(journal) = &mut self.journal {
            journal.note(&Record::Intent(intent));
        }
    }

    /// Writes down that it was not done, and will not be.
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

    /// The journal's file, to be synced by somebody else.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub(super) fn journal_file(&self) -> io::Result<Option<File>> {
        self.journal.as_ref().map(Journal::file).transpose()
    }

    /// The outputs of these tasks were shown.
    pub(super) fn shown(&mut self, tasks: Vec<u64>) {
        if let Some(journal) = &mut self.journal {
            journal.shown(tasks);
        }
    }

    /// Whether it matters what was shown.
    pub(super) fn wants_to_know(&self) -> bool {
        self.journal.is_some()
    }

    pub(super) fn flush_if_urgent(&mut self) {
        if self.is_urgent {
            self.flush();
        }
    }

    pub(super) fn flush(&mut self) {
        self.is_urgent = false;
        let journal = self.journal.as_mut().map_or(Trouble::None, Journal::flush);
        let joblog = self.joblog.as_mut().map_or(Flushed::All, Appender::flush);
        self.trouble = journal.or(joblog, "the joblog");
    }

    /// What has changed about the disk.
    pub(super) fn news(&mut self) -> Option<Event> {
        if self.told == self.trouble {
            return None;
        }
        self.told = self.trouble.clone();
        Some(match &self.trouble {
            Trouble::None => Event::JournalFull(false),
            Trouble::Full => Event::JournalFull(true),
            Trouble::Lost(why) => Event::JournalLost(why.clone()),
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

    /// Closes the books. Whether all that was told is written down.
    pub(super) fn finish(&mut self, status: u8, complete: bool) -> bool {
        if let Some(journal) = &mut self.journal {
            let complete = complete && journal.is_whole() && !self.is_cut_off;
            journal.finish(status, complete);
        }
        self.flush();
        self.trouble == Trouble::None
    }
}

/// Writes an entry into the journal; an end only when its output has been shown, if it `will_be_shown`.
pub(crate) fn write_down<F: Write>(journal: &mut Journal<F>, entry: Entry, will_be_shown: bool) {
    match entry {
        Entry::InputsEnd(total) => journal.note(&Record::InputsEnd { total }),
        Entry::Again { seq, value, attempt, cause } => {
            let (value, cause) = (Bytes(value), cause.to_string());
            journal.note(&Record::Again { seq, value, attempt, cause });
        }
        Entry::End { seq, value, attempt, failure, wall, cpu } => {
            let state = match failure {
                None => State::Succeeded,
                Some((_, false)) => State::Failed,
                Some((_, true)) => State::Quarantined,
            };
            let cause = failure.map(|(cause, _)| cause.to_string());
            let [seconds, cpu] = [wall, cpu].map(|time| time.as_micros() as f64 / 1e6);
            let end = End { seq, value: Bytes(value), attempt, state, cause, seconds, cpu };
            if will_be_shown && !sabotage::has(Bug::WritesTooEarly) {
                journal.note_when_shown(seq, Record::End(end));
            } else {
                journal.note(&Record::End(end));
            }
        }
    }
}

/// Goes on keeping outputs where that was done from the beginning on.
fn keep_on(folder: &Folder, run: &str, all: bool) -> Result<Option<(Keeper, File)>, String> {
    let Some(file) = folder.open_outputs()? else { return Ok(None) };
    let line = |why: io::Error| format!("{}: {why}", folder.outputs().display());
    // The torn end of the last write goes before anything is added to it.
    let whole = Kept::read(&file, run).map_err(line)?.whole;
    file.set_len(whole).map_err(line)?;
    let synced = file.try_clone().map_err(line)?;
    Ok(Some((Keeper::new(file, folder.outputs(), run, all), synced)))
}

fn this_generation(run: &str, generation: u32, arguments: Vec<Bytes>) -> Result<Run, String> {
    use std::os::unix::ffi::OsStringExt;
    let folder = std::env::current_dir().map_err(|why| format!("the working folder: {why}"))?;
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

fn remarks(past: &Past, ended: usize, settled: &Settled) -> Vec<String> {
    let mut words = Vec::new();
    let damaged = past.condition.damaged;
    if damaged > 0 {
        words
            .push(format!("{damaged} lines of the journal are damaged: their tasks are run again"));
    }
    if ended > 0 {
        words.push(format!("{ended} processes of the run were still alive: ended"));
    }
    if settled.unseen > 0 {
        words.push(format!(
            "{} tasks had put their files in place when the run was cut off; what they printed may be missing",
            settled.unseen
        ));
    }
    words
}

fn ended(known: Known) -> Earlier {
    let Known { state, cause, attempt } = known;
    let cause = cause.unwrap_or_default();
    match state {
        State::Succeeded => Earlier::Succeeded,
        State::Failed => Earlier::Failed { cause, attempts: attempt, quarantined: false },
        State::Quarantined => Earlier::Failed { cause, attempts: attempt, quarantined: true },
    }
}

/// All tasks that have ended, those that are to be run again among them.
fn again(past: Past, retried: Retried) -> Vec<Input> {
    let generations = past.generations;
    let inputs = past.ended().into_iter().map(|(seq, value, known)| {
        let is_run = match known.state {
            State::Succeeded => false,
            State::Failed => retried.failed,
            State::Quarantined => retried.quarantined,
        };
        let earlier =
            if is_run { Earlier::Tried(known.attempt + generations) } else { ended(known) };
        Input { value, seq: Some(seq), expected: Duration::ZERO, earlier }
    });
    inputs.collect()
}

/// The joblog's file, and whether it is added to.
fn joblog_file(typed: &Path, continues: bool) -> (&Path, bool) {
    use std::os::unix::ffi::OsStrExt;
    match typed.as_os_str().as_bytes().strip_prefix(b"+") {
        Some(path) => (Path::new(std::ffi::OsStr::from_bytes(path)), true),
        None => (typed, continues),
    }
}

fn joblog_line(path: &Path, why: &io::Error) -> String {
    format!("--joblog {}: {why}", path.display())
}

fn open_joblog(typed: &Path, continues: bool) -> Result<Appender, String> {
    let (path, adds) = joblog_file(typed, continues);
    let opened = files::open_named(path).and_then(|file| {
        if !adds {
            files::empty(&file)?;
        }
        let is_empty = file.metadata()?.len() == 0;
        Ok((file, is_empty))
    });
    let (file, is_empty) = opened.map_err(|why| joblog_line(path, &why))?;
    let mut joblog = Appender::new(file);
    if is_empty {
        joblog.buffer().extend_from_slice(COLUMNS);
    }
    Ok(joblog)
}

fn add_to_joblog(
    out: &mut Vec<u8>,
    entry: &Entry,
    received: u64,
    describe: impl Fn(&[u8], u64) -> Vec<u8>,
) {
    let Entry::End { seq, value, failure, wall, .. } = entry else { return };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (start, wall) = (now.saturating_sub(*wall).as_secs_f64(), wall.as_secs_f64());
    let (exit, signal) = failure.as_ref().map_or((0, 0), |(cause, _)| cause.status());
    // Writing into memory cannot fail.
    let _ = write!(out, "{seq}\t:\t{start:.3}\t{wall:10.3}\t0\t{received}\t{exit}\t{signal}\t");
    // As parallel does it: a line is a line.
    out.extend(describe(value, *seq).into_iter().map(|byte| if byte == b'\n' { 0 } else { byte }));
    out.push(b'\n');
}
