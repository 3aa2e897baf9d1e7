//! Values that cannot be read again and are kept in the run's folder: checks which of them are
//! intact.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::line::Seed;
use super::record::Batch;

/// The number of bytes read at once.
const BLOCK: usize = 1 << 20;

/// A part of the kept values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// From `at` on, `bytes` bytes of whole values.
    Values { at: u64, bytes: u64 },
    /// This number of values is missing or damaged.
    Missing(u64),
}

/// All parts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct KeptInput {
    pub(crate) parts: Vec<Part>,
    /// The number of values, and the number of missing ones.
    pub(crate) values: u64,
    pub(crate) missing: u64,
}

impl KeptInput {
    /// Checks the file against what the journal says was kept: `parts`, if it records them, and
    /// `total` values if all were read.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn check(
        file: &File,
        parts: &[Batch],
        total: Option<u64>,
        seed: &Seed,
    ) -> io::Result<KeptInput> {
        let mut input = KeptInput::default();
        let (mut next, mut end) = (1, 0);
        for kept in parts {
            if kept.at < end || kept.first < next {
                // msup cannot have written that.
                continue;
            }
            // Where the record of a part is missing, the part cannot be verified.
            input.miss(kept.first - next);
            if sum(file, kept, seed)? == Some(kept.sum) {
                input.add(kept.at, kept.bytes, kept.values);
            } else {
                input.miss(kept.values);
            }
            (next, end) = (kept.first + kept.values, kept.at + kept.bytes);
        }
        match total.filter(|_| !parts.is_empty()) {
            Some(total) => input.miss((total + 1).saturating_sub(next)),
            // The values written last, before they could be journaled, and those of releases that
            // journaled no parts. A value without its NUL byte was never run.
            None => {
                let (values, whole) = whole_values(file, end)?;
                input.add(end, whole, values);
            }
        }
        Ok(input)
    }

    fn add(&mut self, at: u64, bytes: u64, values: u64) {
        self.values += values;
        match self.parts.last_mut() {
            Some(Part::Values { at: before, bytes: len }) if *before + *len == at => *len += bytes,
            _ if bytes > 0 => self.parts.push(Part::Values { at, bytes }),
            _ => {}
        }
    }

    fn miss(&mut self, values: u64) {
        self.missing += values;
        match self.parts.last_mut() {
            Some(Part::Missing(before)) => *before += values,
            _ if values > 0 => self.parts.push(Part::Missing(values)),
            _ => {}
        }
    }
}

/// The checksum of a part, if the file is long enough.
fn sum(file: &File, kept: &Batch, seed: &Seed) -> io::Result<Option<u32>> {
    let end = kept.at + kept.bytes;
    if file.metadata()?.len() < end {
        return Ok(None);
    }
    let mut bytes = vec![0; kept.bytes as usize];
    file.read_exact_at(&mut bytes, kept.at)?;
    Ok(Some(seed.checksum(&bytes)))
}

/// The number of values with their NUL byte from here on, and the number of their bytes.
fn whole_values(file: &File, from: u64) -> io::Result<(u64, u64)> {
    let (mut values, mut whole, mut at) = (0, from, from);
    let mut block = vec![0; BLOCK];
    loop {
        let len = file.read_at(&mut block, at)?;
        if len == 0 {
            return Ok((values, whole - from));
        }
        let block = &block[..len];
        values += block.iter().filter(|byte| **byte == 0).count() as u64;
        if let Some(last) = block.iter().rposition(|byte| *byte == 0) {
            whole = at + last as u64 + 1;
        }
        at += len as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> File {
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(content, 0).expect("writable");
        file
    }

    fn seed() -> Seed {
        Seed::new("1-2")
    }

    fn kept(first: u64, values: u64, at: u64, content: &[u8]) -> Batch {
        let sum = seed().checksum(content);
        Batch { first, values, at, bytes: content.len() as u64, sum }
    }

    #[test]
    fn a_torn_value_is_not_read() {
        let long = [vec![b'x'; 2_000_000], vec![0], vec![b'y'; 1_100_000]].concat();
        for (content, bytes, values) in [
            (&b""[..], 0, 0),
            (b"a", 0, 0),
            (b"a\0", 2, 1),
            (b"a\0\0bc", 3, 2),
            (&long, 2_000_001, 1),
        ] {
            let input = KeptInput::check(&file(content), &[], Some(7), &seed()).expect("readable");
            let parts = if bytes > 0 { vec![Part::Values { at: 0, bytes }] } else { vec![] };
            assert_eq!(input, KeptInput { parts, values, missing: 0 });
        }
    }

    #[test]
    fn what_is_damaged_is_missing_and_nothing_else_is() {
        let content = b"a\0b\0cc\0d\0";
        let parts = [kept(1, 2, 0, b"a\0b\0"), kept(3, 1, 4, b"cc\0"), kept(4, 1, 7, b"d\0")];
        let check = |content: &[u8], parts: &[Batch], total| {
            KeptInput::check(&file(content), parts, total, &seed()).expect("readable")
        };
        let all =
            KeptInput { parts: vec![Part::Values { at: 0, bytes: 9 }], values: 4, missing: 0 };
        assert_eq!(check(content, &parts, Some(4)), all);
        for (at, values) in [(0, 2), (1, 2), (4, 1), (6, 1)] {
            let mut damaged = *content;
            damaged[at] ^= 1;
            let input = check(&damaged, &parts, Some(4));
            assert_eq!((input.values, input.missing), (4 - values, values), "byte {at}");
        }
        let without = check(content, &[parts[0].clone(), parts[2].clone()], Some(4));
        let expected =
            [Part::Values { at: 0, bytes: 4 }, Part::Missing(1), Part::Values { at: 7, bytes: 2 }];
        assert_eq!(without.parts, expected, "the line about a part is missing");
        let cut = check(&content[..8], &parts, Some(4));
        assert_eq!((cut.values, cut.missing), (3, 1));
        let last = check(content, &parts[..2], Some(4));
        assert_eq!((last.values, last.missing), (3, 1), "nothing vouches for the last value");
    }

    #[test]
    fn what_was_written_last_is_read_if_more_was_to_come() {
        let parts = [kept(1, 1, 0, b"a\0")];
        let input = KeptInput::check(&file(b"a\0b\0c"), &parts, None, &seed()).expect("readable");
        let parts = vec![Part::Values { at: 0, bytes: 4 }];
        assert_eq!(input, KeptInput { parts, values: 2, missing: 0 });
    }
}
