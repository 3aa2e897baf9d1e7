//! `--pipe`: the input is cut into blocks, each of which becomes the standard input of a command.
//!
//! Blocks do not pass through this process as values. A value only says where a block stands in
//! the file of blocks, which workers inherit: the input itself, if that is a file, else a file in
//! memory (`spool.rs`). `cutting.rs` finds the places to cut at.

mod boundary;
mod cutting;
mod dealing;
mod preamble;
mod removing;
mod spool;
mod stop;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use msup_protocol::codec::Extent;
use msup_protocol::extent;

use super::{GROUP, Group, Out};
pub(crate) use boundary::{BlockHeader, Boundary};
use cutting::Cutter;
pub(crate) use cutting::Cutting;
pub(crate) use dealing::Deal;
pub(crate) use preamble::Preamble;
use removing::Remover;
pub(crate) use spool::Room;
use spool::Spool;
pub(crate) use stop::DealEnd;

/// Where many blocks can be had at once, the first of them are handed over after this time.
const HELD: Duration = Duration::from_millis(5);

/// An input that is cut into blocks.
#[derive(Debug)]
pub(crate) struct Blocks {
    cutter: Cutter<Input>,
    /// Blocks are written anew, without what separates their records.
    remover: Option<Remover>,
    name: String,
    /// A number of commands get all blocks between them.
    deal: Option<Deal>,
}

/// Where the bytes stand.
#[derive(Debug)]
enum Input {
    /// In a file: up to this place.
    File(File, u64),
    /// In memory, as far as they were read.
    Spool(Spool),
}

/// Bytes that blocks are cut from.
trait Bytes {
    /// Makes the bytes before this place available, if there are as many. Returns how many are.
    fn reach(&mut self, to: u64) -> io::Result<u64>;

    /// Makes as many available until this time. Returns whether that is done, or there are no more.
    fn reach_by(&mut self, to: u64, until: Instant) -> io::Result<bool>;

    /// The number of bytes that are available without reading.
    fn at_hand(&self) -> u64;

    /// Reads available bytes.
    fn read(&self, at: u64, buffer: &mut [u8]) -> io::Result<()>;
}

impl Bytes for Input {
    fn reach(&mut self, to: u64) -> io::Result<u64> {
        match self {
            Input::File(_, end) => Ok(*end),
            Input::Spool(spool) => spool.reach(to),
        }
    }

    fn reach_by(&mut self, to: u64, until: Instant) -> io::Result<bool> {
        match self {
            Input::File(..) => Ok(true),
            Input::Spool(spool) => spool.reach_by(to, until),
        }
    }

    fn at_hand(&self) -> u64 {
        match self {
            Input::File(_, end) => *end,
            Input::Spool(spool) => spool.len(),
        }
    }

    fn read(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self {
            Input::File(file, _) => file.read_exact_at(buffer, at),
            Input::Spool(spool) => spool.read(at, buffer),
        }
    }
}

impl Blocks {
    /// Of a file, from its present position on. Also returns the file that workers inherit, and, if
    /// blocks are in memory, the room that they take there: at most this number of bytes.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn of_file(
        mut file: File,
        name: String,
        cutting: Cutting,
        at_most: u64,
    ) -> io::Result<(Blocks, OwnedFd, Option<Arc<Room>>)> {
        let begin = io::Seek::stream_position(&mut file)?;
        let end = io::Seek::seek(&mut file, io::SeekFrom::End(0))?.max(begin);
        let inherited = inherited(&file)?;
        let input = Input::File(file, end);
        Blocks::of(input, begin, name, cutting, (inherited, None), at_most)
    }

    /// Of a pipe or another stream.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn of_stream(
        stream: File,
        name: String,
        cutting: Cutting,
        at_most: u64,
    ) -> io::Result<(Blocks, OwnedFd, Option<Arc<Room>>)> {
        let spool = Spool::of(Some(stream), at_most)?;
        let shared = (spool.inherited()?, Some(spool.room()));
        Blocks::of(Input::Spool(spool), 0, name, cutting, shared, at_most)
    }

    fn of(
        input: Input,
        begin: u64,
        name: String,
        cutting: Cutting,
        (mut inherited, mut room): (OwnedFd, Option<Arc<Room>>),
        at_most: u64,
    ) -> io::Result<(Blocks, OwnedFd, Option<Arc<Room>>)> {
        let mut remover = None;
        if cutting.removes {
            let written = Spool::of(None, at_most)?;
            (inherited, room) = (written.inherited()?, Some(written.room()));
            remover = Some(Remover::new(written, cutting.boundary.clone()));
        }
        let cutter = Cutter::new(input, begin, cutting);
        Ok((Blocks { cutter, remover, name, deal: None }, inherited, room))
    }

    /// Whether the input is a stream: it cannot be read a second time.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self.cutter.bytes(), Input::Spool(_))
    }

    /// Has them dealt instead of giving each to a command of its own.
    pub(crate) fn deal(&mut self, deal: Deal) {
        if let Input::Spool(spool) = self.cutter.bytes_mut() {
            spool.stops_with(Arc::clone(&deal.stop));
        }
        self.deal = Some(deal);
    }

    /// Hands over all blocks. Returns whether that went well, and they are wanted.
    pub(super) fn hand_over(mut self, out: &Out) -> bool {
        if let Some(deal) = self.deal.take() {
            return deal.hand_over(self, out);
        }
        let (mut values, mut since) = (Vec::new(), Instant::now());
        loop {
            // What is there is not kept waiting for what must be read, or looked at for long.
            let is_due = values.len() >= GROUP
                || !self.cutter.is_at_hand()
                || !values.is_empty() && since.elapsed() >= HELD;
            if is_due && !values.is_empty() && !out.send(Group::Values(std::mem::take(&mut values)))
            {
                return false;
            }
            if values.is_empty() {
                since = Instant::now();
            }
            match self.next() {
                Ok(Some(value)) => values.push(value),
                Ok(None) => return values.is_empty() || out.send(Group::Values(values)),
                Err(why) => {
                    out.send(Group::Values(values));
                    out.send(Group::Failed(format!("{}: {why}", self.name)));
                    return false;
                }
            }
        }
    }

    /// The value of the next block; `None` at the end.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(block) = self.cutter.next()? else { return Ok(None) };
        let header = self.cutter.header();
        let parts = match &mut self.remover {
            None => [header, block].into_iter().filter(|part| part.len > 0).collect(),
            Some(remover) => remover.written(self.cutter.bytes(), header, block)?,
        };
        if let Input::Spool(spool) = self.cutter.bytes() {
            match self.remover {
                None => spool.hand_over(block),
                Some(_) => spool.free(block),
            }
        }
        Ok(Some(extent::to_value(&parts)))
    }
}

/// A descriptor of the same file that stays open in workers.
fn inherited(file: &File) -> io::Result<OwnedFd> {
    Ok(rustix::io::dup(file)?)
}

/// All bytes of this part.
fn whole(bytes: &impl Bytes, part: Extent) -> io::Result<Vec<u8>> {
    let len = usize::try_from(part.len).map_err(io::Error::other)?;
    let mut buffer = vec![0; len];
    bytes.read(part.at, &mut buffer)?;
    Ok(buffer)
}
