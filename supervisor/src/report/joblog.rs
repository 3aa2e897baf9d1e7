//! The joblog in the format of GNU parallel: a line per finished task. It is for the user's
//! scripts; the run does not need it and does not stop when it cannot be written.

use std::collections::HashMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use msup_protocol::{exit, extent};

use crate::engine::Entry;
use crate::journal::{Appender, End, Flushed, Folder, JournalError, Name, State};
use crate::os::files;

/// The columns of GNU parallel's joblog.
const COLUMNS: &[u8] =
    b"Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

const COLUMN_COUNT: usize = 9;

/// The place of the number of bytes of output.
const RECEIVED: usize = 5;

/// The number of bytes kept while the disk is full; further lines are dropped.
const KEPT_AT_MOST: usize = 16 << 20;

/// The file, and how writing it goes.
#[derive(Debug)]
pub(crate) struct Joblog {
    path: PathBuf,
    file: Appender,
    /// The state that was last reported.
    said: Flushed,
    sends: Sends,
    /// Lines that were dropped.
    dropped: u64,
    /// Lines of tasks whose outputs have not been shown yet: as in the journal, they have not
    /// finished.
    held: HashMap<u64, Vec<u8>>,
    /// The same for tasks of earlier generations.
    unshown: HashMap<Name, Vec<u8>>,
}

/// Why the joblog cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JoblogError {
    #[error("--joblog {}: {why}", path.display())]
    File {
        path: PathBuf,
        #[source]
        why: io::Error,
    },
    /// The journal says which lines are missing.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl JoblogError {
    /// Names the file of a system error.
    fn at(path: &Path) -> impl Fn(io::Error) -> JoblogError {
        |why| JoblogError::File { path: path.to_owned(), why }
    }
}

/// What commands read on their standard input.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sends {
    /// Nothing, or it is not known how much.
    Unknown,
    /// The block of their value.
    Blocks,
    /// This number of bytes.
    Whole(u64),
}

/// One line: a finished task.
struct Line<'a> {
    seq: u64,
    /// The start in seconds since 1970, and the duration in seconds.
    start: f64,
    wall: f64,
    /// The number of bytes that it got on its standard input, and that were shown.
    sent: u64,
    received: u64,
    exit: i16,
    signal: u8,
    command: &'a [u8],
}

