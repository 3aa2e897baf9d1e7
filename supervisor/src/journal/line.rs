//! One line of the journal: a JSON object with its own number and checksum.
//!
//! ```text
//! {"n":7,"t":1795478552.077,"event":"end",...,"crc":"1c291ca3"}
//! ```
//!
//! The checksum is CRC-32 as in gzip and zlib, over the run's id and everything before `,"crc"`: a
//! line of another run is rejected. For `run` records, which contain the id, and in journals of
//! schema 1 it covers the line alone.

use super::Record;
use super::record::LARGEST;

/// `,"crc":"` + 8 digits + `"}`.
const TAIL: usize = 18;
const CRC: &[u8] = b",\"crc\":\"";

/// Since this schema lines are bound to their run.
const BOUND: u32 = 2;

/// The head of a line is no longer than this.
const HEAD: usize = 80;

/// What every line begins with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Head {
    /// Its number, from 1.
    pub(super) n: u64,
    /// When it was written, in seconds since 1970.
    pub(super) t: f64,
}

impl Head {
    /// Parses the head of a line as [`write`] writes it.
    fn of(line: &[u8]) -> Option<Head> {
        // The largest possible numbers have fewer digits than this.
        let start = std::str::from_utf8(line.get(..HEAD.min(line.len()))?);
        let start = start.or_else(|why| std::str::from_utf8(&line[..why.valid_up_to()])).ok()?;
        let (n, rest) = start.strip_prefix("{\"n\":")?.split_once(",\"t\":")?;
        let (t, _) = rest.split_once(',')?;
        Some(Head { n: n.parse().ok()?, t: t.parse().ok()? })
    }
}

/// The run that a journal belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seed {
    run: String,
    crc: u32,
    /// It began before lines were bound to their run.
    is_old: bool,
}

impl Seed {
    /// For the run with this id.
    pub(crate) fn new(run: &str) -> Seed {
        Seed { run: run.to_owned(), crc: crc32fast::hash(run.as_bytes()), is_old: false }
    }

    /// From a `run` record.
    pub(super) fn of(line: &[u8]) -> Option<Seed> {
        let body = intact(line, crc32fast::hash)?;
        debug_assert!(!body.is_empty());
        let Ok(Record::Run(run)) = serde_json::from_slice(line) else { return None };
        let is_old = run.schema < BOUND || run.generation > 1;
        Some(Seed { is_old, ..Seed::new(&run.run) })
    }

    /// Whether lines that are not bound to a run are accepted.
    pub(super) fn is_old(&self) -> bool {
        self.is_old
    }

    /// The checksum of bytes that belong to the run.
    pub(super) fn checksum(&self, bytes: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new_with_initial(self.crc);
        hasher.update(bytes);
        hasher.finalize()
    }
}

/// An intact line.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) head: Head,
    pub(super) record: Record,
    /// It is bound to the run.
    pub(super) is_bound: bool,
}

/// Appends a record as a line, with its newline.
pub(super) fn write(head: Head, record: &Record, seed: &Seed, out: &mut Vec<u8>) {
    use std::io::Write;
    let start = out.len();
    let Head { n, t } = head;
    // Neither writing into memory nor serializing these types can fail.
    let _ = write!(out, "{{\"n\":{n},\"t\":{t:.3},");
    let brace = out.len();
    let _ = serde_json::to_writer(&mut *out, record);
    out.remove(brace);
    out.pop();
    let crc = match record {
        Record::Run(_) => crc32fast::hash(&out[start..]),
        _ => seed.checksum(&out[start..]),
    };
    out.extend_from_slice(CRC);
    let _ = writeln!(out, "{crc:08x}\"}}");
}

/// Reads a line without its newline; `None` when it is damaged, or belongs to another run.
pub(super) fn read(line: &[u8], seed: &Seed) -> Option<Line> {
    let is_bound = intact(line, |bytes| seed.checksum(bytes)).is_some();
    if !is_bound {
        intact(line, crc32fast::hash)?;
    }
    // The checksum is right: an unreadable record is of another version.
    let head = Head::of(line)?;
    let record = serde_json::from_slice(line).unwrap_or(Record::Unknown);
    let is_sane = head.n <= LARGEST && record.is_sane();
    let is_ours = match &record {
        Record::Run(run) => run.run == seed.run,
        _ => true,
    };
    (is_sane && is_ours).then_some(Line { head, record, is_bound })
}

/// The part before the checksum, if that is right.
fn intact(line: &[u8], checksum: impl Fn(&[u8]) -> u32) -> Option<&[u8]> {
    let (body, tail) = line.split_at_checked(line.len().checked_sub(TAIL)?)?;
    let digits = tail.strip_prefix(CRC)?.strip_suffix(b"\"}")?;
    let crc = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    (crc == checksum(body)).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Vec<u8> {
        let mut out = b"before".to_vec();
        let record = Record::InputsEnd { total: 12 };
        write(Head { n: 7, t: 1.5 }, &record, &Seed::new("1-2"), &mut out);
        out.split_off(6)
    }

    #[test]
    fn what_is_written_is_read() {
        let line = line();
        assert!(line.starts_with(br#"{"n":7,"t":1.500,"event":"inputs-end","total":12,"crc":""#));
        let line = line.strip_suffix(b"\n").expect("a line");
        let Line { head, record, is_bound } = read(line, &Seed::new("1-2")).expect("whole");
        assert_eq!((head, is_bound), (Head { n: 7, t: 1.5 }, true));
        assert!(matches!(record, Record::InputsEnd { total: 12 }));
        assert!(read(line, &Seed::new("1-3")).is_none(), "it belongs to another run");
    }

    #[test]
    fn the_checksum_is_that_of_zlib() {
        // python3 -c 'import zlib; print(hex(zlib.crc32(b"{\"n\":1,\"t\":0.000,...")))' gives the
        // same.
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
        assert_eq!(Seed::new("1234").checksum(b"56789"), 0xcbf4_3926);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let (line, seed) = (line(), Seed::new("1-2"));
        let line = line.strip_suffix(b"\n").expect("a line");
        for at in 0..line.len() {
            for bit in 0..8 {
                let mut damaged = line.to_vec();
                damaged[at] ^= 1 << bit;
                // A digit of the checksum may be uppercase.
                if damaged.eq_ignore_ascii_case(line) {
                    continue;
                }
                assert!(read(&damaged, &seed).is_none(), "byte {at}, bit {bit}");
            }
            assert!(read(&line[..at], &seed).is_none(), "cut at {at}");
        }
    }
}
