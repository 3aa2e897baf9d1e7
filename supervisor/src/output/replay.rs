//! Outputs of tasks that have finished in an earlier generation, shown again (`msup resume
//! --replay`).

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{BufReader, Seek};
use std::sync::Arc;

use rustix::fs::OFlags;

use crate::journal::{Folder, JournalError, Kept, KeptFor, KeptPlace, Record, Seed, read, seed};
use crate::output::{Delivery, Piece};

/// The outputs to show again.
#[derive(Debug)]
pub(crate) struct Replay {
    file: Arc<File>,
    /// By task content, in the order of their earlier numbers.
    places: HashMap<Vec<u8>, VecDeque<Option<KeptPlace>>>,
    /// By their present numbers.
    next: HashMap<u64, KeptPlace>,
    /// The number of outputs that were too large to be kept.
    pub(crate) missing: u64,
}

impl Replay {
    /// For the run in this folder; the journal says which tasks have finished, `describe` gives a
    /// task's content.
    ///
    /// # Errors
    /// No outputs were kept, or they or the journal cannot be read.
    pub(crate) fn open(
        folder: &Folder,
        run: &str,
        describe: impl Fn(&[u8], u64) -> Vec<u8>,
    ) -> Result<Replay, JournalError> {
        let path = folder.outputs();
        let error = JournalError::at(&path);
        let file = folder.open_outputs()?;
        let file = file.ok_or_else(|| JournalError::NoOutputs(path.clone()))?;
        let kept = Kept::read(&file, run).map_err(&error)?;
        let mut journal = BufReader::new(folder.open_journal(OFlags::RDONLY)?);
        journal.rewind().map_err(&error)?;
        let of_run = seed(&mut journal).map_err(&error)?.unwrap_or_else(|| Seed::new(run));
        journal.rewind().map_err(&error)?;
        let mut ends = HashMap::new();
        read(journal, &of_run, |_, record| {
            if let Record::End(end) = record {
                ends.insert((end.seq, end.value.0), end.attempt);
            }
        })
        .map_err(&error)?;
        let mut ends: Vec<_> = ends.into_iter().collect();
        ends.sort();
        let mut places: HashMap<_, VecDeque<_>> = HashMap::new();
        for ((seq, value), attempt) in ends {
            let place = kept.places.get(&KeptFor::new(seq, &value, attempt)).copied();
            places.entry(describe(&value, seq)).or_default().push_back(place);
        }
        Ok(Replay { file: Arc::new(file), places, next: HashMap::new(), missing: 0 })
    }

    /// The task with this number and content has finished before.
    pub(crate) fn found(&mut self, seq: u64, content: &[u8]) {
        let place = self.places.get_mut(content).and_then(VecDeque::pop_front);
        match place.flatten() {
            Some(KeptPlace::TooLarge) => self.missing += 1,
            Some(place) => drop(self.next.insert(seq, place)),
            None => {}
        }
    }

    /// The output of the task with this number, if it wrote something.
    pub(crate) fn take(&mut self, seq: u64) -> Option<Delivery> {
        let KeptPlace::Kept { at, lens } = self.next.remove(&seq)? else { return None };
        let piece = |at, len| match len {
            0 => Piece::Bytes(Vec::new()),
            len => Piece::Spooled(Arc::clone(&self.file), at, len),
        };
        let (stdout, stderr) = (piece(at, lens[0]), piece(at + lens[0], lens[1]));
        Some(Delivery { stdout, stderr, ..Delivery::nothing(seq, seq) })
    }
}
