//! What one task writes to one stream: in memory while it is small, then in a file in the run's
//! folder.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use msup_protocol::codec::{self, EMITTED_AT_MOST, LeftFile, Stream, VALUE_AT_MOST};

/// More than this is not kept in memory.
const IN_MEMORY: usize = 64 << 10;

/// The number of bytes that are copied at once.
const BLOCK: usize = 64 << 10;

/// Where a stream goes that is too large for memory. Most are not: a path is made when it is used.
#[derive(Debug)]
pub(crate) enum Place {
    At(PathBuf),
    /// In the run's folder.
    OfAttempt {
        folder: Arc<Path>,
        index: u16,
        publication: u64,
        /// Which of the attempt's streams it is.
        stream: usize,
    },
}

impl Place {
    fn path(&self) -> PathBuf {
        match self {
            Place::At(path) => path.clone(),
            Place::OfAttempt { folder, index, publication, stream } => {
                folder.join(codec::stream_file(*index, *publication, *stream))
            }
        }
    }
}

/// A growing stream of bytes with bounded memory.
#[derive(Debug)]
pub(crate) struct Sink {
    place: Place,
    here: Vec<u8>,
    file: Option<(File, u64)>,
}

impl Sink {
    /// An empty sink that spills to this place.
    pub(crate) fn new(place: Place) -> Sink {
        Sink { place, here: Vec::new(), file: None }
    }

    /// The number of bytes in memory, which go into the outcome's frame.
    pub(crate) fn in_memory(&self) -> usize {
        self.here.len()
    }

    /// Adds a value of one more task.
    ///
    /// # Errors
    /// The value is too long, or all of them are together, or the file cannot be written.
    pub(crate) fn push_value(&mut self, value: &[u8]) -> io::Result<()> {
        check_value(value)?;
        let mut bytes = Vec::with_capacity(value.len() + size_of::<u32>());
        codec::push_value(&mut bytes, value);
        let in_file = self.file.as_ref().map_or(0, |(_, len)| *len);
        if in_file as usize + self.here.len() + bytes.len() > EMITTED_AT_MOST {
            let most = EMITTED_AT_MOST >> 20;
            let why = format!(
                "one task adds values of at most {most} MiB together: let the tasks that it adds \
                 add others"
            );
            return Err(io::Error::other(why));
        }
        self.write_all(&bytes)
    }

    /// Moves what is in memory to the file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn spill(&mut self) -> io::Result<()> {
        self.append().map_err(|why| describe(&self.place.path(), &why))
    }

    fn append(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some((create(&self.place.path())?, 0));
        }
        if let Some((file, len)) = &mut self.file {
            file.write_all(&self.here)?;
            *len += self.here.len() as u64;
            self.here.clear();
        }
        Ok(())
    }

    /// Writes what is in memory to a file of its own, for a client that looks at a running attempt.
    /// What the attempt leaves does not depend on it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn show(&self) -> io::Result<()> {
        if self.here.is_empty() {
            return Ok(());
        }
        let path = self.place.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        create(&path.with_file_name(codec::look_file(&name)))?.write_all(&self.here)
    }

    /// Checks that the file has the right length and is in its place, and restores it there: a task
    /// may have removed or replaced it.
    ///
    /// # Errors
    /// What was written is lost.
    pub(crate) fn secure(&mut self) -> io::Result<()> {
        let Some((file, len)) = &mut self.file else { return Ok(()) };
        let (path, meta) = (self.place.path(), file.metadata()?);
        if meta.len() != *len {
            return Err(describe(&path, &io::Error::other("its content was changed")));
        }
        let is_there = fs::symlink_metadata(&path)
            .is_ok_and(|there| (there.dev(), there.ino()) == (meta.dev(), meta.ino()));
        if !is_there {
            let restored = restore(file, *len, &path);
            *file = restored.map_err(|why| describe(&path, &why))?;
        }
        Ok(())
    }

    /// Drops what was written, in memory and in the file.
    pub(crate) fn discard(&mut self) {
        self.here.clear();
        if self.file.take().is_some() {
            let _ = fs::remove_file(self.place.path());
        }
    }

    /// The outcome's description of this stream.
    pub(crate) fn stream(&self) -> Stream {
        match &self.file {
            // If its metadata cannot be read, the description matches no file, and the supervisor
            // will not find it.
            Some((file, len)) => {
                Stream::File(LeftFile { len: *len, ..LeftFile::of(file).unwrap_or_default() })
            }
            None => Stream::Here(self.here.clone().into()),
        }
    }
}

