//! What stands between two records, and before each block: strings or regular expressions.

use memchr::memmem;
use regex::bytes::{Regex, RegexBuilder};

use crate::input::BadRegexp;

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
        built(typed, false).map(BlockHeader::Matching)
    }
}

/// A regular expression, where `.` matches every byte, and `^` and `$` match at each line, as in
/// `--recend` of GNU parallel.
///
/// # Errors
/// It is none.
fn regexp(typed: &str) -> Result<Regex, BadRegexp> {
    built(typed, true)
}

fn built(typed: &str, of_records: bool) -> Result<Regex, BadRegexp> {
    let mut builder = RegexBuilder::new(typed);
    let built =
        builder.dot_matches_new_line(of_records).multi_line(of_records).unicode(false).build();
    built.map_err(|why| BadRegexp::new(typed, &why))
}

impl Boundary {
    /// Where records end with `end` and begin with `start`, one of which may be empty.
    pub(crate) fn of_strings(end: Vec<u8>, start: Vec<u8>) -> Boundary {
        match end.is_empty() && start.is_empty() {
            true => Boundary::Anywhere,
            false => Boundary::Strings { end, start },
        }
    }

    /// The same with regular expressions.
    ///
    /// # Errors
    /// One of them is none.
    pub(crate) fn matching(end: &str, start: &str) -> Result<Boundary, BadRegexp> {
        // Errors are about what was typed.
        regexp(end).and(regexp(start))?;
        if end.is_empty() && start.is_empty() {
            return Ok(Boundary::Anywhere);
        }
        Ok(Boundary::Matching {
            both: regexp(&format!("((?:{end}))(?:{start})"))?,
            start: regexp(&format!(r"\A(?:{start})"))?,
            end: regexp(&format!(r"(?:{end})\z"))?,
        })
    }

    /// The first boundary from this place on: the place to cut at, and where the search goes on.
    pub(super) fn first(&self, bytes: &[u8], from: usize) -> Option<(usize, usize)> {
        match self {
            Boundary::Anywhere => None,
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
