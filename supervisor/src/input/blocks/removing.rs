//! `--rrs`: blocks without what separates their records.

use std::io;

use msup_protocol::codec::Extent;

use super::boundary::Boundary;
use super::spool::Spool;
use super::{Bytes, whole};

/// Writes blocks anew.
#[derive(Debug)]
pub(super) struct Remover {
    written: Spool,
    boundary: Boundary,
    /// The header as it was written for the first block.
    header: Option<Extent>,
}

impl Remover {
    pub(super) fn new(written: Spool, boundary: Boundary) -> Remover {
        Remover { written, boundary, header: None }
    }

    /// The bytes of a part of what was written.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn bytes_of(&self, part: Extent) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(part.len).map_err(io::Error::other)?];
        self.written.read(part.at, &mut bytes)?;
        Ok(bytes)
    }

    /// Where a block stands without its separators, behind its header.
    pub(super) fn written(
        &mut self,
        bytes: &impl Bytes,
        header: Extent,
        block: Extent,
    ) -> io::Result<Vec<Extent>> {
        let header = match self.header {
            Some(header) => header,
            None => *self.header.insert(self.written.append(&whole(bytes, header)?)?),
        };
        let bare = self.boundary.removed_from(&whole(bytes, block)?);
        let block = self.written.append(&bare)?;
        self.written.hand_over(block);
        let parts = [header, block].into_iter().filter(|part| part.len > 0);
        Ok(parts.collect())
    }
}
