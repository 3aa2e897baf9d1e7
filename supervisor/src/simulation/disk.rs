//! Fake files for tests: a power cut takes what was not synced, at any byte, and the disk may be
//! full.

use std::cell::{Ref, RefCell};
use std::io::{self, Write};
use std::rc::Rc;

use super::random::Random;

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
