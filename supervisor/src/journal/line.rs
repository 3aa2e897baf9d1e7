//! One line of the journal: a JSON object that numbers itself and carries its own checksum.
//!
//! ```text
//! {"n":7,"t":1795478552.077,"event":"end",...,"crc":"1c291ca3"}
//! ```
//!
//! The checksum is CRC-32 as in gzip and zlib, over everything before `,"crc"`.

use serde::Deserialize;

use super::Record;

/// `,"crc":"` + 8 digits + `"}`.
const TAIL: usize = 18;
const CRC: &[u8] = b",\"crc\":\"";

/// What stands at the beginning of every line.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
pub(super) struct Head {
    /// Its number, from 1.
    pub(super) n: u64,
    /// When it was written, in seconds since 1970.
    pub(super) t: f64,
}

/// Appends a record as a line, its newline included.
pub(super) fn write(head: Head, record: &Record, out: &mut Vec<u8>) {
    use std::io::Write;
    let start = out.len();
    let Head { n, t } = head;
    // Neither writing into memory nor serialising these types can fail.
    let _ = write!(out, "{{\"n\":{n},\"t\":{t:.3},");
    let brace = out.len();
    let _ = serde_json::to_writer(&mut *out, record);
    out.remove(brace);
    out.pop();
    let crc = crc32fast::hash(&out[start..]);
    out.extend_from_slice(CRC);
    let _ = writeln!(out, "{crc:08x}\"}}");
}

/// Reads a line without its newline; `None` when it is not whole.
pub(super) fn read(line: &[u8]) -> Option<(Head, Record)> {
    let body = intact(line)?;
    // The checksum is right: what cannot be read then is of another version.
    let head = serde_json::from_slice(line).ok()?;
    let record = serde_json::from_slice(line).unwrap_or(Record::Unknown);
    debug_assert!(!body.is_empty());
    Some((head, record))
}

/// What stands before the checksum, if that is right.
fn intact(line: &[u8]) -> Option<&[u8]> {
    let (body, tail) = line.split_at_checked(line.len().checked_sub(TAIL)?)?;
    let digits = tail.strip_prefix(CRC)?.strip_suffix(b"\"}")?;
    let crc = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    (crc == crc32fast::hash(body)).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Vec<u8> {
        let mut out = b"before".to_vec();
        write(Head { n: 7, t: 1.5 }, &Record::InputsEnd { total: 12 }, &mut out);
        out.split_off(6)
    }

    #[test]
    fn what_is_written_is_read() {
        let line = line();
        assert!(line.starts_with(br#"{"n":7,"t":1.500,"event":"inputs-end","total":12,"crc":""#));
        let (head, record) = read(line.strip_suffix(b"\n").expect("a line")).expect("whole");
        assert_eq!(head, Head { n: 7, t: 1.5 });
        assert!(matches!(record, Record::InputsEnd { total: 12 }));
    }

    #[test]
    fn the_checksum_is_that_of_zlib() {
        // python3 -c 'import zlib; print(hex(zlib.crc32(b"{\"n\":1,\"t\":0.000,...")))' says the same.
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let line = line();
        let line = line.strip_suffix(b"\n").expect("a line");
        for at in 0..line.len() {
            for bit in 0..8 {
                let mut damaged = line.to_vec();
                damaged[at] ^= 1 << bit;
                // A digit of the checksum may be written in capitals.
                if damaged.eq_ignore_ascii_case(line) {
                    continue;
                }
                assert!(read(&damaged).is_none(), "byte {at}, bit {bit}");
            }
            assert!(read(&line[..at]).is_none(), "cut at {at}");
        }
    }
}
