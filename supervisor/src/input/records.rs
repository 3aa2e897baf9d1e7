//! Splits a file or a pipe into values.

use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use msup_protocol::codec::VALUE_AT_MOST;

use super::{Format, Group, Out, csv};

/// The number of bytes that are read at once.
const BLOCK: usize = 64 << 10;

/// The byte order marks of UTF-8 and UTF-16.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const UTF_16: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// The values of one file or pipe.
pub(super) struct Records {
    input: BufReader<Box<dyn Read>>,
    name: String,
    format: Rc<Format>,
    /// The number of the last value, from 1.
    number: u64,
    /// Hints are wanted, and none was given.
    hints: bool,
    out: Rc<Out>,
}

impl Records {
    /// `name`: what errors call it.
    pub(super) fn new(
        input: Box<dyn Read>,
        name: String,
        format: &Rc<Format>,
        out: &Rc<Out>,
    ) -> Records {
        let hints = format.hints && format.separator == b"\n";
        let (format, out) = (Rc::clone(format), Rc::clone(out));
        let input = BufReader::with_capacity(BLOCK, input);
        Records { input, name, format, number: 0, hints, out }
    }

    /// Whether the next value, or the end, can be had without waiting.
    pub(super) fn is_at_hand(&self) -> bool {
        let last = self.format.separator.last();
        last.is_some_and(|last| self.input.buffer().contains(last))
    }

    /// The next value; `None` at the end.
    ///
    /// # Errors
    /// One line: why and where it cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        loop {
            let read = record(&mut self.input, &self.format);
            let Some(mut value) = read.map_err(|why| format!("{}: {why}", self.name))? else {
                return Ok(None);
            };
            self.number += 1;
            if self.format.crlf {
                strip(&mut value, self.number);
            } else if self.hints
                && let Some(hint) = hint(&value, self.number)
            {
                self.hints = false;
                // If nothing is taken any more, the next value is not either.
                self.out.send(Group::Hint(format!("{}: {hint}", self.name)));
            }
            if let Some(why) = refuse(&value, self.number, &self.format) {
                return Err(format!("{}, value {}: {why}", self.name, self.number));
            }
            if !self.format.commands || !value.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(value));
            }
        }
    }
}

/// Removes what other systems add to a line.
fn strip(value: &mut Vec<u8>, number: u64) {
    if value.last() == Some(&b'\r') {
        value.pop();
    }
    if number == 1 && value.starts_with(BYTE_ORDER_MARK) {
        value.drain(..BYTE_ORDER_MARK.len());
    }
}

/// A hint about what other systems have added to this line.
fn hint(value: &[u8], number: u64) -> Option<String> {
    let crlf = value.ends_with(b"\r").then_some("the list has CRLF line ends: values end with \\r");
    let mark = number == 1 && value.starts_with(BYTE_ORDER_MARK);
    let mark =
        mark.then_some("the list begins with a byte order mark, which is part of the first value");
    let found = mark.into_iter().chain(crlf).collect::<Vec<_>>().join("; ");
    (!found.is_empty()).then(|| format!("{found} (--crlf removes that)"))
}

fn refuse(value: &[u8], number: u64, format: &Format) -> Option<String> {
    if value.len() > VALUE_AT_MOST {
        return Some(format!("longer than {} MiB (is the separator right?)", VALUE_AT_MOST >> 20));
    }
    if format.separator == b"\0" || !value.contains(&0) {
        return None;
    }
    let utf_16 = number == 1 && UTF_16.iter().any(|mark| value.starts_with(mark));
    Some(match utf_16 {
        true => "the list is UTF-16: convert it first (iconv -f UTF-16 -t UTF-8)".into(),
        false => "it holds a NUL byte (use -0 for NUL-separated values)".into(),
    })
}

/// Takes the first value from a file or pipe, and nothing behind it.
///
/// # Errors
/// It cannot be read.
pub(super) fn take_first(input: impl Read, format: &Format) -> io::Result<Option<Vec<u8>>> {
    // A buffer of one byte holds nothing that the next reader misses.
    record(&mut BufReader::with_capacity(1, input), format)
}

/// The next value; with `--csv` it may hold separators between quotes.
fn record(input: &mut impl BufRead, format: &Format) -> io::Result<Option<Vec<u8>>> {
    let Some(mut value) = next(input, &format.separator)? else { return Ok(None) };
    while format.csv && csv::is_open(&value) && value.len() <= VALUE_AT_MOST {
        let Some(more) = next(input, &format.separator)? else {
            return Err(io::Error::other("a quote (\") is open at the end (--csv)"));
        };
        value.extend_from_slice(&format.separator);
        value.extend(more);
    }
    Ok(Some(value))
}

