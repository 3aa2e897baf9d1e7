//! What one task writes to one stream: in memory while it is small, in a file of the run's folder
//! when it is not.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use msup_protocol::codec::Stream;

/// More than this is not kept in memory.
const IN_MEMORY: usize = 64 << 10;

/// A growing stream of bytes with bounded memory.
#[derive(Debug)]
pub(crate) struct Sink {
    path: PathBuf,
    here: Vec<u8>,
    file: Option<(File, u64)>,
}

impl Sink {
    /// An empty sink that spills to `path`.
    pub(crate) fn new(path: PathBuf) -> Sink {
        Sink { path, here: Vec::new(), file: None }
    }

    /// How many bytes are in memory, to be sent along.
    pub(crate) fn in_memory(&self) -> usize {
        self.here.len()
    }

    /// Moves what is in memory to the file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn spill(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some((File::create_new(&self.path)?, 0));
        }
        if let Some((file, len)) = &mut self.file {
            file.write_all(&self.here)?;
            *len += self.here.len() as u64;
            self.here.clear();
        }
        Ok(())
    }

    /// Forgets what was written, in memory and in the file.
    pub(crate) fn discard(&mut self) {
        self.here.clear();
        if self.file.take().is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }

    /// What the outcome says of this stream.
    pub(crate) fn stream(&self) -> Stream {
        match &self.file {
            Some((_, len)) => Stream::File(*len),
            None => Stream::Here(self.here.clone().into()),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.here.extend_from_slice(bytes);
        if self.file.is_some() || self.here.len() > IN_MEMORY {
            self.spill()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_goes_to_the_file_in_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut sink = Sink::new(folder.path().join("out"));
        let chunk: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        for _ in 0..20 {
            sink.write_all(&chunk).expect("writable");
        }
        assert_eq!(sink.stream(), Stream::File(200_000));
        assert!(sink.in_memory() <= IN_MEMORY);
        let file = std::fs::read(folder.path().join("out")).expect("there");
        assert_eq!(file, chunk.repeat(20));
    }

    #[test]
    fn a_little_stays_in_memory() {
        let mut sink = Sink::new(PathBuf::from("/nonexistent/out"));
        sink.write_all(b"hello").expect("memory");
        assert_eq!(sink.stream(), Stream::Here(b"hello".to_vec().into()));
        assert!(sink.spill().is_err());
    }
}
