//! Makes values, causes and messages safe to show: on one line, without anything that a terminal
//! would obey, and not too long. All text that msup shows but did not choose itself passes through
//! here.

use std::fmt::Write;
use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

use crate::arguments;

/// Characters of a value.
const VALUE: usize = 120;
/// Characters of a cause, or of a line that a command printed.
const CAUSE: usize = 200;
/// Characters of a message, which may hold several paths.
const MESSAGE: usize = 4000;

/// What the standard library adds to the words for a system error, before its number.
const OS_ERROR: &str = " (os error ";

/// A value: one line, `VALUE` characters at most, blanks between its arguments.
pub(crate) fn value(bytes: &[u8]) -> String {
    line(&arguments::shown(bytes), VALUE)
}

/// A cause, or a line that a command printed: one line, `CAUSE` characters at most.
pub(crate) fn cause(text: impl AsRef<[u8]>) -> String {
    line(text.as_ref(), CAUSE)
}

/// A message: one line, `MESSAGE` characters at most, without the numbers of system errors.
pub(crate) fn message(text: impl AsRef<[u8]>) -> String {
    without_numbers(line(text.as_ref(), MESSAGE))
}

/// Why a task has failed: like a cause, without the numbers of system errors.
pub(crate) fn failure(text: impl AsRef<[u8]>) -> String {
    without_numbers(cause(text))
}

/// The text without ` (os error N)`: the words before it say the same.
fn without_numbers(mut text: String) -> String {
    while let Some(at) = text.find(OS_ERROR) {
        let rest = text[at + OS_ERROR.len()..].trim_start_matches(|c: char| c.is_ascii_digit());
        let Some(rest) = rest.strip_prefix(')') else { break };
        text = [&text[..at], rest].concat();
    }
    text
}

/// JSON that a terminal may show: what it would obey is escaped as in JSON, so that nothing is
/// lost.
///
/// # Errors
/// It cannot be written.
pub(crate) fn json(out: &mut impl io::Write, value: &impl Serialize) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(out, Harmless)).map_err(io::Error::from)
}

/// Text of several lines, each of them without anything that a terminal would obey.
pub(crate) fn lines(bytes: &[u8]) -> String {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    lines
        .map(|whole| match whole.strip_suffix(b"\n") {
            Some(text) => line(text, usize::MAX) + "\n",
            None => line(whole, usize::MAX),
        })
        .collect()
}

struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W>(&mut self, out: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        for part in fragment.split_inclusive(is_obeyed) {
            let last = part.chars().next_back().filter(|c| is_obeyed(*c));
            let plain = &part[..part.len() - last.map_or(0, char::len_utf8)];
            CompactFormatter.write_string_fragment(out, plain)?;
            for unit in last.iter().flat_map(|c| c.encode_utf16(&mut [0; 2]).to_vec()) {
                write!(out, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

/// These bytes on one line of at most `most` characters. Control characters are shown as in C,
/// characters that are invisible or change the direction of text as `\u{..}`, bytes that are not
/// UTF-8 as `\x..`. A backslash stays as it is: paths and commands must remain readable.
fn line(bytes: &[u8], most: usize) -> String {
    let mut text = String::with_capacity(bytes.len().min(most) + 4);
    // Not text.len(), since a character may have several bytes.
    let mut shown = 0;
    for chunk in bytes.utf8_chunks() {
        let pieces = chunk.valid().chars().map(Piece::Char);
        for piece in pieces.chain(chunk.invalid().iter().copied().map(Piece::Byte)) {
            let before = text.len();
            piece.add_to(&mut text);
            shown += text[before..].chars().count();
            if shown > most {
                text.truncate(before);
                text.push('…');
                return text;
            }
        }
    }
    text
}

enum Piece {
    Char(char),
    /// Not UTF-8.
    Byte(u8),
}

impl Piece {
    fn add_to(&self, text: &mut String) {
        // Writing into a String cannot fail.
        let _ = match *self {
            Piece::Char('\n') => text.write_str("\\n"),
            Piece::Char('\r') => text.write_str("\\r"),
            Piece::Char('\t') => text.write_str("\\t"),
            Piece::Char(c) if c.is_ascii_control() => write!(text, "\\x{:02x}", c as u32),
            Piece::Char(c) if is_obeyed(c) => {
                write!(text, "{}", c.escape_unicode())
            }
            Piece::Char(c) => text.write_char(c),
            Piece::Byte(byte) => write!(text, "\\x{byte:02x}"),
        };
    }
}

/// Control characters, and those of [`is_unseen`].
fn is_obeyed(c: char) -> bool {
    c.is_control() || is_unseen(c)
}

/// Characters that are invisible, break lines, or change how others are arranged. Joiners stay:
/// scripts and emoji need them.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        for (bytes, shown) in [
            (&b"plain 'text' \\n"[..], "plain 'text' \\n"),
            (b"a\r\nb\tc\0", "a\\r\\nb\\tc\\x00"),
            (b"\x1b]52;c;aGk=\x07\x7f", "\\x1b]52;c;aGk=\\x07\\x7f"),
            (b"\x9b2J \xff", "\\x9b2J \\xff"),
            ("\u{9b}2J".as_bytes(), "\\u{9b}2J"),
            ("a\u{202e}b\u{2066}c\u{2028}".as_bytes(), "a\\u{202e}b\\u{2066}c\\u{2028}"),
            ("\u{feff}first".as_bytes(), "\\u{feff}first"),
            ("\u{e9}t\u{e9} \u{65e5}\u{672c}".as_bytes(), "\u{e9}t\u{e9} \u{65e5}\u{672c}"),
            (b"", ""),
        ] {
            assert_eq!(line(bytes, VALUE), shown);
        }
    }

    #[test]
    fn it_ends_between_two_characters() {
        assert_eq!(line(b"12345", 5), "12345");
        assert_eq!(line(b"123456", 5), "12345…");
        assert_eq!(line(b"123\x1b6", 5), "123…", "an escape is whole or missing");
        assert_eq!(line("\u{e9}\u{e9}\u{e9}".as_bytes(), 2), "\u{e9}\u{e9}…");
    }

    #[test]
    fn numbers_of_system_errors_are_left_out() {
        let why = io::Error::from_raw_os_error(2);
        assert_eq!(message(format!("-a list: {why}: x")), "-a list: No such file or directory: x");
        assert_eq!(failure(format!("{why}, {why}")).matches("os error").count(), 0);
        for text in ["(os error 2)", "a (os error x)", "a (os error "] {
            assert_eq!(message(text), text);
        }
        let printed = "cannot open x (os error 2)";
        assert_eq!(cause(printed), printed, "what a command has printed stays as it is");
    }

    #[test]
    fn json_arrives_exactly() {
        let text = "a\u{9b}b\u{202e}\u{e0041}\x7f\n\"\\ \u{e9}";
        let mut out = Vec::new();
        json(&mut out, &text).expect("memory");
        assert_eq!(out, b"\"a\\u009bb\\u202e\\udb40\\udc41\\u007f\\n\\\"\\\\ \xc3\xa9\"");
        assert_eq!(serde_json::from_slice::<String>(&out).expect("JSON"), text);
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_bytes_are_it_is_one_harmless_line(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400),
        ) {
            let shown = line(&bytes, VALUE);
            proptest::prop_assert!(!shown.contains(is_obeyed));
            proptest::prop_assert!(shown.chars().count() <= VALUE + 1);
        }
    }
}
