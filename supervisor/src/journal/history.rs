//! What the journal says about earlier generations of a run: which tasks have finished, and how
//! often the others were tried.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, ErrorKind, Seek};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use msup_protocol::in_flight;
use rustix::fs::OFlags;

use crate::engine::EMITTED_FROM;
use crate::os::files::folder_of;

use super::error::JournalError;
use super::folder::Folder;
use super::line::Seed;
use super::matches::Matches;
use super::outputs::{Kept, KeptFor};
use super::reader::{self, Condition};
use super::record::{Batch, End, Intent, Record, Run, SCHEMA, State};
use super::story::{Known, Name, Stories, Story};

/// Since this schema attempts are journaled before they start.
const STARTS_SINCE: u32 = 2;

/// The contents of a journal.
#[derive(Debug)]
pub(crate) struct Past {
    /// The first generation.
    pub(crate) run: Run,
    /// When it began, in seconds since 1970.
    pub(crate) began: f64,
    /// When the last record was written.
    pub(crate) last: f64,
    pub(crate) generations: u32,
    /// Generations whose attempts were not journaled before they started (schema 1).
    unrecorded: u32,
    /// The number of values read, if all were.
    pub(crate) inputs: Option<u64>,
    /// What the file of values that cannot be read again contains, in order.
    pub(crate) kept: Vec<Batch>,
    /// How the last generation finished: its exit status, and whether nothing was left to do.
    pub(crate) finished: Option<(u8, bool)>,
    /// Tasks were left because of --halt.
    pub(crate) halted: bool,
    pub(crate) condition: Condition,
    pub(crate) seed: Seed,
    stories: Stories,
}

/// What became of attempts that had succeeded when the last generation died.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// The ends of tasks whose files were renamed, which were not journaled.
    pub(crate) ends: Vec<End>,
    /// The same for tasks whose outputs are kept and have not been shown.
    pub(crate) unshown: Vec<End>,
    /// Attempts that do not count, because their files were not renamed or their outputs are lost:
    /// that must be journaled before temporary files are removed.
    pub(crate) void: Vec<Intent>,
}

impl Past {
    /// # Errors
    /// The journal cannot be read, is none, or is one of a later release.
    pub(crate) fn read(folder: &Folder) -> Result<Past, JournalError> {
        let (path, file) = (folder.journal(), folder.open_journal(OFlags::RDONLY)?);
        Past::of(BufReader::with_capacity(1 << 20, file), &path)
    }

    /// Whether nothing was written since: a journal only grows.
    pub(crate) fn is_as_read(&self, folder: &Folder) -> bool {
        let len = folder.journal().metadata().map(|meta| meta.len());
        len.is_ok_and(|len| len == self.condition.whole + self.condition.torn)
    }

