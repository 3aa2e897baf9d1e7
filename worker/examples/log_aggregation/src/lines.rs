//! The lines of a log, with a bound on the memory that one takes.

use std::io::{BufRead, Read};

use crate::error::BadLog;

/// The longest line that is read, in bytes, without its newline.
pub const LONGEST_LINE: usize = 1 << 20;

/// Calls `take` with the number (from 1) and the text of each line, without its newline.
///
/// # Errors
/// The first error of `take`, or of the input: it cannot be decompressed, or a line is too long or
/// not UTF-8.
pub(crate) fn each_line(
    mut input: impl BufRead,
    mut take: impl FnMut(u64, &str) -> Result<(), BadLog>,
) -> Result<(), BadLog> {
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        let mut bounded = input.by_ref().take(LONGEST_LINE as u64 + 1);
        let read = bounded.read_until(b'\n', &mut line);
        if read.map_err(|why| BadLog::Compression { after: number, why })? == 0 {
            return Ok(());
        }
        number += 1;
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() > LONGEST_LINE {
            return Err(BadLog::LongLine(number));
        }
        let text = std::str::from_utf8(&line).map_err(|_| BadLog::NotText(number))?;
        take(number, text)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8]) -> Result<Vec<(u64, usize)>, BadLog> {
        let mut found = Vec::new();
        each_line(input, |number, line| {
            found.push((number, line.len()));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn lines_are_counted_from_one_and_the_last_newline_may_be_missing() {
        assert_eq!(lines(b"").expect("no line"), []);
        assert_eq!(lines(b"abc\n\nd").expect("text"), [(1, 3), (2, 0), (3, 1)]);
    }

    #[test]
    fn the_longest_line_is_read_and_a_longer_one_is_refused() {
        let mut input = b"first\n".to_vec();
        input.resize(input.len() + LONGEST_LINE, b'x');
        assert_eq!(lines(&input).expect("long enough"), [(1, 5), (2, LONGEST_LINE)]);
        input.push(b'\n');
        assert_eq!(lines(&input).expect("long enough"), [(1, 5), (2, LONGEST_LINE)]);
        input.pop();
        input.push(b'x');
        assert!(matches!(lines(&input), Err(BadLog::LongLine(2))));
    }

    #[test]
    fn a_line_with_other_bytes_than_text_is_named() {
        assert!(matches!(lines(b"a\n\xff\n"), Err(BadLog::NotText(2))));
    }
}