impl Joblog {
    /// Checks that it can be opened, without touching it.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) fn check(typed: &Path, continues: bool) -> Result<(), JoblogError> {
        let (path, _) = file(typed, continues);
        files::check_writable(path).map_err(JoblogError::at(path))
    }

    /// Opens it. It is appended to if the path begins with `+`, as in GNU parallel, or if a run is
    /// resumed. `sends`: what commands read.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) fn open(typed: &Path, continues: bool, sends: Sends) -> Result<Joblog, JoblogError> {
        let (path, adds) = file(typed, continues);
        let opened = files::open_named(path).and_then(|file| {
            if !adds {
                files::empty(&file)?;
            } else if continues {
                cut_torn_line(path, &file)?;
            }
            let is_empty = file.metadata()?.len() == 0;
            Ok((file, is_empty))
        });
        let (file, is_empty) = opened.map_err(JoblogError::at(path))?;
        let (path, file) = (path.to_owned(), Appender::new(file));
        let (held, unshown) = (HashMap::new(), HashMap::new());
        let (said, dropped) = (Flushed::All, 0);
        let mut joblog = Joblog { path, file, said, sends, dropped, held, unshown };
        if is_empty {
            joblog.file.buffer().extend_from_slice(COLUMNS);
        }
        Ok(joblog)
    }

    /// Adds a line if this is the end of a task, with `received` bytes of output; only once these
    /// are shown, if it `will_show` them.
    pub(crate) fn add(
        &mut self,
        entry: &Entry,
        (received, will_show): (u64, bool),
        describe: impl Fn(&[u8], u64) -> Vec<u8>,
    ) {
        let Entry::End { seq, value, failure, wall, .. } = entry else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (start, wall) = (now.saturating_sub(*wall).as_secs_f64(), wall.as_secs_f64());
        let (exit, signal) = failure.as_ref().map_or((0, 0), |(cause, _)| cause.status());
        let command = &describe(value, *seq);
        let (seq, sent) = (*seq, self.sent(value));
        let line = Line { seq, start, wall, sent, received, exit, signal, command }.bytes();
        if will_show {
            self.held.insert(seq, line);
        } else {
            self.push(&line);
        }
    }

    /// How many bytes these tasks, whose outputs were not shown yet, have written to standard
    /// output while they ran.
    pub(crate) fn received(&mut self, counts: &[(u64, u64)]) {
        for (seq, received) in counts {
            if let Some(line) = self.held.get_mut(seq) {
                let fields = line.splitn(COLUMN_COUNT, |byte| *byte == b'\t').enumerate();
                let count = received.to_string().into_bytes();
                let fields = fields.map(|(at, field)| if at == RECEIVED { &count } else { field });
                *line = fields.collect::<Vec<_>>().join(&b'\t');
            }
        }
    }

    /// The outputs of these tasks were shown.
    pub(crate) fn shown(&mut self, tasks: &[u64]) {
        for seq in tasks {
            if let Some(line) = self.held.remove(seq) {
                self.push(&line);
            }
        }
    }

    /// Whether the line of this task waits for its output to be shown.
    pub(crate) fn holds(&self, seq: u64) -> bool {
        self.held.contains_key(&seq)
    }

    /// The line of a task that finished before, `at` seconds since 1970, as the journal tells. The
    /// size of its output is unknown.
    fn line_of(&self, at: f64, end: &End, command: &[u8]) -> Vec<u8> {
        let (exit, signal) = match end.state {
            State::Succeeded => (0, 0),
            _ if end.signal.is_some() => (0, end.signal.unwrap_or_default()),
            _ => (end.exit.unwrap_or(exit::ERROR).into(), 0),
        };
        let (seq, wall, start) = (end.seq, end.seconds, at - end.seconds);
        let (sent, received) = (self.sent(&end.value.0), 0);
        Line { seq, start, wall, sent, received, exit, signal, command }.bytes()
    }

    /// Adds the line of a task that finished before, `at` seconds since 1970.
    pub(crate) fn add_ended(&mut self, at: f64, end: &End, command: &[u8]) {
        let line = self.line_of(at, end, command);
        self.push(&line);
    }

    /// Adds the line of a task that has finished on some machine: its number, when it began in
    /// seconds since 1970 and how long it took, the bytes of its output, its exit status and its
    /// signal.
    #[cfg(feature = "nats")]
    pub(crate) fn add_finished(
        &mut self,
        seq: u64,
        (start, wall): (f64, f64),
        received: u64,
        (exit, signal): (i16, u8),
        command: &[u8],
    ) {
        let line = Line { seq, start, wall, sent: 0, received, exit, signal, command };
        self.push(&line.bytes());
    }

    /// Adds the lines of tasks that finished before: a kill may have come between the journal and
    /// this file. The size of their outputs is unknown.
    ///
    /// # Errors
    /// This file or the journal cannot be read.
    pub(crate) fn restore(
        &mut self,
        folder: &Folder,
        describe: impl Fn(&[u8], u64) -> Vec<u8>,
    ) -> Result<(), JoblogError> {
        let metadata = self.file.file().metadata().map_err(JoblogError::at(&self.path))?;
        if !metadata.is_file() {
            return Ok(());
        }
        let text = fs::read(&self.path).map_err(JoblogError::at(&self.path))?;
        let mut there: HashMap<u64, u32> = HashMap::new();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            *there.entry(name_of(line)).or_default() += 1;
        }
        let mut missing = Vec::new();
        let mut unshown = HashMap::new();
        folder.each_end(|at, end, is_shown| {
            let line = self.line_of(at, &end, &describe(&end.value.0, end.seq));
            let name = (end.seq, end.value.0);
            if !is_shown {
                unshown.insert(name, line);
                return;
            }
            unshown.remove(&name);
            match there.get_mut(&name_of(&line)).filter(|count| **count > 0) {
                Some(count) => *count -= 1,
                None => missing.push(line),
            }
        })?;
        missing.iter().for_each(|line| self.push(line));
        self.unshown = unshown;
        Ok(())
    }

    /// The output of this task of an earlier generation is about to be shown, as that of the task
    /// with the number `seq`.
    pub(crate) fn awaits(&mut self, seq: u64, end: &End) {
        if let Some(line) = self.unshown.remove(&(end.seq, end.value.0.clone())) {
            self.held.insert(seq, line);
        }
    }

    /// The number of bytes that the command of this value gets; 0 where it is not known.
    fn sent(&self, value: &[u8]) -> u64 {
        match self.sends {
            Sends::Unknown => 0,
            Sends::Whole(bytes) => bytes,
            Sends::Blocks => {
                let parts = extent::of_value(value).unwrap_or_default();
                parts.iter().map(|part| part.len).sum()
            }
        }
    }

    fn push(&mut self, line: &[u8]) {
        let is_broken = matches!(self.said, Flushed::Broken(_));
        if is_broken || self.file.buffer().len() > KEPT_AT_MOST {
            self.dropped += 1;
            return;
        }
        self.file.buffer().extend_from_slice(line);
    }

    /// Writes what was added. Returns a message if the state has changed.
    pub(crate) fn flush(&mut self) -> Option<String> {
        if matches!(self.said, Flushed::Broken(_)) {
            return None;
        }
        let flushed = self.file.flush();
        if flushed == self.said {
            return None;
        }
        let path = self.path.display();
        let text = match &flushed {
            Flushed::All => format!("--joblog {path}: there is space again: all lines are written"),
            Flushed::Full => format!(
                "--joblog {path}: no space left: the run goes on, and its lines are written when \
                 there is space"
            ),
            Flushed::Broken(why) => {
                format!("--joblog {path}: {why}: the run goes on, and no more lines are written")
            }
        };
        self.said = flushed;
        Some(text)
    }

    /// Writes what is left. Returns what is missing in it, if anything is.
    pub(crate) fn finish(&mut self) -> Option<String> {
        let _ = self.flush();
        let path = self.path.display();
        let why = match &self.said {
            Flushed::All if self.dropped == 0 => return None,
            Flushed::All | Flushed::Full => "there was no space for all lines",
            Flushed::Broken(why) => why,
        };
        Some(format!("--joblog {path}: it is not complete: {why}"))
    }
}

