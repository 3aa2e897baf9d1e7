//! Where to cut: between two records, so that a block has about the size that was asked for, or the
//! number of records.

use std::io;
use std::time::{Duration, Instant};

use msup_protocol::codec::Extent;

use super::Bytes;
use super::boundary::Boundary;
use super::preamble::Preamble;

/// The number of bytes that are looked at at a time, for a place to cut at.
const LOOKED_AT: u64 = 64 << 10;

/// How an input is cut into blocks.
#[derive(Debug)]
pub(crate) struct Cutting {
    pub(crate) boundary: Boundary,
    /// The size of a block in bytes, at least 1. A block that would end within its first record is
    /// larger.
    pub(crate) block: u64,
    /// A block ends at the first boundary when it has its size, else at the last one before.
    pub(crate) rounds_up: bool,
    /// The number of records in a block, whatever its size.
    pub(crate) records: Option<u64>,
    /// The number of parts between boundaries that make up a record, at least 1.
    pub(crate) parts: u64,
    /// What stands before the blocks.
    pub(crate) preamble: Preamble,
    /// Blocks are written without what separates their records.
    pub(crate) removes: bool,
    /// A block that is not full after this time ends behind the last record that has come.
    pub(crate) waits: Option<Duration>,
}

/// What a search for the next boundary has found.
#[derive(Clone, Copy, Debug)]
enum Found {
    /// Where to cut, and where to go on.
    Boundary(u64, u64),
    /// There is none: the window reaches to the end.
    End,
    /// It has not come in time.
    Late,
}

/// What a look for more bytes has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum More {
    Bytes,
    End,
    /// They have not come in time.
    Late,
}

/// Cuts bytes into blocks.
#[derive(Debug)]
pub(super) struct Cutter<B> {
    pub(super) bytes: B,
    pub(super) cutting: Cutting,
    /// Where the next block begins.
    pub(super) at: u64,
    /// The length of the block before.
    last_len: u64,
    /// `None` before the first block.
    header: Option<Extent>,
    /// Bytes that were read to count records, and where they stand.
    pub(super) window: (u64, Vec<u8>),
    /// Until when the next block may become full.
    until: Option<Instant>,
}

impl<B: Bytes> Cutter<B> {
    pub(super) fn new(bytes: B, begin: u64, cutting: Cutting) -> Cutter<B> {
        let (header, window) = (None, (begin, Vec::new()));
        Cutter { bytes, cutting, at: begin, last_len: 0, header, window, until: None }
    }

    pub(super) fn bytes(&self) -> &B {
        &self.bytes
    }

    pub(super) fn bytes_mut(&mut self) -> &mut B {
        &mut self.bytes
    }

    /// What stands before each block.
    pub(super) fn header(&self) -> Extent {
        self.header.unwrap_or(Extent { at: 0, len: 0 })
    }

    /// Whether the next block can be had without waiting. Where records are counted, it is
    /// expected to be as long as the last one: more is not looked at before.
    pub(super) fn is_at_hand(&self) -> bool {
        let is_there = self.bytes.at_hand() >= self.at.saturating_add(self.cutting.block);
        let is_looked_at = || self.window_end() >= self.at.saturating_add(self.last_len);
        is_there && (!self.counts() || is_looked_at())
    }

    fn counts(&self) -> bool {
        self.cutting.records.is_some() || self.cutting.parts > 1
    }

    /// The next block; `None` at the end.
    ///
    /// # Errors
    /// The bytes cannot be read.
    pub(super) fn next(&mut self) -> io::Result<Option<Extent>> {
        if self.header.is_none() {
            self.header = Some(self.take_preamble()?);
        }
        self.wait_anew();
        let cut = if self.counts() { self.counted_cut()? } else { self.sized_cut()? };
        let block = Extent { at: self.at, len: cut - self.at };
        (self.at, self.last_len) = (cut, block.len);
        Ok((block.len > 0).then_some(block))
    }

    /// Time is given for a block to become full. One that has a number of records waits for them.
    fn wait_anew(&mut self) {
        let waits = self.cutting.waits.filter(|_| self.cutting.records.is_none());
        self.until = waits.map(|waits| Instant::now() + waits);
    }

