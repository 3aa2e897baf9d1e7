//! The finished tasks of one run.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek, SeekFrom, Write, stdout};
use std::thread;
use std::time::Duration;

use rustix::fs::OFlags;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Log, printed};
use crate::cli::Refusal;
use crate::journal::{
    AttemptFate, AttemptReader, Folder, JournalError, Record, Seed, State, ToldAttempt, read, seed,
};
use crate::report::escape;

/// How often the journal of a run that goes on is read.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Prints the tasks of this run that were asked for.
///
/// # Errors
/// The run cannot be read, or standard output cannot be written.
pub(super) fn show(log: &Log, folder: &Folder) -> Result<(), Refusal> {
    let path = folder.journal();
    let error = JournalError::at(&path);
    let mut file = folder.open_journal(OFlags::RDONLY)?;
    let seed = seed(BufReader::new(&file)).map_err(&error)?;
    let seed = seed.ok_or_else(|| JournalError::NoJournal(path.clone()))?;
    file.rewind().map_err(&error)?;
    let mut out = BufWriter::new(stdout().lock());
    // With --follow each attempt is printed as it comes.
    let last = if log.follow { None } else { Some(last_ends(&file, &seed).map_err(&error)?) };
    let (mut at, mut slowest, mut printing, mut number) = (0, Slowest::new(log), Ok(()), 0);
    let mut damaged = 0;
    let mut reader = AttemptReader::default();
    loop {
        // This is asked first: what the run writes until it is over is read below.
        let goes_on = log.follow && folder.is_running();
        file.seek(SeekFrom::Start(at)).map_err(&error)?;
        let condition = read(BufReader::new(&file), &seed, |at, record| {
            let Some(told) = reader.take(at, record) else { return };
            let is_end = matches!(told.fate, AttemptFate::Ended(_));
            number += u64::from(is_end);
            let attempts = last.as_ref().map(|last| last.attempts_of(&told));
            // Of a task that was run again, only the last end counts.
            let is_past = !is_end || last.as_ref().is_some_and(|last| !last.is_last(number));
            if is_past && !log.attempts || !log.wants(&told) || printing.is_err() {
                return;
            }
            let told = ToldLine { attempts: attempts.unwrap_or(told.attempt), told };
            if log.slowest.is_some() {
                slowest.add(told);
            } else {
                printing = log.print(&told, &mut out);
            }
        });
        let condition = condition.map_err(&error)?;
        at += condition.whole;
        damaged += condition.damaged;
        printing = printing.and_then(|()| out.flush());
        if !goes_on || printing.is_err() {
            break;
        }
        thread::sleep(LOOK_EVERY);
    }
    super::say_damaged(folder, damaged);
    for told in slowest.into_sorted() {
        printing = printing.and_then(|()| log.print(&told, &mut out));
    }
    printed(printing.and_then(|()| out.flush()))
}

/// A task. Its number alone is not enough: if the list was changed between two generations, another
/// task may have it.
type Task = (u64, Vec<u8>);

/// The last ends of all tasks: which of the journal's ends they are, from 1, and after how many
/// attempts.
struct LastEnds {
    of: HashMap<Task, (u64, u32)>,
    numbers: HashSet<u64>,
}

impl LastEnds {
    fn attempts_of(&self, told: &ToldAttempt) -> u32 {
        let last = self.of.get(&(told.seq, told.value.0.clone()));
        last.map_or(told.attempt, |(_, attempts)| *attempts)
    }

    /// Whether this end of the journal is the last one of a task.
    fn is_last(&self, number: u64) -> bool {
        self.numbers.contains(&number)
    }
}

