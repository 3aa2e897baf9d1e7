//! Blocks in memory: a file without a name, to which a stream is written as it is read. What no
//! command needs any more is given back to the system; places in the file stay what they are.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use msup_protocol::codec::Extent;
use msup_protocol::extent;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, memfd_create};
use rustix::io::Errno;

use super::stop::DealEnd;

/// The number of bytes that are read at a time: the most that a pipe holds unless root has made it
/// larger.
const CHUNK: usize = 1 << 20;

/// A stream in memory, as far as it was read.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    /// `None` when it was read to its end.
    stream: Option<File>,
    len: u64,
    buffer: Vec<u8>,
    room: Arc<Room>,
    /// The stream counts as over when this is set.
    stop: Option<Arc<DealEnd>>,
}

/// How much memory blocks take: those that were handed over and are still needed.
#[derive(Debug)]
pub(crate) struct Room {
    file: OwnedFd,
    at_most: u64,
    used: Mutex<Used>,
    released: Condvar,
}

/// What of the file is in use.
#[derive(Debug, Default)]
struct Used {
    /// Bytes that were handed over and not released.
    bytes: u64,
    /// What is free: from where to where.
    free: Free,
}

/// Parts of the file that nothing needs any more, each from its first byte to the one behind its
/// last. Parts that touch are one.
#[derive(Debug, Default)]
struct Free(BTreeMap<u64, u64>);

/// Memory is given back in pages.
const PAGE: u64 = 4096;

impl Free {
    /// Adds a part. Returns the pages that have become free with it.
    fn add(&mut self, part: Extent) -> Extent {
        let (mut begin, mut end) = (part.at, part.end());
        if let Some((before, to)) = self.0.range(..=begin).next_back().map(|(at, to)| (*at, *to))
            && to >= begin
        {
            (begin, end) = (before, end.max(to));
        }
        while let Some((next, to)) = self.0.range(begin..=end).next().map(|(at, to)| (*at, *to)) {
            self.0.remove(&next);
            end = end.max(to);
        }
        self.0.insert(begin, end);
        let first = begin.next_multiple_of(PAGE).max(part.at / PAGE * PAGE);
        let last = (end / PAGE * PAGE).min(part.end().next_multiple_of(PAGE));
        Extent { at: first, len: last.saturating_sub(first) }
    }
}

