//! What stands between two records, and before each block: strings or regular expressions.

use memchr::memmem;
use regex::bytes::Regex;

use crate::regexp::{self, BadRegexp, RegexpModes};

/// What stands between two records.
#[derive(Clone, Debug)]
pub(crate) enum Boundary {
    /// There are no records.
    Anywhere,
    /// A record ends with the first string, and the next one begins with the second one.
    Strings { end: Vec<u8>, start: Vec<u8> },
    /// The same with regular expressions.
    Matching { both: Regex, start: Regex, end: Regex },
}

/// The beginning of an input, which stands before each block.
#[derive(Debug)]
pub(crate) enum BlockHeader {
    /// This number of lines.
    Lines(u64),
    /// What this regular expression matches at the beginning.
    Matching(Regex),
}

impl BlockHeader {
    /// What this regular expression matches at the beginning of the input. As in GNU parallel, `.`
    /// matches no newline there.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn matching(typed: &str) -> Result<BlockHeader, BadRegexp> {
        regexp::of_perl(typed.as_bytes(), RegexpModes::default()).map(BlockHeader::Matching)
    }
}

/// How those of records are read, as in GNU parallel: where a file is cut into parts, `.` matches
/// every byte; elsewhere `^` and `$` match at each line.
fn modes(of_parts: bool) -> RegexpModes {
    RegexpModes { dot_is_any: of_parts, lines: !of_parts, ..RegexpModes::default() }
}

impl Boundary {
    /// Where records end with `end` and begin with `start`, one of which may be empty.
    pub(crate) fn of_strings(end: Vec<u8>, start: Vec<u8>) -> Boundary {
        match end.is_empty() && start.is_empty() {
            true => Boundary::Anywhere,
            false => Boundary::Strings { end, start },
        }
    }

    /// The same with regular expressions. `of_parts`: a file is cut into parts.
    ///
    /// # Errors
    /// One of them is none.
    pub(crate) fn matching(end: &str, start: &str, of_parts: bool) -> Result<Boundary, BadRegexp> {
        let modes = modes(of_parts);
        let (ends, starts) = (end.as_bytes(), start.as_bytes());
        let end = regexp::translated(ends, modes)?;
        let start = regexp::translated(starts, modes)?;
        if end.is_empty() && start.is_empty() {
            return Ok(Boundary::Anywhere);
        }
        let both = format!("((?:{end}))(?:{start})");
        Ok(Boundary::Matching {
            both: regexp::built(ends, &both, modes)?,
            start: regexp::built(starts, &format!(r"\A(?:{start})"), modes)?,
            end: regexp::built(ends, &format!(r"(?:{end})\z"), modes)?,
        })
    }

    /// The first boundary from this place on: the place to cut at, and where the search goes on.
    pub(super) fn first(&self, bytes: &[u8], from: usize) -> Option<(usize, usize)> {
        match self {
            // Each byte is a record.
            Boundary::Anywhere => (from < bytes.len()).then_some((from + 1, from + 1)),
            Boundary::Strings { end, start } => {
                let both = [&end[..], start].concat();
                let at = from + memmem::find(bytes.get(from..)?, &both)?;
                Some((at + end.len(), at + both.len()))
            }
            Boundary::Matching { both, .. } => {
                if from > bytes.len() {
                    return None;
                }
                // What stands before tells whether a line begins here.
                let found = both.captures_at(bytes, from)?;
                let (whole, end) = (found.get(0)?, found.get(1)?);
                // What matches nothing must not be found again and again, and not behind the end.
                let behind = whole.end() + usize::from(whole.is_empty());
                (behind <= bytes.len()).then_some((end.end(), behind))
            }
        }
    }

    /// Whether the first of these bytes begin a record. As in GNU parallel, only regular
    /// expressions tell that they do not.
    pub(super) fn begins(&self, bytes: &[u8]) -> bool {
        match self {
            Boundary::Anywhere | Boundary::Strings { .. } => true,
            Boundary::Matching { start, .. } => start.is_match(bytes),
        }
    }

    /// The last place to cut at behind the first byte.
    pub(super) fn last(&self, bytes: &[u8]) -> Option<usize> {
        let cut = match self {
            Boundary::Anywhere => Some(bytes.len()),
            Boundary::Strings { end, start } => {
                let both = [&end[..], start].concat();
                memmem::rfind(bytes, &both).map(|at| at + end.len())
            }
            Boundary::Matching { both, .. } => {
                let cuts = both.captures_iter(bytes).filter_map(|found| Some(found.get(1)?.end()));
                cuts.last()
            }
        };
        cut.filter(|cut| *cut > 0)
    }

    /// The number of bytes of a boundary that may stand before a place where the search goes on.
    pub(super) fn overlap(&self) -> u64 {
        match self {
            Boundary::Strings { end, start } => (end.len() + start.len()) as u64 - 1,
            Boundary::Anywhere | Boundary::Matching { .. } => 0,
        }
    }

    /// A block without what separates its records.
    pub(super) fn removed_from(&self, block: &[u8]) -> Vec<u8> {
        match self {
            Boundary::Anywhere => block.to_vec(),
            Boundary::Strings { end, start } => {
                let both = [&end[..], start].concat();
                let (mut bare, mut from) = (Vec::with_capacity(block.len()), 0);
                for at in memmem::find_iter(block, &both) {
                    bare.extend_from_slice(&block[from..at]);
                    from = at + both.len();
                }
                bare.extend_from_slice(&block[from..]);
                let bare = bare.strip_prefix(&start[..]).unwrap_or(&bare);
                bare.strip_suffix(&end[..]).unwrap_or(bare).to_vec()
            }
            Boundary::Matching { both, start, end } => {
                let bare = both.replace_all(block, &b""[..]);
                let bare = start.replace(&bare, &b""[..]);
                end.replace(&bare, &b""[..]).into_owned()
            }
        }
    }
}
