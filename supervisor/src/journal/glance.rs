//! What the first and the last record of a journal say about its run, without reading the rest.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;

use rustix::fs::OFlags;

use super::error::JournalError;
use super::folder::Folder;
use super::reader;
use super::{Record, Run};

/// The last record is no longer than this.
const LAST_RECORD: u64 = 4096;

/// The first record is no longer than this: a command line with each byte escaped.
const FIRST_RECORD: u64 = 32 << 20;

/// What every journal begins with.
const BEGINNING: &[u8] = b"{\"n\":1,";

/// What the first record of a journal says about its run.
#[derive(Debug)]
pub(crate) struct Glance {
    /// The first generation.
    pub(crate) run: Run,
    /// When it began, in seconds since 1970.
    pub(crate) began: f64,
}

impl Folder {
    /// The content of the first record; `None` for a run that was killed before it was written.
    ///
    /// # Errors
    /// The journal cannot be read, or is none.
    pub(crate) fn glance(&self) -> Result<Option<Glance>, JournalError> {
        let name = self.journal();
        let mut first = Vec::new();
        let file = BufReader::new(self.open_journal(OFlags::RDONLY)?).take(FIRST_RECORD);
        { file }.read_until(b'\n', &mut first).map_err(JournalError::at(&name))?;
        if is_torn_beginning(&first) {
            return Ok(None);
        }
        let mut glance = None;
        let no_journal = || JournalError::NoJournal(name.clone());
        let seed = reader::seed(&first[..]).map_err(JournalError::at(&name))?;
        let read = reader::read(&first[..], &seed.ok_or_else(no_journal)?, |began, record| {
            if let Record::Run(run) = record {
                glance = Some(Glance { run, began });
            }
        });
        read.map_err(JournalError::at(&name))?;
        glance.map(Some).ok_or_else(no_journal)
    }

    /// Makes sure that the journal is one of msup, even if it is damaged.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub(crate) fn check_journal(&self) -> Result<(), JournalError> {
        let name = self.journal();
        let mut first = Vec::new();
        let file = self.open_journal(OFlags::RDONLY)?.take(BEGINNING.len() as u64);
        { file }.read_to_end(&mut first).map_err(JournalError::at(&name))?;
        match first == BEGINNING {
            true => Ok(()),
            false => self.glance().map(drop),
        }
    }

    /// Whether there is a journal with nothing in it.
    pub(crate) fn is_empty_run(&self) -> bool {
        matches!(self.glance(), Ok(None))
    }

    /// Whether nothing of the run is left to do.
    pub(crate) fn is_finished(&self) -> bool {
        self.last_generation().is_some_and(|(complete, _)| complete)
    }

    /// Whether nothing is left to do, or --halt has left the rest.
    pub(crate) fn is_over(&self) -> bool {
        self.last_generation().is_some_and(|(complete, halted)| complete || halted)
    }

    /// Whether the last generation has left nothing to do, and whether it was halted; `None` if it
    /// was cut off.
    fn last_generation(&self) -> Option<(bool, bool)> {
        let file = self.open_journal(OFlags::RDONLY).ok()?;
        let seed = reader::seed(BufReader::new(&file)).ok()??;
        let len = file.metadata().map_or(0, |meta| meta.len());
        let start = len.saturating_sub(LAST_RECORD);
        let mut end = vec![0; (len - start) as usize];
        file.read_exact_at(&mut end, start).ok()?;
        let mut last = None;
        let read = reader::read(&end[..], &seed, |_, record| {
            last = match record {
                Record::Finish { complete, halted, .. } => Some((complete, halted)),
                _ => None,
            };
        });
        last.filter(|_| read.is_ok())
    }
}

/// Whether this is what remains of a first record whose write was interrupted, possibly by a power
/// cut.
fn is_torn_beginning(content: &[u8]) -> bool {
    let is_line = content.ends_with(b"\n");
    let begins = content.starts_with(BEGINNING) || BEGINNING.starts_with(content);
    !is_line && (begins || content.iter().all(|byte| *byte == 0))
}
