//! The output of one task: in memory, or on disk.

use std::borrow::Borrow;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::Spilled;
use super::filing::Filed;
use super::frames::Served;
use crate::journal::{Keeper, KeptFor};
use crate::os::run_folder::create_file;
use crate::template::Looks;

/// Added for every output, however short: the cost of keeping one.
const EACH: u64 = 256;

/// A byte that waits on disk weighs this much less than one in memory.
const DISK_WEIGHS_LESS: u64 = 32;

/// The number of last bytes in which the last line is searched.
const TAIL: usize = 4096;

/// The output of a task on one stream.
#[derive(Debug)]
pub(crate) enum Piece {
    /// In memory.
    Bytes(Vec<u8>),
    /// In a file of the run's folder; the file is removed once the output is written.
    File(Spilled),
    /// Among other held outputs in a file without a name: from where, and the number of bytes.
    Spooled(Arc<File>, u64, u64),
    /// What waited in several places, one after the other.
    Parts(Vec<Piece>),
}

/// The output of a finished task.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// The task's number in the input.
    pub(crate) seq: u64,
    /// The last one's number, where several tasks in a row have nothing to show.
    pub(crate) last: u64,
    pub(crate) stdout: Piece,
    pub(crate) stderr: Piece,
    /// What it has reported to the client of `msup serve`.
    pub(crate) result: Piece,
    /// What the client is told besides.
    pub(crate) served: Option<Box<Served>>,
    /// The attempt for which it is kept with the run, if it is.
    pub(crate) writer: Option<KeptFor>,
    /// An earlier generation has kept it.
    pub(crate) is_replayed: bool,
    /// How its lines look when they are shown.
    pub(crate) looks: Looks,
    /// Part of it was lost before (`--lb`).
    pub(crate) is_torn: bool,
    /// Where it is filed instead of being shown.
    pub(crate) filed: Option<Filed>,
}

/// Where copying an output stopped.
#[derive(Debug)]
pub(super) enum Broken {
    /// It cannot be read back: it is lost.
    Source(io::Error),
    /// It cannot be written.
    Target(io::Error),
}

impl From<io::Error> for Broken {
    fn from(why: io::Error) -> Broken {
        Broken::Target(why)
    }
}

