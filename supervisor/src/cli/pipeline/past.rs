//! The history of a pipeline beside its file: what the journal of the last run adds to it, and
//! where it is written.
//!
//! The folder is that of the run's journal, too. A run begins with a new journal, after what the
//! one before says is in the history.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use msup_protocol::crash;
use msup_protocol::in_flight::InFlight;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::error::PipelineError;
use crate::cli::Refusal;
use crate::journal::{
    Bytes, End, Folder, Glance, Intent, JournalError, Kept, KeptFor, Locks, Past, Record, State,
    runs, take_over,
};
use crate::os::files;
use crate::pipeline::{self, History, Made, StepFate, TaskKey, TaskStep, Unfinished};

/// The file in the folder.
const HISTORY: &str = "history";

/// What is known of earlier runs.
pub(super) struct Recalled {
    pub(super) history: History,
    /// The id of all runs of this pipeline: what a run has left is found by it.
    pub(super) run: String,
    /// What was found of an interrupted run.
    pub(super) words: Vec<String>,
    /// The journal of the last run. The history holds what it says.
    pub(super) replaced: Option<Replaced>,
}

/// A journal that a new one replaces, and its locks. It is removed when a run begins: until then
/// `msup log` and `msup report` can read it.
pub(super) struct Replaced {
    folder: Folder,
    history: PathBuf,
    _locks: Locks,
}

impl Replaced {
    /// # Errors
    /// The kernel's.
    pub(super) fn remove(self) -> Result<(), PipelineError> {
        // CRASH: history_before_journal_removed. The history says which journal it holds.
        crash::point("history_before_journal_removed");
        self.folder.remove().map_err(|why| PipelineError::History { path: self.history, why })
    }
}

/// The first line of the file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Head {
    run: String,
    /// When the last run began whose journal is in it, in seconds since 1970.
    journal: f64,
}

/// A task.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    task: TaskKey,
    #[serde(flatten)]
    past: pipeline::TaskPast,
}

/// Reads the history. `writes`: a run is to begin; else nothing is changed.
///
/// # Errors
/// It cannot be read or written, or a run is going on.
pub(super) fn read(folder: &Path, writes: bool) -> Result<Recalled, Refusal> {
    let path = folder.join(HISTORY);
    let (mut head, mut history, damaged) =
        load(&path).map_err(|why| PipelineError::History { path: path.clone(), why })?;
    let (mut words, mut replaced) = (Vec::new(), None);
    if damaged > 0 {
        words.push(format!(
            "{damaged} lines of {} are damaged: their tasks run again",
            path.display()
        ));
    }
    let folder = Folder::at(folder.to_owned());
    let glance = if folder.journal().exists() { glance_at(&folder)? } else { None };
    if let Some(Glance { run, began }) = glance {
        let written = |why| PipelineError::History { path: path.clone(), why };
        let locks = match writes {
            false => None,
            true => {
                let (locks, ended) = take_over(&folder, &run.run).map_err(|why| match why {
                    JournalError::Alive(_) => PipelineError::Running(run.pid).into(),
                    why => Refusal::from(why),
                })?;
                words.extend(killed(ended));
                Some(locks)
            }
        };
        if head.journal != began {
            add(&mut history, &folder, Past::read(&folder)?, writes)?;
            head.journal = began;
            head.run.clone_from(&run.run);
            if writes {
                write(&path, &head, &history).map_err(written)?;
            }
        }
        replaced = locks.map(|locks| Replaced { folder, history: path, _locks: locks });
    }
    if head.run.is_empty() {
        head.run = runs::new_id(runs::now());
    }
    Ok(Recalled { history, run: head.run, words, replaced })
}

/// # Errors
/// It is no journal.
fn glance_at(folder: &Folder) -> Result<Option<Glance>, Refusal> {
    folder.glance().map_err(|why| match why {
        JournalError::NoJournal(path) => PipelineError::Journal(path).into(),
        why => why.into(),
    })
}

/// Writes a history that a run has changed. `is_all`: it holds what the journal says.
///
/// # Errors
/// It cannot be written.
pub(crate) fn write_history(
    folder: &Path,
    history: &History,
    is_all: bool,
) -> Result<(), PipelineError> {
    let path = folder.join(HISTORY);
    let failed = |why| PipelineError::History { path: path.clone(), why };
    let (mut head, ..) = load(&path).map_err(failed)?;
    let glance = Folder::at(folder.to_owned()).glance().ok().flatten();
    if let Some(Glance { run, began }) = glance.filter(|_| is_all) {
        head = Head { run: run.run, journal: began };
    }
    write(&path, &head, history).map_err(failed)
}

fn killed(ended: usize) -> Option<String> {
    let s = if ended == 1 { "" } else { "es" };
    (ended > 0).then(|| format!("killed {ended} process{s} that the interrupted run had left"))
}

