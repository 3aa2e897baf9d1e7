//! An append-only file written by one process: on a full disk nothing is lost, and writing
//! continues when there is space again.

use std::fs::File;
use std::io::{self, Write};

/// The result of the last flush.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// Everything is in the file, safe from the death of this process.
    All,
    /// The disk, or a quota, is full: the rest is kept for later.
    Full,
    /// The file cannot be written any more: why.
    Broken(String),
}

#[derive(Debug)]
pub(crate) struct Appender<F = File> {
    file: F,
    /// Bytes that are not yet in the file, and how many of these are already written.
    pending: Vec<u8>,
    written: usize,
}

impl<F: Write> Appender<F> {
    pub(crate) fn new(file: F) -> Appender<F> {
        Appender { file, pending: Vec::new(), written: 0 }
    }

    /// The buffer for the next bytes.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.pending
    }

    pub(crate) fn file(&self) -> &F {
        &self.file
    }

    pub(crate) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    pub(crate) fn flush(&mut self) -> Flushed {
        while self.written < self.pending.len() {
            match self.file.write(&self.pending[self.written..]) {
                Ok(0) => return Flushed::Full,
                Ok(len) => self.written += len,
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) if is_full(&why) => return Flushed::Full,
                Err(why) => return Flushed::Broken(why.to_string()),
            }
        }
        self.pending.clear();
        self.written = 0;
        Flushed::All
    }
}

fn is_full(why: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull, WouldBlock};
    // A stopped terminal takes nothing for a while, either.
    matches!(why.kind(), StorageFull | QuotaExceeded | WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with this much space.
    struct Disk {
        content: Vec<u8>,
        space: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let len = bytes.len().min(self.space - self.content.len());
            self.content.extend(&bytes[..len]);
            if len == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(len) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_torn_by_a_full_disk_is_mended_when_there_is_space() {
        let mut appender = Appender::new(Disk { content: Vec::new(), space: 10 });
        appender.buffer().extend(b"line 1\nline 2\n");
        assert_eq!(appender.flush(), Flushed::Full);
        appender.buffer().extend(b"line 3\n");
        assert_eq!(appender.flush(), Flushed::Full);
        assert!(appender.is_pending());
        appender.file.space = 100;
        assert_eq!(appender.flush(), Flushed::All);
        assert_eq!(appender.file.content, b"line 1\nline 2\nline 3\n");
    }
}