    /// Reads a journal with this path.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn of(mut journal: impl BufRead + Seek, path: &Path) -> Result<Past, JournalError> {
        let error = JournalError::at(path);
        let no_journal = || JournalError::NoJournal(path.to_owned());
        let seed = reader::seed(&mut journal).map_err(&error)?.ok_or_else(no_journal)?;
        journal.rewind().map_err(&error)?;
        let mut reading = Reading::default();
        let condition = reader::read(journal, &seed, |at, record| reading.take(at, record));
        let mut condition = condition.map_err(error)?;
        let (run, began) = reading.run.ok_or_else(no_journal)?;
        if reading.newest > SCHEMA {
            return Err(JournalError::Later { journal: path.to_owned(), schema: reading.newest });
        }
        let Reading { last, generations, unrecorded, inputs, kept, finished, halted, .. } = reading;
        let mut stories = reading.stories;
        // No task is beyond the input, whatever a line says.
        condition.damaged += reading.lists.last().map_or(0, |last| stories.keep_up_to(last));
        Ok(Past {
            run,
            began,
            last,
            generations,
            unrecorded,
            inputs,
            kept,
            finished,
            halted,
            condition,
            seed,
            stories,
        })
    }

    /// Finds out what was in flight when the last generation died, from the notes of its workers.
    /// The returned records belong before the next generation.
    pub(crate) fn cut_off(&mut self, noted: Option<&[Option<in_flight::Entry>]>) -> Vec<Record> {
        let has_died = self.finished.is_none();
        self.stories.cut_off(noted, has_died)
    }

    /// Decides which attempts count that had succeeded when the last generation died: the files
    /// that were about to be renamed have been, and what they printed is `kept`. Must run in the
    /// run's working directory, before anything removes temporary files.
    ///
    /// # Errors
    /// This cannot be decided for one of them.
    pub(crate) fn settle(&mut self, kept: &Kept) -> Result<Settled, JournalError> {
        let mut settled = Settled::default();
        for (_, intent) in self.stories.take_intents() {
            let temporary = Path::new(OsStr::from_bytes(&intent.temporary.0));
            let has_printed = intent.printed > 0;
            if !is_placed(temporary)?
                || has_printed && !kept.has(intent.seq, &intent.value.0, intent.attempt)
            {
                settled.void.push(intent);
                continue;
            }
            let Intent { seq, value, attempt, seconds, cpu, emitted, .. } = intent;
            let (state, cause, exit, signal) = (State::Succeeded, None, Some(0), None);
            let (emitted, details) = (self.stories.numbered(emitted), None);
            let end = End {
                seq,
                value,
                attempt,
                state,
                cause,
                exit,
                signal,
                seconds,
                cpu,
                emitted,
                details,
            };
            if has_printed {
                self.stories.wait_for_output(end.clone());
                settled.unshown.push(end);
            } else {
                self.stories.end(end.clone());
                settled.ends.push(end);
            }
        }
        Ok(settled)
    }

    /// The tasks that have finished except that their outputs have not been shown. From here on
    /// they count as finished. Those whose outputs are not `kept` any more run again.
    pub(crate) fn take_unshown(&mut self, kept: &Kept) -> HashMap<Name, End> {
        let unshown = self.stories.take_unshown().into_iter();
        let unshown = unshown.filter(|end| kept.has(end.seq, &end.value.0, end.attempt));
        unshown
            .map(|end| {
                self.stories.end(end.clone());
                ((end.seq, end.value.0.clone()), end)
            })
            .collect()
    }

    /// How many tasks have finished except that their outputs have not been shown, and these are
    /// not `kept` any more.
    pub(crate) fn lost_outputs(&self, kept: &Kept) -> usize {
        self.stories.unshown().filter(|end| !kept.has(end.seq, &end.value.0, end.attempt)).count()
    }

    /// Whether it is certain that each task of the list has finished. If there were several lists,
    /// it is not.
    pub(crate) fn leaves_nothing(&self) -> bool {
        let Stories { ends, open, added, .. } = &self.stories;
        let numbers: HashSet<u64> = ends.keys().map(|name| name.0).collect();
        self.inputs.map(|values| values + added.len() as u64) == Some(ends.len() as u64)
            && numbers.len() == ends.len()
            && open.keys().all(|name| ends.contains_key(name))
    }

    /// The attempts whose outputs could not be kept.
    pub(crate) fn unkept(&self) -> &[KeptFor] {
        &self.stories.unkept
    }

    /// The finished tasks, and the attempts with which they have.
    pub(crate) fn last_attempts(&self) -> Vec<(Name, u32)> {
        let ends = self.stories.ends.iter();
        let mut ends: Vec<_> = ends.map(|(name, known)| (name.clone(), known.attempt)).collect();
        ends.sort_unstable();
        ends
    }

    /// The tasks that others have added to the run, in the order of their numbers.
    pub(crate) fn added(&self) -> Vec<(u64, Vec<u8>)> {
        let added = self.stories.added.iter();
        added.map(|(seq, value)| (*seq, value.clone())).collect()
    }

    /// The numbers that tasks have.
    pub(crate) fn numbers(&self) -> HashSet<u64> {
        self.stories.numbers().collect()
    }

    /// The number of tasks that finished in this state.
    pub(crate) fn count(&self, state: State) -> u64 {
        self.stories.ends.values().filter(|known| known.state == state).count() as u64
    }

    /// The same; tasks whose outputs have not been shown count as well.
    pub(crate) fn count_unshown_too(&self, state: State) -> u64 {
        self.stories.states().filter(|of_task| *of_task == state).count() as u64
    }

    /// What is known of every finished task, in the order of the numbers, and of its later attempts
    /// if it was run again.
    pub(crate) fn ended(mut self) -> Vec<(u64, Vec<u8>, Known, Story)> {
        let mut ends: Vec<_> = std::mem::take(&mut self.stories.ends).into_iter().collect();
        ends.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let with_story = ends.into_iter().map(|(name, known)| {
            let mut story = self.stories.open.remove(&name).unwrap_or_default();
            story.attempts = story.attempts.max(known.attempt);
            story.is_exact |= known.is_exact;
            story.is_suspect |= known.is_suspect;
            let story = self.with_unrecorded(story);
            (name.0, name.1, known, story)
        });
        with_story.collect()
    }

    /// What is known of every task that has not finished.
    pub(crate) fn unfinished(&self) -> Vec<(u64, Story)> {
        let open = self.stories.open.iter();
        let open = open.filter(|(name, _)| !self.stories.ends.contains_key(*name));
        open.map(|(name, story)| (name.0, story.clone())).collect()
    }

    /// Each generation of schema 1 may have had an unrecorded attempt.
    fn with_unrecorded(&self, mut story: Story) -> Story {
        story.attempts += if story.is_exact { 0 } else { self.unrecorded };
        story
    }

    /// Turns the history into a lookup by content: `describe` gives the content for a value and its
    /// number.
    pub(crate) fn by_content(mut self, describe: impl Fn(&[u8], u64) -> Vec<u8>) -> Matches {
        let unheard = self.with_unrecorded(Story::default());
        let mut ends: Vec<(Name, Known)> = self.stories.ends.drain().collect();
        ends.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let mut open: Vec<(Name, Story)> = self.stories.open.drain().collect();
        open.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let ended: HashSet<&Name> = ends.iter().map(|(name, _)| name).collect();
        // A task that was run again after it had finished keeps its old end until there is a new
        // one.
        open.retain(|(name, _)| !ended.contains(name));
        let mut matches = Matches::new(unheard);
        for ((seq, value), story) in open {
            matches.open.add(describe(&value, seq), seq, self.with_unrecorded(story));
        }
        for ((seq, value), known) in ends {
            matches.ends.add(describe(&value, seq), seq, known);
        }
        matches
    }
}