/// Checks a value of one more task.
///
/// # Errors
/// It is too long.
pub(crate) fn check_value(value: &[u8]) -> io::Result<()> {
    if value.len() <= VALUE_AT_MOST {
        return Ok(());
    }
    Err(io::Error::other(format!("a value of {} bytes: at most {VALUE_AT_MOST}", value.len())))
}

/// Adds the run's folder, and the variable that sets its place, to the error.
pub(crate) fn describe(path: &Path, why: &io::Error) -> io::Error {
    let folder = path.parent().unwrap_or(path).display();
    io::Error::new(why.kind(), format!("the run's folder {folder} (TMPDIR): {why}"))
}

/// Creates a file that other users cannot read, whatever tasks have done to the folder.
fn create(path: &Path) -> io::Result<File> {
    let create = || File::options().read(true).write(true).create_new(true).mode(0o600).open(path);
    match create() {
        Err(why) if why.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(path.parent().unwrap_or(path))?;
            create()
        }
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {
            // Names are used once, so no worker has made this one.
            if fs::symlink_metadata(path)?.is_dir() {
                fs::remove_dir_all(path)?;
            } else {
                fs::remove_file(path)?;
            }
            create()
        }
        created => created,
    }
}

/// Copies a file that has lost its name to a new one.
fn restore(file: &File, len: u64, path: &Path) -> io::Result<File> {
    let mut copy = create(path)?;
    let (mut block, mut at) = (vec![0; BLOCK], 0);
    while at < len {
        let wanted = block.len().min((len - at) as usize);
        let read = file.read_at(&mut block[..wanted], at)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        copy.write_all(&block[..read])?;
        at += read as u64;
    }
    Ok(copy)
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
        let mut sink = Sink::new(Place::At(folder.path().join("out")));
        let chunk: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        for _ in 0..20 {
            sink.write_all(&chunk).expect("writable");
        }
        assert!(matches!(sink.stream(), Stream::File(LeftFile { len: 200_000, .. })));
        assert!(sink.in_memory() <= IN_MEMORY);
        let file = std::fs::read(folder.path().join("out")).expect("there");
        assert_eq!(file, chunk.repeat(20));
    }

    #[test]
    fn a_little_stays_in_memory() {
        let mut sink = Sink::new(Place::At("/proc/nonexistent/out".into()));
        sink.write_all(b"hello").expect("memory");
        assert_eq!(sink.stream(), Stream::Here(b"hello".to_vec().into()));
        let why = sink.spill().expect_err("no folder").to_string();
        assert!(why.contains("/proc/nonexistent") && why.contains("TMPDIR"), "{why}");
    }

    #[test]
    fn no_more_values_are_taken_in_than_msup_reads() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut sink = Sink::new(Place::At(folder.path().join("emitted")));
        let value = vec![b'v'; (1 << 20) - size_of::<u32>()];
        for _ in 0..EMITTED_AT_MOST >> 20 {
            sink.push_value(&value).expect("not too much yet");
        }
        let why = sink.push_value(b"").expect_err("too much").to_string();
        assert!(why.contains("at most 64 MiB"), "{why}");
        let Stream::File(LeftFile { len, .. }) = sink.stream() else { panic!("in a file") };
        assert_eq!(len, EMITTED_AT_MOST as u64, "what was refused is not in it");
    }

    #[test]
    fn what_was_removed_or_replaced_is_put_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run/1/out");
        let content: Vec<u8> = (0..=255).cycle().take(200_000).collect();
        let mut sink = Sink::new(Place::At(path.clone()));
        sink.write_all(&content).expect("writable");
        for what in 0..4 {
            fs::remove_dir_all(folder.path().join("run")).expect("there");
            match what {
                0 => {}
                1 => fs::create_dir_all(&path).expect("writable"),
                _ => {
                    fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
                    match what {
                        2 => fs::write(&path, &content).expect("writable"),
                        _ => std::os::unix::fs::symlink("/dev/zero", &path).expect("writable"),
                    }
                }
            }
            sink.secure().expect("it can be restored");
            assert!(fs::read(&path).expect("there") == content);
        }
        File::options().write(true).open(&path).expect("there").set_len(7).expect("writable");
        assert!(sink.secure().is_err(), "what was in it is gone");
    }
}
