//! What earlier generations of a run have told: who has reached an end, and how often the others were tried.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::OFlags;

use crate::committer::folder_of;

use super::folder::Folder;
use super::reader::{self, Condition};
use super::record::{End, Intent, Record, Run, SCHEMA, State};

/// What is known of a task that has reached its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) state: State,
    pub(crate) cause: Option<String>,
    pub(crate) attempt: u32,
}

/// A task, as the journal names it: by its number and its value. The same number may stand for another value
/// after the input was changed.
type Name = (u64, Vec<u8>);

/// A journal's contents.
#[derive(Debug)]
pub(crate) struct Past {
    /// The first generation.
    pub(crate) run: Run,
    /// When it began, in seconds since 1970.
    pub(crate) began: f64,
    pub(crate) generations: u32,
    /// How many values were read, if all were.
    pub(crate) inputs: Option<u64>,
    /// How the last generation ended: its exit status, and whether nothing was left to do.
    pub(crate) finished: Option<(u8, bool)>,
    pub(crate) condition: Condition,
    ends: HashMap<Name, Known>,
    attempts: HashMap<Name, u32>,
    /// Of tasks that have not reached their end.
    intents: HashMap<Name, Intent>,
}

/// What has become of files that were about to be put in their places.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// The ends of their tasks, which nobody has written down.
    pub(crate) ends: Vec<End>,
    /// How many of those had printed something that may not have been shown.
    pub(crate) unseen: usize,
    /// Those that were not: that has to be written down before their temporary files are removed.
    pub(crate) void: Vec<Intent>,
}

impl Past {
    /// # Errors
    /// One line that says what is wrong with the journal.
    pub(crate) fn read(folder: &Folder) -> Result<Past, String> {
        let (path, file) = (folder.journal(), folder.open_journal(OFlags::RDONLY)?);
        Past::of(BufReader::with_capacity(1 << 20, file), &path.display().to_string())
    }

    /// The same of a journal that is called so.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn of(journal: impl BufRead, name: &str) -> Result<Past, String> {
        let mut reading = Reading::default();
        let condition = reader::read(journal, |at, record| reading.take(at, record));
        let condition = condition.map_err(|why| format!("{name}: {why}"))?;
        let Some((run, began)) = reading.run else {
            return Err(format!("{name}: it does not begin as a journal of msup does"));
        };
        if reading.newest > SCHEMA {
            let newest = reading.newest;
            return Err(format!(
                "{name}: written by a later release (schema {newest}, this one knows {SCHEMA}): use that"
            ));
        }
        let Reading { generations, inputs, finished, ends, attempts, intents, .. } = reading;
        Ok(Past { run, began, generations, inputs, finished, condition, ends, attempts, intents })
    }

    /// Finds out which files were put in their places without a word: their tasks have ended. It must be done
    /// in the run's working directory, and before anything removes temporary files.
    ///
    /// # Errors
    /// One line that says of which file that cannot be told.
    pub(crate) fn settle(&mut self) -> Result<Settled, String> {
        let mut settled = Settled::default();
        let mut intents: Vec<(Name, Intent)> =
            std::mem::take(&mut self.intents).into_iter().collect();
        intents.sort_by_key(|intent| intent.0.0);
        for (name, intent) in intents {
            let temporary = Path::new(OsStr::from_bytes(&intent.temporary.0));
            if !is_placed(temporary)? {
                settled.void.push(intent);
                continue;
            }
            let Intent { seq, value, attempt, printed, seconds, cpu, .. } = intent;
            let (state, cause) = (State::Succeeded, None);
            self.ends.insert(name, Known { state, cause: None, attempt });
            settled.ends.push(End { seq, value, attempt, state, cause, seconds, cpu });
            settled.unseen += usize::from(printed > 0);
        }
        Ok(settled)
    }

    /// How many tasks have ended in this state.
    pub(crate) fn count(&self, state: State) -> u64 {
        self.ends.values().filter(|known| known.state == state).count() as u64
    }

    /// What is known of everyone that has ended, in the order of the numbers.
    pub(crate) fn ended(self) -> Vec<(u64, Vec<u8>, Known)> {
        let ends = self.ends.into_iter().map(|((seq, value), known)| (seq, value, known));
        let mut ends: Vec<_> = ends.collect();
        ends.sort_by_key(|end| end.0);
        ends
    }

    /// To be asked by what is run: `describe` tells that of a value and its number.
    pub(crate) fn by_content(self, describe: impl Fn(&[u8], u64) -> Vec<u8>) -> Matches {
        let mut matches = Matches::default();
        let mut attempts: Vec<(Name, u32)> = self.attempts.into_iter().collect();
        attempts.sort();
        for ((seq, value), attempt) in attempts {
            let known = matches.attempts.entry(describe(&value, seq)).or_default();
            *known = (*known).max(attempt);
        }
        let mut ends: Vec<(Name, Known)> = self.ends.into_iter().collect();
        // The last first: they are taken from the end.
        ends.sort_by(|one, other| other.0.cmp(&one.0));
        for ((seq, value), known) in ends {
            matches.ends.entry(describe(&value, seq)).or_default().push(known);
        }
        matches
    }
}

