//! Which attempts have started and which have finished, in a file that outlives every process of
//! the run.
//!
//! If all processes die at once, the segment is gone, and the journal alone only says which
//! attempts were handed to workers. Each worker writes an entry of this file when it takes up an
//! attempt, and again when the attempt has finished. The index of an entry is the attempt's task
//! slot.
//!
//! The file helps recovery: losing some of it makes attempt numbers less exact, and nothing else.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// Bytes of an entry: sequence number, attempt, stage, checksum, four bytes of zeros.
const ENTRY: usize = 24;
/// What the checksum covers.
const COVERED: usize = 16;

const STARTED: u32 = 1;
const FINISHED: u32 = 2;

/// What a worker has noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The task's number in the input, from 1.
    pub seq: u64,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Whether it has finished.
    pub finished: bool,
}

/// The file of one run.
#[derive(Debug)]
pub struct InFlight {
    file: File,
    /// The checksum of the run's id: the seed for the checksum of each entry.
    seed: u32,
}

impl InFlight {
    /// This file, for the run with this id.
    #[must_use]
    pub fn new(file: File, run: &[u8]) -> InFlight {
        InFlight { file, seed: crc32fast::hash(run) }
    }

    /// Makes room for this number of slots, without entries.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn clear(&self, slots: u32) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.write_all_at(&vec![0; slots as usize * ENTRY], 0)
    }

    /// Notes the state of the attempt in this slot. A failed write is ignored.
    pub fn note(&self, slot: u16, entry: Entry) {
        let _ = self.file.write_all_at(&self.encode(entry), u64::from(slot) * ENTRY as u64);
    }

    /// All entries by slot; `None` if the file has no room for any, so that no worker can have
    /// written.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self) -> std::io::Result<Option<Vec<Option<Entry>>>> {
        // A longer file was not written by us.
        let mut bytes = vec![0; (usize::from(u16::MAX) + 1) * ENTRY];
        let mut len = 0;
        while len < bytes.len() {
            match self.file.read_at(&mut bytes[len..], len as u64)? {
                0 => break,
                more => len += more,
            }
        }
        let entries: Vec<Option<Entry>> =
            bytes[..len].chunks_exact(ENTRY).map(|bytes| self.decode(bytes)).collect();
        Ok(Some(entries).filter(|entries| !entries.is_empty()))
    }

    fn encode(&self, entry: Entry) -> [u8; ENTRY] {
        let Entry { seq, attempt, finished } = entry;
        let mut bytes = [0; ENTRY];
        bytes[..8].copy_from_slice(&seq.to_le_bytes());
        bytes[8..12].copy_from_slice(&attempt.to_le_bytes());
        let stage = if finished { FINISHED } else { STARTED };
        bytes[12..COVERED].copy_from_slice(&stage.to_le_bytes());
        let check = self.checksum(&bytes[..COVERED]);
        bytes[COVERED..COVERED + 4].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    fn decode(&self, bytes: &[u8]) -> Option<Entry> {
        let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let seq = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
        let (attempt, stage, check) = (word(8)?, word(12)?, word(COVERED)?);
        let finished = match stage {
            STARTED => false,
            FINISHED => true,
            _ => return None,
        };
        (check == self.checksum(&bytes[..COVERED])).then_some(Entry { seq, attempt, finished })
    }

    fn checksum(&self, bytes: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new_with_initial(self.seed);
        hasher.update(bytes);
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> (std::path::PathBuf, File) {
        let name =
            format!("msup-in-flight-{}-{:?}", std::process::id(), std::thread::current().id());
        let path = std::env::temp_dir().join(name);
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(true).open(&path);
        (path, file.expect("writable"))
    }

    #[test]
    fn what_is_noted_is_read_and_what_is_damaged_is_not() {
        let (path, file) = file();
        let in_flight = InFlight::new(file.try_clone().expect("a descriptor"), b"run");
        assert_eq!(in_flight.read().expect("readable"), None, "no room was made");
        in_flight.clear(3).expect("writable");
        assert_eq!(in_flight.read().expect("readable"), Some(vec![None; 3]));
        let entry = Entry { seq: u64::MAX, attempt: 7, finished: false };
        in_flight.note(1, entry);
        assert_eq!(in_flight.read().expect("readable"), Some(vec![None, Some(entry), None]));
        let of_another_run = InFlight::new(file.try_clone().expect("a descriptor"), b"other");
        assert_eq!(of_another_run.read().expect("readable"), Some(vec![None; 3]));
        in_flight.note(1, Entry { finished: true, ..entry });
        let read = in_flight.read().expect("readable").expect("there is room");
        assert_eq!(read[1], Some(Entry { finished: true, ..entry }));
        for at in 0..COVERED + 4 {
            in_flight.note(1, entry);
            let mut byte = [0];
            file.read_exact_at(&mut byte, (ENTRY + at) as u64).expect("readable");
            file.write_all_at(&[byte[0] ^ 4], (ENTRY + at) as u64).expect("writable");
            assert_eq!(in_flight.read().expect("readable"), Some(vec![None; 3]), "byte {at}");
        }
        std::fs::remove_file(path).expect("it is there");
    }
}
