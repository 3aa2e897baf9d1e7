//! What stands before the blocks: a line that is left out, and a header.

use std::io;

use msup_protocol::codec::Extent;

use super::Bytes;
use super::boundary::BlockHeader;
use super::cutting::{Cutter, More};

/// What stands before the blocks.
#[derive(Debug, Default)]
pub(crate) struct Preamble {
    /// The first line is in no block.
    pub(crate) skips_line: bool,
    /// What follows, and stands before each block.
    pub(crate) header: Option<BlockHeader>,
}

impl<B: Bytes> Cutter<B> {
    /// Passes over it. Returns where the header stands.
    ///
    /// # Errors
    /// The bytes cannot be read.
    pub(super) fn take_preamble(&mut self) -> io::Result<Extent> {
        if self.cutting.preamble.skips_line {
            self.at += self.len_of_lines(1)?.unwrap_or(self.window_len());
        }
        let len = match &self.cutting.preamble.header {
            None => 0,
            // Less than a whole header is none: it is data.
            Some(BlockHeader::Lines(lines)) => self.len_of_lines(*lines)?.unwrap_or(0),
            Some(BlockHeader::Matching(regexp)) => {
                let to = self.at.saturating_add(self.cutting.block);
                let to = self.bytes.reach(to)?.min(to);
                let beginning = self.read(self.at, to)?;
                let found = regexp.find(&beginning).filter(|found| found.start() == 0);
                found.map_or(0, |found| found.end() as u64)
            }
        };
        let header = Extent { at: self.at, len };
        self.at += len;
        Ok(header)
    }

    /// The number of bytes in this number of lines. `None` if there are fewer lines; then the
    /// window reaches to the end.
    fn len_of_lines(&mut self, lines: u64) -> io::Result<Option<u64>> {
        let mut len = 0;
        for _ in 0..lines {
            loop {
                let begin = usize::try_from(self.at - self.window.0).map_err(io::Error::other)?;
                let looked_at = self.window.1.get(begin + len..).unwrap_or_default();
                if let Some(newline) = memchr::memchr(b'\n', looked_at) {
                    len += newline + 1;
                    break;
                }
                if self.widen()? == More::End {
                    return Ok(None);
                }
            }
        }
        Ok(Some(len as u64))
    }

    /// The length of the window, which begins here.
    fn window_len(&self) -> u64 {
        self.window.1.len() as u64
    }
}
