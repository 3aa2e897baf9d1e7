//! The input of a command: parts of the file of blocks, which the kernel moves into a pipe. That is
//! its standard input, or a FIFO (`--fifo`).

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use msup_protocol::codec::Extent;
use rustix::event::PollFlags;
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, mkfifoat, open};
use rustix::io::{Errno, ioctl_fionbio, pread, write};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// The size of the pipe. With the usual 64 KiB the worker and the command wake each other 16 times
/// as often.
const PIPE_BYTES: usize = 1 << 20;

/// The number of bytes that are copied at a time where the kernel cannot move them.
const COPIED: usize = 64 << 10;

/// A FIFO is looked at again after this part of the time waited so far: waiting for a command that
/// opens it late, or never, costs a small share of a CPU at most.
const LOOK_AFTER_PART: u32 = 8;
const LOOK_AFTER: [Duration; 2] = [Duration::from_micros(200), Duration::from_millis(50)];

/// A FIFO that blocks go through.
#[derive(Debug)]
struct Fifo {
    path: PathBuf,
    since: Instant,
    /// The command has not opened it.
    is_unopened: bool,
}

/// What a command still has to get, and the pipe that it goes through.
#[derive(Debug)]
pub(super) struct Feed<'a> {
    source: BorrowedFd<'a>,
    /// `None` when the command has got everything, or wants no more, or has not opened the FIFO.
    pipe: Option<OwnedFd>,
    /// Where it has a name.
    fifo: Option<Fifo>,
    /// In reverse order.
    left: Vec<Extent>,
    read: io::Result<()>,
}

impl<'a> Feed<'a> {
    /// Of these parts of `source`. Also returns what is the command's standard input.
    ///
    /// # Errors
    /// No pipe can be made.
    pub(super) fn new(
        source: BorrowedFd<'a>,
        extents: &[Extent],
    ) -> io::Result<(OwnedFd, Feed<'a>)> {
        let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC)?;
        // There is a limit on the large pipes of a user: small ones only cost time.
        let _ = fcntl_setpipe_size(&ours, PIPE_BYTES);
        ioctl_fionbio(&ours, true)?;
        let left = extents.iter().rev().copied().collect();
        Ok((theirs, Feed { source, pipe: Some(ours), fifo: None, left, read: Ok(()) }))
    }

    /// Of these parts of `source`, through a FIFO that is made with this path.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn through(
        path: &Path,
        source: BorrowedFd<'a>,
        extents: &[Extent],
    ) -> io::Result<Feed<'a>> {
        mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR)?;
        let left = extents.iter().rev().copied().collect();
        let fifo = Fifo { path: path.to_owned(), since: Instant::now(), is_unopened: true };
        Ok(Feed { source, pipe: None, fifo: Some(fifo), left, read: Ok(()) })
    }

    /// Within which time to call [`Feed::send`] though nothing tells of it. `None`: that is not
    /// needed.
    pub(super) fn looks_within(&self) -> Option<Duration> {
        let fifo = self.fifo.as_ref().filter(|fifo| fifo.is_unopened)?;
        let part = fifo.since.elapsed() / LOOK_AFTER_PART;
        Some(part.clamp(LOOK_AFTER[0], LOOK_AFTER[1]))
    }

    /// Opens the FIFO, if the command waits for that.
    fn open(&mut self) {
        let Some(fifo) = self.fifo.as_mut().filter(|fifo| fifo.is_unopened) else { return };
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match open(&fifo.path, flags, Mode::empty()) {
            // The command has put something else there.
            Ok(other) if !is_fifo(&other) => fifo.is_unopened = false,
            Ok(pipe) => {
                let _ = fcntl_setpipe_size(&pipe, PIPE_BYTES);
                (self.pipe, fifo.is_unopened) = (Some(pipe), false);
            }
            // No process has opened it for reading.
            Err(Errno::NXIO | Errno::INTR) => {}
            // The command has removed it.
            Err(Errno::NOENT) => fifo.is_unopened = false,
            Err(errno) => (fifo.is_unopened, self.read) = (false, Err(errno.into())),
        }
    }

    /// What to wait for: until more can be written, or the command has closed its standard input.
    /// `None`: for nothing.
    pub(super) fn input(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        self.pipe.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::OUT))
    }

    /// Moves as much as fits into the pipe, and closes it behind the last byte.
    pub(super) fn send(&mut self) {
        self.open();
        while let Some(pipe) = &self.pipe {
            let Some(part) = self.left.last_mut() else { return self.close(Ok(())) };
            if part.len == 0 {
                self.left.pop();
                continue;
            }
            match moved(self.source, part, pipe) {
                Ok(0) => return self.close(Err(io::ErrorKind::UnexpectedEof.into())),
                Ok(bytes) => (part.at, part.len) = (part.at + bytes, part.len - bytes),
                Err(Errno::AGAIN | Errno::INTR) => return,
                // The command has closed its standard input, or has exited: it wants no more.
                Err(Errno::PIPE) => return self.close(Ok(())),
                Err(errno) => return self.close(Err(errno.into())),
            }
        }
    }

    /// Whether all that the command wanted could be read.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        (self.pipe, self.fifo) = (None, None);
        std::mem::replace(&mut self.read, Ok(()))
    }

    fn close(&mut self, read: io::Result<()>) {
        if let Some(fifo) = self.fifo.take() {
            // A process that opened it from now on would wait for ever: it finds no such file.
            let _ = fs::remove_file(fifo.path);
        }
        (self.pipe, self.read) = (None, read);
    }
}

fn is_fifo(fd: &OwnedFd) -> bool {
    fstat(fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo)
}