    /// Where a block ends that is as large as it may be.
    fn sized_cut(&mut self) -> io::Result<u64> {
        let wanted = self.at.saturating_add(self.cutting.block);
        while let Some(until) = self.until
            && !self.bytes.reach_by(wanted, until)?
        {
            let end = self.bytes.at_hand();
            if end > self.at
                && let Some(cut) = self.last_cut(end)?
            {
                return Ok(cut);
            }
            // No record has come.
            self.wait_anew();
        }
        let end = self.bytes.reach(wanted)?;
        if end < wanted {
            return Ok(end);
        }
        match &self.cutting.boundary {
            Boundary::Anywhere => return Ok(wanted),
            _ if self.cutting.rounds_up => return self.first_cut(wanted),
            Boundary::Strings { .. } => {}
            // It is not known how long a boundary is: it is looked for in the whole block.
            Boundary::Matching { .. } => return self.matched_cut(wanted),
        }
        if let Some(cut) = self.last_cut(wanted)? {
            return Ok(cut);
        }
        // The first record is larger than a block.
        let overlap = self.cutting.boundary.overlap();
        self.first_cut(wanted.saturating_sub(overlap).max(self.at))
    }

    /// The last boundary before this place, up to which bytes are there.
    fn last_cut(&self, end: u64) -> io::Result<Option<u64>> {
        let looks_at = match self.cutting.boundary {
            Boundary::Strings { .. } => LOOKED_AT,
            Boundary::Anywhere | Boundary::Matching { .. } => u64::MAX,
        };
        let mut to = end;
        while to > self.at {
            let from = to.saturating_sub(looks_at).max(self.at);
            let looked_at = self.read(from, (to + self.cutting.boundary.overlap()).min(end))?;
            let cut = self.cutting.boundary.last(&looked_at).map(|cut| from + cut as u64);
            if let Some(cut) = cut.filter(|cut| *cut > self.at) {
                return Ok(Some(cut));
            }
            to = from;
        }
        Ok(None)
    }

    /// The first boundary from this place on, or the end.
    fn first_cut(&mut self, mut from: u64) -> io::Result<u64> {
        let overlap = self.cutting.boundary.overlap();
        let looks_at = overlap + LOOKED_AT;
        loop {
            let end = self.bytes.reach(from.saturating_add(looks_at))?;
            let to = end.min(from + looks_at);
            // With the byte before, if there is one.
            let begin = from.saturating_sub(1).max(self.at);
            let looked_at = self.read(begin, to)?;
            match self.cutting.boundary.first(&looked_at, (from - begin) as usize) {
                // Where a record begins with a string, the first one is no place to cut at.
                Some((cut, behind)) if begin + cut as u64 == self.at => {
                    from = begin + behind as u64;
                }
                Some((cut, _)) => return Ok(begin + cut as u64),
                None if to - from < looks_at => return Ok(end),
                None => from = to - overlap,
            }
        }
    }

    fn matched_cut(&mut self, wanted: u64) -> io::Result<u64> {
        let mut to = wanted;
        loop {
            let looked_at = self.read(self.at, to)?;
            if let Some(cut) = self.cutting.boundary.last(&looked_at) {
                return Ok(self.at + cut as u64);
            }
            let more = to.saturating_add(to - self.at);
            let end = self.bytes.reach(more)?;
            if end <= to {
                return Ok(end);
            }
            to = end.min(more);
        }
    }