/// The next value without its separator; `None` at the end. Reads hardly more than the longest
/// value allowed.
fn next(input: &mut impl BufRead, separator: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let Some(last) = separator.last() else { return Err(io::ErrorKind::InvalidInput.into()) };
    let mut value = Vec::new();
    let limit = VALUE_AT_MOST + separator.len() + 1;
    while value.len() < limit {
        let room = (limit - value.len()) as u64;
        let read = input.by_ref().take(room).read_until(*last, &mut value)?;
        if value.ends_with(separator) {
            value.truncate(value.len() - separator.len());
            return Ok(Some(value));
        }
        if read == 0 {
            return Ok((!value.is_empty()).then_some(value));
        }
    }
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::tests::{lines, out};

    fn read_all(bytes: &'static [u8], format: Format) -> (Vec<Vec<u8>>, Option<String>) {
        let (out, receiver) = out();
        let mut records = Records::new(Box::new(bytes), "test".into(), &Rc::new(format), &out);
        let mut values = Vec::new();
        let said = loop {
            match records.next() {
                Ok(Some(value)) => values.push(value),
                Ok(None) => break None,
                Err(why) => break Some(why),
            }
        };
        let hint = receiver.try_iter().find_map(|group| match group {
            Group::Hint(text) => Some(text),
            _ => None,
        });
        (values, said.or(hint))
    }

    #[test]
    fn values_are_split_and_kept_byte_for_byte() {
        let (values, failed) = read_all(b"a b\n\n-x\xff\nlast", lines());
        assert_eq!(values, [&b"a b"[..], b"", b"-x\xff", b"last"]);
        assert_eq!(failed, None);
        let separated_by = |separator: &[u8]| Format { separator: separator.into(), ..lines() };
        assert_eq!(read_all(b"a\nb\0c\0", separated_by(b"\0")).0, [&b"a\nb"[..], b"c"]);
        assert_eq!(read_all(b"", lines()).0, Vec::<Vec<u8>>::new());
        let values = read_all(b"a-b---c--d-", separated_by(b"--")).0;
        assert_eq!(values, [&b"a-b"[..], b"-c", b"d-"]);
    }

    #[test]
    fn blank_command_lines_are_passed_over() {
        let commands = Format { commands: true, ..lines() };
        assert_eq!(read_all(b"a\n  \n\nb\n", commands).0, [b"a", b"b"]);
    }

    #[test]
    fn what_other_systems_add_is_told_or_stripped() {
        let list = b"\xef\xbb\xbfa\r\nb\r\n\r\nc\rd";
        let (values, said) = read_all(list, lines());
        assert_eq!(values, [&b"\xef\xbb\xbfa\r"[..], b"b\r", b"\r", b"c\rd"]);
        let said = said.expect("a hint");
        assert!(said.contains("CRLF") && said.contains("byte order mark"), "{said}");
        let (values, said) = read_all(list, Format { crlf: true, ..lines() });
        assert_eq!(
            (values, said),
            (vec![b"a".to_vec(), b"b".to_vec(), vec![], b"c\rd".to_vec()], None)
        );
        for quiet in [Format { hints: false, ..lines() }, Format { separator: vec![0], ..lines() }]
        {
            assert_eq!(read_all(b"a\r", quiet), (vec![b"a\r".to_vec()], None));
        }
        let (values, said) = read_all(b"\xff\xfea\0\n\0", lines());
        assert!(values.is_empty() && said.is_some_and(|said| said.contains("iconv")));
    }

    #[test]
    fn a_record_goes_on_while_a_quote_is_open() {
        let csv = || Format { csv: true, ..lines() };
        let (values, failed) = read_all(b"a,\"b\nc\"\nd\n", csv());
        assert_eq!((values, failed), (vec![b"a,\"b\nc\"".to_vec(), b"d".to_vec()], None));
        let (values, failed) = read_all(b"a\n\"b\nc\n", csv());
        assert_eq!(values, [b"a"]);
        assert!(failed.expect("refused").contains("a quote (\") is open at the end"));
    }

    #[test]
    fn the_first_value_is_taken_alone() {
        let mut input = &b"a b\nc\nd"[..];
        let first = take_first(&mut input, &lines()).expect("readable");
        assert_eq!((first.as_deref(), input), (Some(&b"a b"[..]), &b"c\nd"[..]));
        assert_eq!(take_first(&b""[..], &lines()).expect("readable"), None);
    }

    #[test]
    fn a_nul_in_a_line_names_the_line() {
        let (values, failed) = read_all(b"a\nb\0c\nd\n", lines());
        assert_eq!(values, [b"a"]);
        assert!(failed.expect("refused").starts_with("test, value 2: it holds a NUL byte"));
    }
}