/// Moves bytes from the beginning of a part into the pipe. Returns their number: 0 if the source
/// has no more.
fn moved(source: BorrowedFd<'_>, part: &Extent, pipe: &OwnedFd) -> Result<u64, Errno> {
    let mut at = part.at;
    let len = usize::try_from(part.len).unwrap_or(usize::MAX);
    match splice(source, Some(&mut at), pipe, None, len, SpliceFlags::NONBLOCK) {
        // Some file systems cannot do this.
        Err(Errno::INVAL) => {
            let mut bytes = [0; COPIED];
            let read = pread(source, &mut bytes[..len.min(COPIED)], part.at)?;
            if read == 0 {
                return Ok(0);
            }
            write(pipe, &bytes[..read]).map(|written| written as u64)
        }
        moved => moved.map(|bytes| bytes as u64),
    }
}

/// Copies these parts of `source` into a file, one after the other.
///
/// # Errors
/// The kernel's, or the source is shorter.
pub(super) fn copy(source: BorrowedFd<'_>, parts: &[Extent], file: &File) -> io::Result<()> {
    let mut bytes = vec![0; COPIED];
    for Extent { mut at, mut len } in parts.iter().copied() {
        while len > 0 {
            let most = usize::try_from(len).unwrap_or(usize::MAX).min(COPIED);
            let read = pread(source, &mut bytes[..most], at)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            (&*file).write_all(&bytes[..read])?;
            (at, len) = (at + read as u64, len - read as u64);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(bytes: &[u8]) -> File {
        let fd = rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC);
        let mut file = File::from(fd.expect("a file in memory"));
        file.write_all(bytes).expect("room");
        file
    }

    /// What arrives of these parts, and whether all could be read.
    fn fed(source: BorrowedFd<'_>, parts: &[(u64, u64)]) -> (Vec<u8>, io::Result<()>) {
        let parts: Vec<Extent> =
            parts.iter().map(|(at, len)| Extent { at: *at, len: *len }).collect();
        let (theirs, mut feed) = Feed::new(source, &parts).expect("a pipe");
        let mut arrived = Vec::new();
        let mut buffer = vec![0; 10_000];
        loop {
            feed.send();
            match rustix::io::read(&theirs, &mut buffer).expect("a pipe") {
                0 => return (arrived, feed.finish()),
                bytes => arrived.extend_from_slice(&buffer[..bytes]),
            }
        }
    }

    #[test]
    fn the_parts_arrive_one_after_the_other() {
        let bytes: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
        let file = source(&bytes);
        let (arrived, read) = fed(file.as_fd(), &[(0, 3), (7, 0), (1_000, 2_500_000), (1, 1)]);
        assert!(read.is_ok());
        assert!(arrived == [&bytes[..3], &bytes[1_000..2_501_000], &bytes[1..2]].concat());
        assert_eq!(fed(file.as_fd(), &[]).0, b"");
    }

    /// What is read from a FIFO by a process that opens it late, and opens it again.
    #[test]
    fn a_fifo_waits_until_it_is_opened_and_is_read_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("fifo");
        let bytes: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
        let file = source(&bytes);
        let parts = [Extent { at: 0, len: 3_000_000 }];
        let mut feed = Feed::through(&path, file.as_fd(), &parts).expect("a FIFO");
        feed.send();
        assert!(feed.input().is_none() && feed.looks_within().is_some(), "it is not open");
        let name = path.clone();
        let reader = std::thread::spawn(move || (fs::read(&name), fs::read(&name)));
        while !reader.is_finished() {
            feed.send();
        }
        let (first, second) = reader.join().expect("it reads");
        assert!(first.expect("it was there") == bytes);
        assert_eq!(second.map_err(|why| why.kind()), Err(io::ErrorKind::NotFound));
        assert!(feed.looks_within().is_none() && feed.finish().is_ok());
    }

    #[test]
    fn a_fifo_that_is_gone_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("fifo");
        let file = source(b"abc");
        for other in [None, Some("other")] {
            let parts = [Extent { at: 0, len: 3 }];
            let mut feed = Feed::through(&path, file.as_fd(), &parts).expect("a FIFO");
            fs::remove_file(&path).expect("it is there");
            other.map_or(Ok(()), |text| fs::write(&path, text)).expect("written");
            feed.send();
            assert!(feed.looks_within().is_none() && feed.finish().is_ok());
        }
        assert_eq!(fs::read(&path).expect("there"), b"other");
    }

    /// A device without pages to move.
    #[test]
    fn what_the_kernel_cannot_move_is_copied() {
        let file = File::open("/proc/self/cmdline").expect("it exists");
        let whole = std::fs::read("/proc/self/cmdline").expect("it exists");
        let (arrived, read) = fed(file.as_fd(), &[(0, 5), (2, 3)]);
        assert!(read.is_ok());
        assert_eq!(arrived, [&whole[..5], &whole[2..5]].concat());
    }

    #[test]
    fn a_file_that_was_cut_is_an_error_and_a_deaf_command_is_none() {
        let file = source(b"abc");
        let (arrived, read) = fed(file.as_fd(), &[(1, 5)]);
        assert_eq!(arrived, b"bc");
        assert_eq!(read.map_err(|why| why.kind()), Err(io::ErrorKind::UnexpectedEof));
        let (theirs, mut feed) =
            Feed::new(file.as_fd(), &[Extent { at: 0, len: 3 }]).expect("a pipe");
        drop(theirs);
        feed.send();
        assert!(feed.input().is_none() && feed.finish().is_ok());
    }
}