    /// Where a block ends that has a number of records, or as many whole ones as fit.
    fn counted_cut(&mut self) -> io::Result<u64> {
        let wanted = self.at.saturating_add(self.cutting.block);
        let parts = self.cutting.parts;
        let last_part = self.cutting.records.map(|records| records.saturating_mul(parts));
        let (mut from, mut seen, mut whole) = (self.at, 0, None);
        loop {
            let (cut, behind) = match self.next_boundary(from)? {
                Found::Boundary(cut, behind) => (cut, behind),
                Found::End => {
                    let end = self.window_end();
                    // What is left is one more block if a whole one was found.
                    return Ok(whole.filter(|_| end > wanted).unwrap_or(end));
                }
                Found::Late => match whole {
                    Some(cut) => return Ok(cut),
                    None => {
                        self.wait_anew();
                        continue;
                    }
                },
            };
            from = behind;
            if cut == self.at {
                continue;
            }
            seen += 1;
            if seen == 1 && self.is_before_records()? {
                return Ok(cut);
            }
            match last_part {
                Some(last) if seen == last => return Ok(cut),
                Some(_) => {}
                None if cut > wanted && whole.is_some() => return Ok(whole.unwrap_or(cut)),
                None if seen % parts == 0 && cut > wanted => return Ok(cut),
                None if seen % parts == 0 => whole = Some(cut),
                None => {}
            }
        }
    }

    /// Whether the first block is what stands before the first record, where records are counted.
    fn is_before_records(&self) -> io::Result<bool> {
        if self.last_len > 0 || self.cutting.records.is_none() {
            return Ok(false);
        }
        let begin = usize::try_from(self.at - self.window.0).map_err(io::Error::other)?;
        Ok(!self.cutting.boundary.begins(&self.window.1[begin..]))
    }

    /// The first boundary from this place on.
    fn next_boundary(&mut self, mut from: u64) -> io::Result<Found> {
        loop {
            let begin = usize::try_from(from - self.window.0).map_err(io::Error::other)?;
            let end = self.window_end();
            let found = self.cutting.boundary.first(&self.window.1, begin);
            let place = |at: usize| self.window.0 + at as u64;
            let found = found.map(|(cut, behind)| (place(cut), place(behind)));
            let boundary = |(cut, behind)| Found::Boundary(cut, behind);
            // A match at the end of what was read may go on.
            let is_open = matches!(self.cutting.boundary, Boundary::Matching { .. });
            if let Some(found) = found.filter(|(_, behind)| !is_open || *behind < end) {
                return Ok(boundary(found));
            }
            let more = match is_open {
                true => self.widen_twofold(end + (end - from))?,
                false => {
                    from = end.saturating_sub(self.cutting.boundary.overlap()).max(from);
                    self.widen()?
                }
            };
            match more {
                More::Bytes => {}
                More::End => return Ok(found.map_or(Found::End, boundary)),
                More::Late => return Ok(Found::Late),
            }
        }
    }

    /// Reads more into the window, up to this place if that much is there: each search begins
    /// anew, and should look at twice as much as the one before.
    fn widen_twofold(&mut self, to: u64) -> io::Result<More> {
        let mut more = self.widen_to(to)?;
        while more == More::Bytes && self.window_end() < to {
            let next = self.window_end() + 1;
            if !self.bytes.reach_by(next, Instant::now())? || self.bytes.reach(next)? < next {
                break;
            }
            more = self.widen_to(to)?;
        }
        Ok(more)
    }

    fn window_end(&self) -> u64 {
        self.window.0 + self.window.1.len() as u64
    }

    /// Reads more into the window.
    pub(super) fn widen(&mut self) -> io::Result<More> {
        self.widen_to(0)
    }

    /// The same, up to this place if that is further away.
    fn widen_to(&mut self, to: u64) -> io::Result<More> {
        let (begin, window) = &mut self.window;
        let passed = usize::try_from(self.at - *begin).map_err(io::Error::other)?;
        window.drain(..passed.min(window.len()));
        *begin = self.at;
        let end = *begin + window.len() as u64;
        if let Some(until) = self.until
            && !self.bytes.reach_by(end + 1, until)?
        {
            return Ok(More::Late);
        }
        // What has arrived is looked at, even if it is little.
        let more = self.bytes.reach(end + 1)?.min(to.max(end + LOOKED_AT));
        let old = window.len();
        window.resize(old + (more - end) as usize, 0);
        self.bytes.read(end, &mut window[old..])?;
        Ok(if more > end { More::Bytes } else { More::End })
    }

    pub(super) fn read(&self, from: u64, to: u64) -> io::Result<Vec<u8>> {
        super::whole(&self.bytes, Extent { at: from, len: to - from })
    }
}