/// Whether a file that was complete has been renamed: its folder is there, and it is not.
fn is_placed(temporary: &Path) -> Result<bool, String> {
    match temporary.symlink_metadata() {
        Ok(_) => Ok(false),
        Err(why) if why.kind() == ErrorKind::NotFound => Ok(folder_of(temporary).is_dir()),
        Err(why) => {
            let name = temporary.display();
            Err(format!("{name}: cannot tell whether it was put in its place: {why}"))
        }
    }
}

/// What is known, by what is run; of equal ones the how-manieth counts.
#[derive(Debug, Default)]
pub(crate) struct Matches {
    ends: HashMap<Vec<u8>, Vec<Known>>,
    attempts: HashMap<Vec<u8>, u32>,
}

impl Matches {
    /// The end of the next task with this content, if it has one.
    pub(crate) fn end(&mut self, content: &[u8]) -> Option<Known> {
        let ends = self.ends.get_mut(content)?;
        let known = ends.pop();
        if ends.is_empty() {
            self.ends.remove(content);
        }
        known
    }

    /// How often one of these was tried, as far as was told.
    pub(crate) fn attempts(&self, content: &[u8]) -> u32 {
        self.attempts.get(content).copied().unwrap_or(0)
    }

    /// How many have ended that nobody has asked for.
    pub(crate) fn left(&self) -> usize {
        self.ends.values().map(Vec::len).sum()
    }
}

#[derive(Default)]
struct Reading {
    run: Option<(Run, f64)>,
    newest: u32,
    generations: u32,
    inputs: Option<u64>,
    finished: Option<(u8, bool)>,
    ends: HashMap<Name, Known>,
    attempts: HashMap<Name, u32>,
    intents: HashMap<Name, Intent>,
}

impl Reading {
    fn take(&mut self, at: f64, record: Record) {
        match record {
            Record::Run(run) => {
                self.newest = self.newest.max(run.schema);
                self.generations = self.generations.max(run.generation);
                self.finished = None;
                self.run.get_or_insert((run, at));
            }
            Record::Again { seq, value, attempt, .. } => {
                let name = (seq, value.0);
                self.intents.remove(&name);
                let known = self.attempts.entry(name).or_default();
                *known = (*known).max(attempt);
            }
            Record::Void { seq, value, .. } => drop(self.intents.remove(&(seq, value.0))),
            Record::Intent(intent) => {
                // Should it have to be run again: never as the same attempt.
                let name = (intent.seq, intent.value.0.clone());
                let known = self.attempts.entry(name.clone()).or_default();
                *known = (*known).max(intent.attempt);
                self.intents.insert(name, intent);
            }
            Record::End(End { seq, value, attempt, state, cause, .. }) => {
                // Who is run again after its end ends again: the last time counts.
                let name = (seq, value.0);
                self.intents.remove(&name);
                self.ends.insert(name, Known { state, cause, attempt });
            }
            Record::InputsEnd { total } => self.inputs = Some(total),
            Record::Finish { status, complete } => self.finished = Some((status, complete)),
            Record::Unknown => {}
        }
    }
}
