//! Fake files for tests: a power cut takes what was not synced, at any byte, and the disk may be
//! full.

use std::cell::{Ref, RefCell};
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;

use super::random::Random;
use super::{RUN, text};
use crate::journal::{JournalError, Kept, KeptFor, KeptPlace, Past, Record, Seed, read};

/// A file; clones are the same file.
#[derive(Clone, Debug, Default)]
pub(super) struct FakeFile(Rc<RefCell<Content>>);

#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    /// The number of synced bytes.
    synced: usize,
    is_full: bool,
}

impl Write for FakeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut content = self.0.borrow_mut();
        // A disk that becomes full accepts a part of the current write.
        let len = if content.is_full { bytes.len() / 2 } else { bytes.len() };
        content.bytes.extend_from_slice(&bytes[..len]);
        if len == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(len) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FakeFile {
    pub(super) fn bytes(&self) -> Ref<'_, [u8]> {
        Ref::map(self.0.borrow(), |content| content.bytes.as_slice())
    }

    pub(super) fn len(&self) -> usize {
        self.0.borrow().bytes.len()
    }

    pub(super) fn sync(&self) {
        let mut content = self.0.borrow_mut();
        content.synced = content.bytes.len();
    }

    pub(super) fn set_full(&self, is_full: bool) {
        self.0.borrow_mut().is_full = is_full;
    }

    pub(super) fn truncate(&self, len: usize) {
        let mut content = self.0.borrow_mut();
        content.bytes.truncate(len);
        content.synced = content.synced.min(len);
    }

    /// Loses some of the bytes that were not synced.
    pub(super) fn lose_power(&self, random: &mut Random) {
        let (len, synced) = {
            let content = self.0.borrow();
            (content.bytes.len(), content.synced)
        };
        self.truncate(len - random.below((len - synced) as u64 + 1) as usize);
    }
}

/// What a run keeps: its journal, its values where they cannot be read again, and outputs.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) records: FakeFile,
    pub(super) spool: Option<FakeFile>,
    /// The outputs, and those that are not synced.
    pub(super) kept: Kept,
    unsynced: Vec<KeptFor>,
    /// The number of bytes of the journal that were already judged.
    judged: usize,
    /// The supervisor is killed in the middle of its next write.
    pub(super) kills_writer: bool,
}

impl Disk {
    /// Nothing yet, with room for values if they are kept.
    pub(super) fn new(keeps_values: bool) -> Disk {
        let spool = keeps_values.then(FakeFile::default);
        let (kept, unsynced) = (Kept::default(), Vec::new());
        let records = FakeFile::default();
        Disk { records, spool, kept, unsynced, judged: 0, kills_writer: false }
    }

    /// Keeps the output of this attempt.
    pub(super) fn keep(&mut self, seq: u64, value: &[u8], attempt: u32) {
        let writer = KeptFor::new(seq, value, attempt);
        self.kept.places.insert(writer, KeptPlace::Kept { at: 0, lens: [1, 0] });
        self.unsynced.push(writer);
    }

    fn files(&self) -> impl Iterator<Item = &FakeFile> {
        [Some(&self.records), self.spool.as_ref()].into_iter().flatten()
    }

    pub(super) fn set_full(&self, is_full: bool) {
        self.files().for_each(|file| file.set_full(is_full));
    }

    /// Syncs everything, in this order: what is journaled of the input is in the spool.
    pub(super) fn sync(&mut self) {
        self.unsynced.clear();
        self.spool.iter().for_each(FakeFile::sync);
        self.records.sync();
    }

    pub(super) fn lose_power(&mut self, random: &mut Random) {
        self.kills_writer = false;
        let synced = random.below(self.unsynced.len() as u64 + 1) as usize;
        for lost in self.unsynced.drain(..).skip(synced) {
            self.kept.places.remove(&lost);
        }
        self.files().for_each(|file| file.lose_power(random));
    }

    /// What the journal says.
    pub(super) fn past(&self) -> Result<Past, JournalError> {
        Past::of(std::io::Cursor::new(&*self.records.bytes()), Path::new(RUN))
    }

    /// Reads the whole journal.
    pub(super) fn read(&self, mut take: impl FnMut(Record)) {
        let all = read(&*self.records.bytes(), &Seed::new(RUN), |_, record| take(record));
        assert!(all.is_ok(), "memory can be read");
    }

    /// Reads what was written to the journal since the last time.
    pub(super) fn read_news(&mut self, mut take: impl FnMut(Record)) {
        let bytes = self.records.bytes();
        let news = read(&bytes[self.judged..], &Seed::new(RUN), |_, record| take(record));
        self.judged += news.expect("memory can be read").whole as usize;
    }

    /// Keeps only whole records. They are all judged.
    pub(super) fn keep_whole_records(&mut self, len: usize) {
        self.records.truncate(len);
        self.judged = self.records.len();
    }

    /// Keeps only whole values. Returns them, if values are kept.
    pub(super) fn keep_whole_values(&self) -> Option<Vec<String>> {
        let spool = self.spool.as_ref()?;
        let whole = spool.bytes().iter().rposition(|byte| *byte == 0).map_or(0, |at| at + 1);
        spool.truncate(whole);
        let mut values: Vec<String> = spool.bytes().split(|byte| *byte == 0).map(text).collect();
        // Nothing follows the last NUL byte.
        values.pop();
        Some(values)
    }

    /// A run begins.
    pub(super) fn clear(&mut self) {
        self.files().for_each(|file| file.truncate(0));
        self.kept.places.clear();
        self.judged = 0;
    }
}
