//! Takes in the records of journals, one after the other.

use std::io::{BufRead, Seek};
use std::path::Path;

use super::error::JournalError;
use super::history::Past;
use super::line::Seed;
use super::lists::ListsRead;
use super::reader::{self, Condition};
use super::record::{Batch, Record, Run, SCHEMA};
use super::story::Stories;
use crate::engine::EMITTED_FROM;

/// Since this schema attempts are journaled before they start.
const STARTS_SINCE: u32 = 2;

/// What was read so far.
#[derive(Default)]
pub(super) struct RecordsRead {
    pub(super) run: Option<(Run, f64)>,
    pub(super) last: f64,
    pub(super) newest: u32,
    pub(super) generations: u32,
    pub(super) unrecorded: u32,
    pub(super) inputs: Option<u64>,
    pub(super) kept: Vec<Batch>,
    pub(super) finished: Option<(u8, bool)>,
    pub(super) halted: bool,
    pub(super) stories: Stories,
    pub(super) lists: ListsRead,
    /// The last generation, and the digest of the list that it has read.
    pub(super) head: Option<Run>,
    pub(super) digest: Option<String>,
}

impl RecordsRead {
    /// Takes in all records of a journal with this path.
    pub(super) fn read(
        &mut self,
        mut journal: impl BufRead + Seek,
        path: &Path,
    ) -> Result<(Condition, Seed), JournalError> {
        let error = JournalError::at(path);
        let no_journal = || JournalError::NoJournal(path.to_owned());
        let seed = reader::seed(&mut journal).map_err(&error)?.ok_or_else(no_journal)?;
        journal.rewind().map_err(&error)?;
        let condition = reader::read(journal, &seed, |at, record| self.take(at, record));
        let condition = condition.map_err(error)?;
        if self.newest > SCHEMA {
            return Err(JournalError::Later { journal: path.to_owned(), schema: self.newest });
        }
        Ok((condition, seed))
    }

    /// What all of them say. `path`: that of the last one.
    pub(super) fn past(
        self,
        mut condition: Condition,
        seed: Seed,
        path: &Path,
    ) -> Result<Past, JournalError> {
        let (run, began) = self.run.ok_or_else(|| JournalError::NoJournal(path.to_owned()))?;
        let RecordsRead {
            last,
            generations,
            unrecorded,
            inputs,
            digest,
            kept,
            finished,
            halted,
            ..
        } = self;
        let mut stories = self.stories;
        // No task is beyond the input, whatever a line says.
        condition.damaged += self.lists.last().map_or(0, |last| stories.keep_up_to(last));
        Ok(Past {
            run,
            began,
            last,
            generations,
            unrecorded,
            inputs,
            digest,
            kept,
            finished,
            halted,
            condition,
            seed,
            stories,
        })
    }

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
                self.head = Some(run.clone());
                self.run.get_or_insert((run, at));
            }
            // A generation that runs some tasks again has read fewer.
            Record::InputsEnd { total } => {
                self.inputs = self.inputs.max(Some(total));
                self.lists.end(total);
            }
            Record::List { digest } => self.digest = Some(digest),
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