impl Spool {
    /// Takes at most this number of bytes of memory, but for one block. Without a stream, what is
    /// appended is all.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn of(stream: Option<File>, at_most: u64) -> io::Result<Spool> {
        let file = File::from(memfd_create("msup-blocks", MemfdFlags::CLOEXEC)?);
        let room = Room {
            file: file.try_clone()?.into(),
            at_most,
            used: Mutex::default(),
            released: Condvar::new(),
        };
        let buffer = vec![0; if stream.is_some() { CHUNK } else { 0 }];
        Ok(Spool { file, stream, len: 0, buffer, room: Arc::new(room), stop: None })
    }

    /// The descriptor that workers inherit.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn inherited(&self) -> io::Result<OwnedFd> {
        super::inherited(&self.file)
    }

    pub(super) fn room(&self) -> Arc<Room> {
        Arc::clone(&self.room)
    }

    /// Reads no more when this is set.
    pub(super) fn stops_with(&mut self, stop: Arc<DealEnd>) {
        self.stop = Some(stop);
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Reads until there are as many bytes, or the stream is over. Returns how many there are.
    ///
    /// # Errors
    /// The stream cannot be read, or there is no memory.
    pub(super) fn reach(&mut self, to: u64) -> io::Result<u64> {
        while self.len < to && self.stream.is_some() {
            if self.waits_for_stream(None)? {
                self.read_some()?;
            }
        }
        Ok(self.len)
    }

    /// Reads until there are as many bytes, or the stream is over: then returns true. Returns false
    /// if they have not come by this time.
    ///
    /// # Errors
    /// As [`Spool::reach`].
    pub(super) fn reach_by(&mut self, to: u64, until: Instant) -> io::Result<bool> {
        while self.len < to && self.stream.is_some() {
            if !self.waits_for_stream(Some(until))? {
                return Ok(false);
            }
            self.read_some()?;
        }
        Ok(true)
    }

    /// Waits until the stream can be read, or is over. Returns false if that has not come by this
    /// time, if there is one. Where nothing else is waited for, reading does that.
    fn waits_for_stream(&mut self, until: Option<Instant>) -> io::Result<bool> {
        loop {
            let Some(stream) = &self.stream else { return Ok(true) };
            if until.is_none() && self.stop.is_none() {
                return Ok(true);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let timeout = left.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
            let mut fds = vec![PollFd::new(stream, PollFlags::IN)];
            fds.extend(
                self.stop.as_ref().map(|stop| PollFd::from_borrowed_fd(stop.bell(), PollFlags::IN)),
            );
            match poll(&mut fds, timeout.as_ref()) {
                Ok(0) => return Ok(false),
                Ok(_) if self.stop.as_ref().is_some_and(|stop| stop.is_set()) => {
                    drop(fds);
                    self.stream = None;
                }
                Ok(_) => return Ok(true),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Reads what the stream has, or notes that it is over.
    fn read_some(&mut self) -> io::Result<()> {
        self.room.wait_for_room();
        let Some(stream) = &mut self.stream else { return Ok(()) };
        match stream.read(&mut self.buffer) {
            Ok(0) => self.stream = None,
            Ok(read) => {
                self.file.write_all_at(&self.buffer[..read], self.len)?;
                self.len += read as u64;
            }
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
        Ok(())
    }

    /// Appends bytes. Returns where they stand.
    ///
    /// # Errors
    /// There is no memory.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<Extent> {
        self.room.wait_for_room();
        let part = Extent { at: self.len, len: bytes.len() as u64 };
        self.file.write_all_at(bytes, self.len)?;
        self.len = part.end();
        Ok(part)
    }

    /// Reads bytes that are there.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn read(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, at)
    }

    /// A command gets this part: it takes room until it is released.
    pub(super) fn hand_over(&self, part: Extent) {
        self.room.used().bytes += part.len;
    }

    /// No command gets this part.
    pub(super) fn free(&self, part: Extent) {
        self.room.used().free(&self.room.file, part);
    }
}

impl Room {
    /// No command needs the block of this value any more. The header before it stays.
    pub(crate) fn release(&self, value: &[u8]) {
        let block = extent::of_value(value).and_then(|parts| parts.last().copied());
        let Some(block) = block else { return };
        let mut used = self.used();
        used.bytes = used.bytes.saturating_sub(block.len);
        used.free(&self.file, block);
        drop(used);
        self.released.notify_all();
    }

    /// Waits until the blocks that were handed over leave room for more. One that is larger than
    /// all of it gets it when no other block is left.
    fn wait_for_room(&self) {
        let used = self.used();
        let is_full = |used: &mut Used| used.bytes >= self.at_most;
        drop(self.released.wait_while(used, is_full));
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Used {
    /// Nothing needs this part any more.
    fn free(&mut self, file: &OwnedFd, part: Extent) {
        let pages = self.free.add(part);
        if pages.len > 0 {
            let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            // If they cannot be given back, they stay until the run is over.
            let _ = fallocate(file, how, pages.at, pages.len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_free_when_all_of_their_parts_are() {
        let mut free = Free::default();
        let mut add = |at, end| {
            let pages = free.add(Extent { at, len: end - at });
            (pages.at / PAGE, pages.len / PAGE)
        };
        assert_eq!(add(0, 100).1, 0);
        assert_eq!(add(200, 4096).1, 0);
        assert_eq!(add(100, 200), (0, 1), "the last part of a page");
        assert_eq!(add(4096 * 3, 4096 * 6), (3, 3));
        assert_eq!(add(4096 + 5, 4096 * 3 - 5).1, 0);
        assert_eq!(add(4096, 4096 + 5), (1, 1));
        assert_eq!(add(4096 * 3 - 5, 4096 * 3), (2, 1));
        assert_eq!(free.0.into_iter().collect::<Vec<_>>(), [(0, 4096 * 6)]);
    }
}