impl Piece {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Piece::Bytes(bytes) => bytes.is_empty(),
            Piece::File(_) | Piece::Spooled(..) => false,
            Piece::Parts(parts) => parts.iter().all(Piece::is_empty),
        }
    }

    pub(super) fn in_memory(&self) -> u64 {
        match self {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::File(_) | Piece::Spooled(..) => 0,
            Piece::Parts(parts) => parts.iter().map(Piece::in_memory).sum(),
        }
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::File(Spilled { left, .. }) => left.len,
            Piece::Spooled(_, _, len) => *len,
            Piece::Parts(parts) => parts.iter().map(Piece::len).sum(),
        }
    }

    /// All of it.
    ///
    /// # Errors
    /// It cannot be read back.
    pub(crate) fn whole(&self) -> io::Result<Vec<u8>> {
        let mut whole = Vec::new();
        self.reader()?.read_to_end(&mut whole)?;
        Ok(whole)
    }

    /// A reader that leaves it where it is.
    pub(super) fn reader(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(match self {
            Piece::Bytes(bytes) => Box::new(bytes.as_slice()),
            Piece::File(spilled) => {
                let file = spilled.read(File::try_clone)?;
                Box::new(Window { file, at: 0, end: spilled.left.len })
            }
            Piece::Spooled(file, at, len) => {
                Box::new(Window { file: &**file, at: *at, end: at + len })
            }
            Piece::Parts(parts) => {
                let mut all: Box<dyn Read + '_> = Box::new(io::empty());
                for part in parts {
                    all = Box::new(all.chain(part.reader()?));
                }
                all
            }
        })
    }

    /// Its last line that is not blank, as far as it is in the last `TAIL` bytes.
    fn last_line(&self) -> Option<Vec<u8>> {
        match self {
            Piece::Bytes(bytes) => last_line(&bytes[bytes.len().saturating_sub(TAIL)..]),
            Piece::File(spilled) => last_line(&spilled.tail(TAIL).ok()?),
            // It is asked for before it waits.
            Piece::Spooled(..) | Piece::Parts(_) => None,
        }
    }

    fn weight(&self) -> u64 {
        match self {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::File(Spilled { left, .. }) => left.len / DISK_WEIGHS_LESS,
            Piece::Spooled(_, _, len) => len / DISK_WEIGHS_LESS,
            Piece::Parts(parts) => parts.iter().map(Piece::weight).sum(),
        }
    }

    /// Writes it out, and frees its space.
    pub(super) fn copy(self, to: &mut impl Write) -> Result<(), Broken> {
        match self {
            Piece::Bytes(bytes) => to.write_all(&bytes).map_err(Broken::Target),
            Piece::File(spilled) => {
                let (len, file) = (spilled.left.len, spilled.take());
                let file = file.map_err(Broken::Source)?;
                copy(Window { file: &file, at: 0, end: len }, to)
            }
            Piece::Spooled(file, at, len) => copy(Window { file: &*file, at, end: at + len }, to),
            Piece::Parts(parts) => parts.into_iter().try_for_each(|part| part.copy(to)),
        }
    }

    /// Takes it, and leaves nothing.
    pub(super) fn take(&mut self) -> Piece {
        std::mem::replace(self, Piece::Bytes(Vec::new()))
    }

    /// Frees its space.
    pub(super) fn discard(self) {
        match self {
            Piece::File(spilled) => drop(spilled.take()),
            Piece::Parts(parts) => parts.into_iter().for_each(Piece::discard),
            Piece::Bytes(_) | Piece::Spooled(..) => {}
        }
    }

    /// Moves it from memory into `file` at `at`. Returns the number of bytes; on failure it stays
    /// in memory.
    pub(super) fn spool(&mut self, file: &Arc<File>, at: u64) -> u64 {
        if let Piece::Parts(parts) = self {
            return parts.iter_mut().fold(0, |len, part| len + part.spool(file, at + len));
        }
        let Piece::Bytes(bytes) = self else { return 0 };
        let len = bytes.len() as u64;
        if len == 0 || file.write_all_at(bytes, at).is_err() {
            return 0;
        }
        *self = Piece::Spooled(Arc::clone(file), at, len);
        len
    }
}

impl Delivery {
    /// For a task that wrote nothing, from number `seq` to `last`.
    pub(crate) fn nothing(seq: u64, last: u64) -> Delivery {
        let nothing = || Piece::Bytes(Vec::new());
        Delivery {
            seq,
            last,
            stdout: nothing(),
            stderr: nothing(),
            result: nothing(),
            served: None,
            writer: None,
            is_replayed: false,
            looks: Looks::default(),
            is_torn: false,
            filed: None,
        }
    }

    /// It is neither shown nor filed.
    pub(crate) fn drop_streams(&mut self) {
        [self.stdout.take(), self.stderr.take()].into_iter().for_each(Piece::discard);
    }

    /// Bytes on standard output.
    pub(crate) fn received(&self) -> u64 {
        self.stdout.len()
    }

    /// Keeps it with the run, if it is not empty. Returns whether it is kept.
    ///
    /// # Errors
    /// It cannot be kept.
    pub(super) fn keep(&self, keeper: &mut Keeper) -> io::Result<bool> {
        let Some(writer) = self.writer.filter(|_| !self.is_empty()) else { return Ok(false) };
        let streams = [&self.stdout, &self.stderr];
        keeper.keep(writer, streams.map(Piece::len), streams.into_iter().map(Piece::reader))
    }

    /// The last line on standard error that is not blank.
    pub(crate) fn last_line(&self) -> Option<Vec<u8>> {
        self.stderr.last_line()
    }

    pub(super) fn in_memory(&self) -> u64 {
        self.stdout.in_memory() + self.stderr.in_memory() + self.result.in_memory()
    }