fn last_ends(journal: &File, seed: &Seed) -> io::Result<LastEnds> {
    let (mut of, mut number) = (HashMap::<Task, (u64, u32)>::new(), 0);
    read(BufReader::new(journal), seed, |_, record| match record {
        Record::End(end) => {
            number += 1;
            of.insert((end.seq, end.value.0), (number, end.attempt));
        }
        Record::Moved { seq, value, to } => {
            if let Some(last) = of.remove(&(seq, value.0.clone())) {
                of.insert((to, value.0), last);
            }
        }
        _ => {}
    })?;
    let numbers = of.values().map(|(number, _)| *number).collect();
    Ok(LastEnds { of, numbers })
}

/// The attempts that took longest.
struct Slowest {
    most: usize,
    kept: Vec<ToldLine>,
}

impl Slowest {
    fn new(log: &Log) -> Slowest {
        Slowest { most: log.slowest.unwrap_or(0), kept: Vec::new() }
    }

    fn add(&mut self, told: ToldLine) {
        self.kept.push(told);
        if self.kept.len() > 2 * self.most.max(1000) {
            self.sort();
        }
    }

    fn sort(&mut self) {
        self.kept.sort_by(|one, other| other.told.seconds().total_cmp(&one.told.seconds()));
        self.kept.truncate(self.most);
    }

    fn into_sorted(mut self) -> Vec<ToldLine> {
        self.sort();
        self.kept
    }
}

impl Log {
    fn wants(&self, told: &ToldAttempt) -> bool {
        let is_state = match told.fate {
            AttemptFate::Ended(state) => self.wants_state(state),
            _ => self.state.is_none(),
        };
        let cause = told.cause.as_deref().unwrap_or_default();
        is_state && self.cause.as_deref().is_none_or(|wanted| cause.contains(wanted))
    }

    fn print(&self, line: &ToldLine, out: &mut impl Write) -> io::Result<()> {
        if self.json {
            escape::json(out, line)?;
            return writeln!(out);
        }
        writeln!(out, "{}", line.text())
    }
}

/// An attempt, and how many its task has had.
pub(super) struct ToldLine {
    pub(super) told: ToldAttempt,
    pub(super) attempts: u32,
}

impl ToldLine {
    pub(super) fn text(&self) -> String {
        let ToldAttempt { seq, attempt, fate, cause, value, .. } = &self.told;
        let mut how = fate.name().to_owned();
        if *fate != AttemptFate::Ended(State::Succeeded)
            && let Some(cause) = cause
        {
            how += &format!(": {}", escape::failure(cause));
        }
        let (value, seconds) = (escape::value(&value.0), self.told.seconds());
        format!("{seq}\t{how}\tattempt {attempt}\t{seconds:.3} s\t{value}")
    }
}

impl Serialize for ToldLine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let told = &self.told;
        let details = &told.details;
        let stage = told.stage().map(String::from_utf8_lossy);
        let stderr = Some(&details.stderr).filter(|tail| !tail.0.is_empty());
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("seq", &told.seq)?;
        map.serialize_entry("value", &told.value)?;
        map.serialize_entry("attempt", &told.attempt)?;
        map.serialize_entry("attempts", &self.attempts)?;
        map.serialize_entry("state", told.fate.name())?;
        map.serialize_entry("cause", &told.cause)?;
        map.serialize_entry("exit", &told.exit)?;
        map.serialize_entry("signal", &told.signal)?;
        map.serialize_entry("start", &microseconds(told.start))?;
        map.serialize_entry("end", &microseconds(told.end))?;
        map.serialize_entry("seconds", &microseconds(told.seconds()))?;
        map.serialize_entry("slot", &details.slot)?;
        map.serialize_entry("stage", &stage)?;
        map.serialize_entry("cpu", &told.cpu)?;
        map.serialize_entry("memory", &details.memory)?;
        map.serialize_entry("stdout_bytes", &details.stdout_bytes)?;
        map.serialize_entry("stderr_bytes", &details.stderr_bytes)?;
        map.serialize_entry("stderr", &stderr)?;
        map.end()
    }
}

/// Without digits beyond the sixth.
fn microseconds(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}