impl Line<'_> {
    fn bytes(&self) -> Vec<u8> {
        let Line { seq, start, wall, sent, received, exit, signal, command } = self;
        let mut out = Vec::with_capacity(command.len() + 64);
        // Writing into memory cannot fail.
        let _ = write!(out, "{seq}\t:\t{start:.3}\t{wall:10.3}\t{sent}\t{received}\t");
        let _ = write!(out, "{exit}\t{signal}\t");
        // As parallel does it: newlines are replaced, so that a task stays on one line.
        out.extend(command.iter().map(|byte| if *byte == b'\n' { 0 } else { *byte }));
        out.push(b'\n');
        out
    }
}

/// Removes what a kill or a full disk has left of the last line.
fn cut_torn_line(path: &Path, file: &File) -> io::Result<()> {
    if !file.metadata()?.is_file() {
        return Ok(());
    }
    let text = fs::read(path)?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if whole < text.len() { file.set_len(whole as u64) } else { Ok(()) }
}

/// A checksum of what identifies the task of a line: its number and its command.
fn name_of(line: &[u8]) -> u64 {
    let mut fields = line.splitn(COLUMN_COUNT, |byte| *byte == b'\t');
    let mut hasher = DefaultHasher::new();
    (fields.next(), fields.last()).hash(&mut hasher);
    hasher.finish()
}

/// The file, and whether it is appended to.
fn file(typed: &Path, continues: bool) -> (&Path, bool) {
    use std::os::unix::ffi::OsStrExt;
    match typed.as_os_str().as_bytes().strip_prefix(b"+") {
        Some(path) => (Path::new(std::ffi::OsStr::from_bytes(path)), true),
        None => (typed, continues),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn end() -> Entry {
        let (wall, cpu) = (Duration::from_millis(1500), Duration::ZERO);
        let (value, failure, emitted) = (b"v".to_vec(), None, None);
        Entry::End { seq: 3, value, attempt: 1, failure, wall, cpu, emitted, slot: None }
    }

    #[test]
    fn a_full_disk_is_told_once_and_at_the_end() {
        let mut joblog =
            Joblog::open(Path::new("/dev/full"), false, Sends::Unknown).expect("it is there");
        joblog.add(&end(), (0, false), |value, _| value.to_vec());
        let said = joblog.flush().expect("it is full");
        assert!(said.starts_with("--joblog /dev/full: no space left: the run goes on"), "{said}");
        assert_eq!(joblog.flush(), None);
        let missing = joblog.finish().expect("nothing was written");
        assert!(missing.starts_with("--joblog /dev/full: it is not complete"), "{missing}");
    }

    #[test]
    fn what_was_written_while_a_task_ran_is_counted_later() {
        let mut joblog =
            Joblog::open(Path::new("/dev/null"), false, Sends::Unknown).expect("it is there");
        joblog.add(&end(), (0, true), |_, _| b"a\tb".to_vec());
        joblog.received(&[(3, 7), (4, 1)]);
        joblog.shown(&[3]);
        let text = String::from_utf8_lossy(joblog.file.buffer()).into_owned();
        assert!(text.ends_with("\t0\t7\t0\t0\ta\tb\n"), "{text}");
    }

    #[test]
    fn what_is_kept_for_a_full_disk_is_bounded() {
        let mut joblog =
            Joblog::open(Path::new("/dev/full"), false, Sends::Unknown).expect("it is there");
        for _ in 0..5 {
            joblog.add(&end(), (0, false), |_, _| vec![b'x'; KEPT_AT_MOST / 2 - 1000]);
        }
        assert!(joblog.file.buffer().len() < 2 * KEPT_AT_MOST);
        assert_eq!(joblog.dropped, 2);
    }
}