    pub(super) fn is_empty(&self) -> bool {
        let is_told = self.served.is_some() || self.filed.is_some();
        self.stdout.is_empty() && self.stderr.is_empty() && !is_told
    }

    /// Its weight while it waits.
    pub(super) fn weight(&self) -> u64 {
        EACH + self.stdout.weight() + self.stderr.weight() + self.result.weight()
    }
}

/// A part of a file.
struct Window<F> {
    file: F,
    at: u64,
    end: u64,
}

impl<F: Borrow<File>> Read for Window<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min((self.end - self.at) as usize);
        let len = self.file.borrow().read_at(&mut buffer[..wanted], self.at)?;
        if len == 0 && wanted > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += len as u64;
        Ok(len)
    }
}

/// Not [`io::copy`], which does not tell whether reading or writing failed.
fn copy(mut from: impl Read, to: &mut impl Write) -> Result<(), Broken> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => to.write_all(&buffer[..len]).map_err(Broken::Target)?,
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(Broken::Source(why)),
        }
    }
}

/// Text that was overwritten after a carriage return does not count as the line.
fn last_line(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut lines = bytes.rsplit(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii);
    lines.find(|line| !line.is_empty()).map(<[u8]>::to_vec)
}

/// A file without a name, whose space is freed when it is closed.
pub(super) fn nameless_file(folder: &Path) -> io::Result<File> {
    let path = folder.join("held");
    let file = create_file(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use msup_protocol::codec::LeftFile;

    use super::*;

    /// Accepts this number of bytes, then fails.
    struct Takes(usize);

    impl Write for Takes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let len = bytes.len().min(self.0);
            self.0 -= len;
            if len == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(len) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_spooled_piece_reads_back_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = Arc::new(nameless_file(folder.path()).expect("writable"));
        let content: Vec<u8> = (0..=255).cycle().take(200_000).collect();
        let mut piece = Piece::Bytes(content.clone());
        assert_eq!(piece.spool(&file, 100), 200_000);
        assert_eq!(piece.in_memory(), 0);
        let mut out = Vec::new();
        piece.copy(&mut out).expect("readable");
        assert!(out == content);
    }

    #[test]
    fn the_last_line_is_the_one_that_says_something() {
        for (bytes, line) in [
            (&b"first\nlast\n\n  \n"[..], Some(&b"last"[..])),
            (b"10 %\r20 %\rbroken\r\n", Some(b"broken")),
            (b"no newline", Some(b"no newline")),
            (b" \n", None),
            (b"", None),
        ] {
            assert_eq!(last_line(bytes).as_deref(), line);
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("err");
        std::fs::write(&path, "x\n".repeat(5000) + "last\n").expect("writable");
        let piece = |path: &Path| {
            let left = LeftFile::of(&File::open(path).expect("there")).expect("readable");
            Piece::File(Spilled { path: path.to_owned(), left, file: None }).last_line()
        };
        assert_eq!(piece(&path).as_deref(), Some(&b"last"[..]));
        assert_eq!(piece(folder.path()), None);
    }

    #[test]
    fn whose_error_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out");
        let spilled = |left| Spilled { path: path.clone(), left, file: None };
        let left = || LeftFile::of(&File::open(&path).expect("there")).expect("readable");
        let gone = Piece::File(spilled(LeftFile::default())).copy(&mut Vec::new());
        assert!(matches!(gone, Err(Broken::Source(_))));
        std::fs::write(&path, "12345").expect("writable");
        let other = Piece::File(spilled(LeftFile { len: 4, ..left() })).copy(&mut Vec::new());
        assert!(matches!(other, Err(Broken::Source(_))), "it is not what was written");
        std::fs::write(&path, "12345").expect("writable");
        let full = Piece::File(spilled(left())).copy(&mut Takes(3));
        assert!(matches!(full, Err(Broken::Target(_))));
        assert!(!path.exists(), "it is removed either way");
        let file = Arc::new(nameless_file(folder.path()).expect("writable"));
        let torn = Piece::Spooled(file, 0, 9).copy(&mut Vec::new());
        assert!(matches!(torn, Err(Broken::Source(_))));
    }
}