/// Whether a complete file has been renamed: its folder exists, and the file does not.
fn is_placed(temporary: &Path) -> Result<bool, JournalError> {
    match temporary.symlink_metadata() {
        Ok(_) => Ok(false),
        Err(why) if why.kind() == ErrorKind::NotFound => Ok(folder_of(temporary).is_dir()),
        Err(why) => Err(JournalError::Undecided { temporary: temporary.to_owned(), why }),
    }
}

#[derive(Default)]
struct Reading {
    run: Option<(Run, f64)>,
    last: f64,
    newest: u32,
    generations: u32,
    unrecorded: u32,
    inputs: Option<u64>,
    kept: Vec<Batch>,
    finished: Option<(u8, bool)>,
    halted: bool,
    stories: Stories,
    lists: Lists,
}

/// How far the generations have read their lists, which may differ in length.
#[derive(Debug, Default)]
struct Lists {
    /// The largest number that a task can have, as far as known.
    last: u64,
    /// A list was read to its end; and whether this generation's was.
    is_known: bool,
    is_read: bool,
    /// The largest number of a task in this generation.
    mentioned: u64,
}

impl Lists {
    /// A generation begins. If the one before has not read its list to the end, that may be longer
    /// than the others.
    fn begin(&mut self) {
        let mentioned = std::mem::take(&mut self.mentioned);
        if !std::mem::take(&mut self.is_read) {
            self.last = self.last.max(mentioned);
        }
    }

    fn end(&mut self, total: u64) {
        (self.is_known, self.is_read, self.last) = (true, true, self.last.max(total));
    }

    /// No task has a larger number, if a list was read to its end.
    fn last(mut self) -> Option<u64> {
        self.begin();
        self.is_known.then_some(self.last)
    }
}

impl Reading {
    fn take(&mut self, at: f64, record: Record) {
        self.last = at;
        let of_list = record.task().filter(|seq| *seq < EMITTED_FROM);
        self.lists.mentioned = self.lists.mentioned.max(of_list.unwrap_or(0));
        match record {
            Record::Run(run) => {
                self.newest = self.newest.max(run.schema);
                self.generations = self.generations.max(run.generation);
                self.unrecorded += u32::from(run.schema < STARTS_SINCE);
                let is_exact = run.schema >= STARTS_SINCE;
                let has_died = is_exact && self.run.is_some() && self.finished.is_none();
                (self.finished, self.halted) = (None, false);
                self.stories.begin(is_exact, has_died);
                self.lists.begin();
                self.run.get_or_insert((run, at));
            }
            // A generation that runs some tasks again has read fewer.
            Record::InputsEnd { total } => {
                self.inputs = self.inputs.max(Some(total));
                self.lists.end(total);
            }
            Record::Kept(kept) => self.kept.push(kept),
            Record::Moved { to, .. } => {
                self.inputs = self.inputs.map(|total| total.max(to));
                self.lists.last = self.lists.last.max(to);
                self.stories.take(record);
            }
            Record::Finish { status, complete, halted } => {
                (self.finished, self.halted) = (Some((status, complete)), halted && !complete);
            }
            of_task => self.stories.take(of_task),
        }
    }
}