/// Adds what a journal says. `shows`: what tasks have printed and msup had not shown is shown.
fn add(
    history: &mut History,
    folder: &Folder,
    mut past: Past,
    shows: bool,
) -> Result<(), JournalError> {
    let told = Told::read(folder)?;
    let noted = files::open_own(&folder.in_flight(), OFlags::RDWR).ok();
    let noted = noted.map(|file| InFlight::new(file, past.run.run.as_bytes()));
    let noted = noted.and_then(|file| file.read().ok().flatten());
    past.cut_off(noted.as_deref());
    let mut kept = Kept::default();
    if let Some(file) = folder.open_outputs()? {
        let read = Kept::read(&file, &past.run.run);
        kept = read.map_err(JournalError::at(&folder.outputs()))?;
    }
    past.settle(&kept)?;
    let mut unshown: Vec<_> = past.take_unshown(&kept).into_values().collect();
    unshown.sort_by_key(|end| end.seq);
    if shows && let Some(file) = folder.open_outputs()? {
        for End { seq, value, attempt, .. } in unshown {
            // What cannot be shown now, either, is lost like what a reader does not take.
            let _ = kept.show(&file, KeptFor::new(seq, &value.0, attempt));
        }
    }
    for (seq, story) in past.unfinished() {
        let Some(step) = told.steps.get(&seq) else { continue };
        let unfinished = Unfinished {
            attempts: story.attempts,
            failures: story.failures,
            crashes: story.crashes,
            is_suspect: story.is_suspect,
            alone: story.alone,
        };
        step.note(StepFate::Unfinished(unfinished), history);
    }
    for (seq, _, known, _) in past.ended() {
        let Some(step) = told.steps.get(&seq) else { continue };
        let fate = match known.state {
            State::Succeeded => StepFate::Succeeded {
                made: told.made.get(&seq).copied(),
                values: told.values.get(&seq).cloned().unwrap_or_default(),
                seconds: told.seconds.get(&seq).copied().unwrap_or(0.0),
            },
            State::Failed | State::Quarantined => StepFate::Failed,
        };
        step.note(fate, history);
    }
    Ok(())
}

/// What a journal says of the tasks of a pipeline, by their numbers.
#[derive(Default)]
struct Told {
    steps: HashMap<u64, TaskStep>,
    made: HashMap<u64, Made>,
    values: HashMap<u64, Vec<Vec<u8>>>,
    seconds: HashMap<u64, f64>,
}

impl Told {
    fn read(folder: &Folder) -> Result<Told, JournalError> {
        let mut told = Told::default();
        folder.each_record(|_, record| match record {
            Record::End(end) | Record::Unshown(end) => {
                told.seconds.insert(end.seq, end.seconds);
            }
            Record::Step { seq, step } => {
                told.steps.extend(serde_json::from_value(step).ok().map(|step| (seq, step)));
            }
            Record::Intent(Intent { seq, made, .. }) => {
                told.made.extend(made.map(|made| (seq, made)));
            }
            Record::Values { seq, values } => {
                let values = values.into_iter().map(|Bytes(value)| value).collect();
                told.values.insert(seq, values);
            }
            _ => {}
        })?;
        Ok(told)
    }
}

/// The history, and how many lines are damaged.
fn load(path: &Path) -> io::Result<(Head, History, usize)> {
    let (mut head, mut history, mut damaged) = (Head::default(), History::default(), 0);
    let file = match files::open_at_once(path) {
        Ok(file) => file,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok((head, history, 0)),
        Err(why) => return Err(why),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file (remove it: all tasks run again)"));
    }
    for (number, line) in BufReader::with_capacity(1 << 20, file).split(b'\n').enumerate() {
        let line = line?;
        let content = checked(&line);
        match (number, content) {
            (0, Some(content)) => match serde_json::from_slice(content) {
                Ok(read) => head = read,
                Err(_) => damaged += 1,
            },
            (_, content) => {
                match content.and_then(|content| serde_json::from_slice::<Line>(content).ok()) {
                    Some(Line { task, past }) => history.insert(task, past),
                    None => damaged += 1,
                }
            }
        }
    }
    Ok((head, history, damaged))
}

/// The digits of a checksum, and the blank behind it.
const SUM: usize = 9;

/// The content of a line, if it is as it was written.
fn checked(line: &[u8]) -> Option<&[u8]> {
    let (sum, content) = line.split_at_checked(SUM)?;
    let sum = std::str::from_utf8(sum).ok()?.strip_suffix(' ')?;
    (u32::from_str_radix(sum, 16).ok()? == crc32fast::hash(content)).then_some(content)
}

/// Writes the history: it is there as a whole, or the one before is.
fn write(path: &Path, head: &Head, history: &History) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&temporary)?);
    let mut add = |content: Vec<u8>| -> io::Result<()> {
        write!(out, "{:08x} ", crc32fast::hash(&content))?;
        out.write_all(&content)?;
        out.write_all(b"\n")
    };
    add(serde_json::to_vec(head)?)?;
    for (task, past) in history.all() {
        add(serde_json::to_vec(&Line { task, past: past.clone() })?)?;
    }
    out.flush()?;
    out.get_ref().sync_all()?;
    // CRASH: history_written. The old history and its journal are still there.
    crash::point("history_written");
    fs::rename(&temporary, path)?;
    File::open(files::folder_of(path))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_survives_and_damage_is_found() {
        let place = tempfile::tempdir().expect("a folder");
        let path = place.path().join(HISTORY);
        let mut history = History::default();
        let names: Vec<TaskKey> = (0..20_u8).map(|n| TaskKey::of(&[&[n]])).collect();
        for name in &names {
            let success = Some(pipeline::Success {
                values: [b"\xff".to_vec(), b"b".to_vec()].into(),
                seconds: 0.1,
                ..pipeline::Success::default()
            });
            history.insert(*name, pipeline::TaskPast { key: *name, success, ..Default::default() });
        }
        write(&path, &Head { run: "r".into(), journal: 3.5 }, &history).expect("writable");
        let (head, read, damaged) = load(&path).expect("readable");
        assert_eq!((head.run.as_str(), head.journal, damaged), ("r", 3.5, 0));
        for name in &names {
            assert_eq!(read.of(*name), history.of(*name));
        }
        let mut text = fs::read(&path).expect("readable");
        let at = text.len() / 2;
        text[at] ^= 1;
        fs::write(&path, &text).expect("writable");
        let (_, read, damaged) = load(&path).expect("readable");
        assert!(damaged == 1 || damaged == 2, "{damaged}");
        assert!(read.all().len() >= names.len() - 2);
    }
}
