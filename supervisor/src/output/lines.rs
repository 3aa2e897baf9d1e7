//! Writes an output line by line, each with what it begins and ends with.

use std::io::{self, Write};

use super::capture::{Broken, Piece};
use crate::template::Looks;

/// Copies an output. If it `ends_line`, because the bar is drawn below it, a missing newline is
/// added. Returns whether the last line has no newline.
pub(super) fn copy(
    piece: Piece,
    to: &mut impl Write,
    looks: &Looks,
    ends_line: bool,
) -> Result<bool, Broken> {
    let mut lines = Lines { to, looks, is_open: false, last: b'\n' };
    piece.copy(&mut lines)?;
    lines.finish(ends_line).map_err(Broken::Target)?;
    Ok(lines.last != b'\n')
}

struct Lines<'a, W> {
    to: &'a mut W,
    looks: &'a Looks,
    /// A line has begun, and has not ended.
    is_open: bool,
    /// The last byte that was written.
    last: u8,
}

impl<W: Write> Lines<'_, W> {
    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        if !self.is_open {
            self.to.write_all(&self.looks.begin)?;
        }
        let Some((last, text)) = line.split_last() else { return Ok(()) };
        self.is_open = match last {
            b'\n' => {
                self.end(text, b"\n")?;
                false
            }
            // What follows is written over the line.
            b'\r' if self.looks.returns && !self.looks.end.is_empty() => {
                self.end(text, b"\r")?;
                self.to.write_all(&self.looks.begin)?;
                true
            }
            b'\r' if self.looks.returns => {
                self.to.write_all(line)?;
                false
            }
            _ => {
                self.to.write_all(line)?;
                true
            }
        };
        self.last = *last;
        Ok(())
    }

    fn end(&mut self, text: &[u8], end: &[u8]) -> io::Result<()> {
        self.to.write_all(text)?;
        self.to.write_all(self.looks.end)?;
        self.to.write_all(end)
    }

    fn finish(&mut self, ends_line: bool) -> io::Result<()> {
        if self.is_open && self.looks.completes {
            self.end(b"", b"\n")?;
        } else if ends_line && self.last != b'\n' {
            self.to.write_all(b"\n")?;
        } else {
            return Ok(());
        }
        self.last = b'\n';
        Ok(())
    }
}

impl<W: Write> Write for Lines<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.looks.is_plain() {
            self.to.write_all(bytes)?;
            self.last = bytes.last().copied().unwrap_or(self.last);
            return Ok(bytes.len());
        }
        let returns = self.looks.returns;
        for line in bytes.split_inclusive(|byte| *byte == b'\n' || returns && *byte == b'\r') {
            self.line(line)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same in pieces and as a whole.
    fn copied(pieces: &[&str], looks: &Looks, ends_line: bool) -> String {
        let mut whole = Vec::new();
        let piece = Piece::Bytes(pieces.concat().into_bytes());
        copy(piece, &mut whole, looks, ends_line).expect("memory");
        let parts = pieces.iter().map(|piece| Piece::Bytes(piece.as_bytes().to_vec())).collect();
        let mut in_parts = Vec::new();
        copy(Piece::Parts(parts), &mut in_parts, looks, ends_line).expect("memory");
        assert_eq!(whole, in_parts);
        String::from_utf8(whole).expect("text")
    }

    #[test]
    fn each_line_has_its_tag() {
        let tag = Looks { begin: b"t ".to_vec(), ..Looks::default() };
        assert_eq!(copied(&["a\nb", "c\n", "\nd\n"], &tag, true), "t a\nt bc\nt \nt d\n");
        assert_eq!(copied(&["a"], &tag, true), "t a\n");
        assert_eq!(copied(&["a"], &tag, false), "t a");
        assert_eq!(copied(&["a\r", "b"], &tag, false), "t a\rb");
        assert_eq!(copied(&[], &tag, true), "");
        assert_eq!(copied(&["a\nb"], &Looks::default(), false), "a\nb");
        let returns = Looks { returns: true, ..tag };
        assert_eq!(copied(&["a\r\nb", "\rc\r"], &returns, false), "t a\rt \nt b\rt c\r");
    }

    #[test]
    fn each_line_has_its_colour() {
        let looks = Looks { begin: b"<".to_vec(), end: b">", returns: true, completes: true };
        assert_eq!(copied(&["a\n\nb"], &looks, false), "<a>\n<>\n<b>\n");
        assert_eq!(copied(&["a\r\n", "b\rc"], &looks, false), "<a>\r<>\n<b>\r<c>\n");
        assert_eq!(copied(&["a\r"], &looks, false), "<a>\r<>\n");
    }
}
