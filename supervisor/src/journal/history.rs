//! What the journal says about earlier generations of a run: which tasks have finished, and how
//! often the others were tried.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, ErrorKind, Seek};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use msup_protocol::in_flight;
use rustix::fs::OFlags;

use crate::os::files::folder_of;

use super::error::JournalError;
use super::folder::Folder;
use super::line::Seed;
use super::matches::Matches;
use super::outputs::{Kept, KeptFor};
use super::reader::Condition;
use super::reading::RecordsRead;
use super::record::{Batch, End, Intent, Record, Run, State};
use super::story::{Known, Name, Stories, Story};

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
    pub(super) unrecorded: u32,
    /// The number of values read, if all were.
    pub(crate) inputs: Option<u64>,
    /// The digest of the list of which this shard has a share, if all was read.
    pub(crate) digest: Option<String>,
    /// What the file of values that cannot be read again contains, in order.
    pub(crate) kept: Vec<Batch>,
    /// How the last generation finished: its exit status, and whether nothing was left to do.
    pub(crate) finished: Option<(u8, bool)>,
    /// Tasks were left because of --halt.
    pub(crate) halted: bool,
    pub(crate) condition: Condition,
    pub(crate) seed: Seed,
    pub(super) stories: Stories,
}

/// What the starts of a shard have done.
#[derive(Debug)]
pub(crate) struct ShardStarts {
    pub(crate) past: Past,
    /// Of each, oldest first.
    pub(crate) heads: Vec<StartHead>,
}

/// The run of a start, and how it has finished, if it has.
#[derive(Debug)]
pub(crate) struct StartHead {
    pub(crate) run: Run,
    pub(crate) finished: Option<(u8, bool)>,
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
    pub(crate) fn of(journal: impl BufRead + Seek, path: &Path) -> Result<Past, JournalError> {
        let mut reading = RecordsRead::default();
        let (condition, seed) = reading.read(journal, path)?;
        reading.past(condition, seed, path)
    }

    /// What the journals of several starts of a shard say together, oldest first, each as one more
    /// generation. `None` without any.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn of_starts(folders: &[Folder]) -> Result<Option<ShardStarts>, JournalError> {
        let mut reading = RecordsRead::default();
        reading.stories.are_starts = true;
        let (mut last, mut damaged) = (None, 0);
        let mut heads = Vec::with_capacity(folders.len());
        for folder in folders {
            let (path, file) = (folder.journal(), folder.open_journal(OFlags::RDONLY)?);
            let (condition, seed) = reading.read(BufReader::with_capacity(1 << 20, file), &path)?;
            damaged += condition.damaged;
            let (run, finished) = (reading.head.take(), reading.finished);
            heads.extend(run.map(|run| StartHead { run, finished }));
            last = Some((condition, seed, path));
        }
        let Some((condition, seed, path)) = last else { return Ok(None) };
        if reading.finished.is_none() {
            reading.stories.start_has_died();
        }
        let past = reading.past(Condition { damaged, ..condition }, seed, &path)?;
        Ok(Some(ShardStarts { past, heads }))
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

    /// How many values of the list are tasks of this run, if all were read.
    pub(crate) fn tasks_of_list(&self) -> Option<u64> {
        let share = |values| self.run.shard.map_or(values, |shard| shard.share_of(values));
        self.inputs.map(share)
    }

    /// Whether it is certain that each task of the list has finished. If there were several lists,
    /// it is not.
    pub(crate) fn leaves_nothing(&self) -> bool {
        let Stories { ends, open, added, .. } = &self.stories;
        let numbers: HashSet<u64> = ends.keys().map(|name| name.0).collect();
        self.tasks_of_list().map(|tasks| tasks + added.len() as u64) == Some(ends.len() as u64)
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
