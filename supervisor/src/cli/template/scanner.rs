//! Finds the replacement strings in a script and the shell quoting around each.
//!
//! Everything that is not next to a replacement string is copied as it is. The scanner follows
//! quotes, substitutions and comments, not the whole grammar (`case` patterns and here-documents
//! are beyond it). Where it misjudges a place, the value gets literal quotes or is split into
//! words there; as the expansion of a variable it is never parsed as source.

use super::line::{is_blank, is_name_byte};
use super::replacement::{Form, Replacement, masked, replacement_at};

/// How a shell reads the place of a replacement string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quoting {
    Unquoted,
    /// Inside `".."`.
    Double,
    /// Inside `'..'`.
    Single,
    /// Inside `$((..))`.
    Number,
}

/// A part of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Script text.
    Text(Vec<u8>),
    /// A place for the value in this form.
    Value(Form, Quoting),
    /// The sequence number.
    Seq,
    /// The number of threads.
    Threads,
    /// The slot number.
    Slot,
}

/// Takes a script as typed, returns its parts and whether their quoting is certain.
pub(super) fn scan(source: &[u8]) -> (Vec<Piece>, bool) {
    // Constructs with quotes or parentheses that pair differently, in some shells at least.
    const UNCERTAIN: [&[u8]; 5] = [b"<<", b"case", b"${", b"((", b"$'"];
    let certain = !UNCERTAIN.iter().any(|it| source.windows(it.len()).any(|part| part == *it));
    let stack = Vec::new();
    let mut scanner =
        Scanner { source, at: 0, stack, word_start: true, certain, pieces: Vec::new() };
    while scanner.at < source.len() {
        match replacement_at(&source[scanner.at..]) {
            Some((replacement, len)) => scanner.place(replacement, len),
            None => scanner.step(),
        }
    }
    let closed = matches!(scanner.stack.as_slice(), [] | [Frame::Comment]);
    (scanner.pieces, scanner.certain && closed)
}

/// What the scanner is inside of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    Double,
    Single,
    /// `(..)` or `$(..)`: unquoted again, whatever is around it.
    Paren,
    /// `${..}`, with the quoting of what follows the name.
    Brace(Quoting),
    /// `$((..))`
    Arithmetic,
    /// `(..)` in `$((..))`
    Group,
    Comment,
}

#[derive(Debug)]
struct Scanner<'a> {
    source: &'a [u8],
    at: usize,
    stack: Vec<Frame>,
    /// Whether a word would begin here, or with `#` a comment.
    word_start: bool,
    certain: bool,
    pieces: Vec<Piece>,
}

impl Scanner<'_> {
    fn quoting(&self) -> Quoting {
        match self.stack.last() {
            None | Some(Frame::Paren | Frame::Comment) => Quoting::Unquoted,
            Some(Frame::Double) => Quoting::Double,
            Some(Frame::Single) => Quoting::Single,
            Some(Frame::Brace(quoting)) => *quoting,
            Some(Frame::Arithmetic | Frame::Group) => Quoting::Number,
        }
    }

    /// Consumes a replacement string.
    fn place(&mut self, replacement: Replacement, len: usize) {
        if self.stack.last() == Some(&Frame::Comment) {
            return self.copy(len);
        }
        self.at += len;
        self.word_start = false;
        match replacement {
            Replacement::Value(form) => self.pieces.push(Piece::Value(form, self.quoting())),
            Replacement::Seq => self.pieces.push(Piece::Seq),
            Replacement::Threads => self.pieces.push(Piece::Threads),
            Replacement::Slot => self.pieces.push(Piece::Slot),
        }
        let number = !matches!(replacement, Replacement::Value(_));
        if number
            && self.quoting() == Quoting::Unquoted
            && matches!(self.peek(0), Some(b'<' | b'>'))
        {
            // Otherwise `{#}>file` redirects the descriptor of that number.
            self.text(b"\"\"");
        }
    }

    /// Consumes what is no replacement string.
    fn step(&mut self) {
        let byte = self.source[self.at];
        match (self.stack.last().copied(), byte) {
            (Some(Frame::Single), b'\'') | (Some(Frame::Double), b'"') => self.pop(1),
            (Some(Frame::Comment), b'\n') => {
                self.pop(1);
                self.word_start = true;
            }
            (Some(Frame::Single | Frame::Comment), _) => self.copy(1),
            (_, b'\\') => self.backslash(),
            (_, b'$') => self.dollar(),
            (_, b'`') => self.backtick(),
            (Some(Frame::Double), _) => self.copy(1),
            (Some(Frame::Brace(_)), b'}') => self.pop(1),
            (Some(Frame::Brace(_)), b'"') => self.push(Frame::Double, 1),
            (Some(Frame::Brace(Quoting::Unquoted)), b'\'') => self.push(Frame::Single, 1),
            (Some(Frame::Brace(_)), _) => self.copy(1),
            (Some(Frame::Arithmetic | Frame::Group), b'(') => self.push(Frame::Group, 1),
            (Some(Frame::Group), b')') => self.pop(1),
            (Some(Frame::Arithmetic), b')') if self.peek(1) == Some(b')') => self.pop(2),
            (Some(Frame::Arithmetic | Frame::Group), _) => self.copy(1),
            (None | Some(Frame::Paren), _) => self.unquoted(byte),
        }
    }

    fn unquoted(&mut self, byte: u8) {
        match byte {
            b'\'' => self.push(Frame::Single, 1),
            b'"' => self.push(Frame::Double, 1),
            b'#' if self.word_start => self.push(Frame::Comment, 1),
            b'(' => self.push(Frame::Paren, 1),
            b')' if self.stack.last() == Some(&Frame::Paren) => self.pop(1),
            _ => self.copy(1),
        }
        self.word_start = is_blank(byte) || b"\n;|&()<>".contains(&byte);
    }

    /// Consumes a backslash and what it escapes.
    fn backslash(&mut self) {
        let word_start = self.word_start;
        match self.source.get(self.at + 1..).and_then(replacement_at) {
            None => {
                self.copy(2);
                // An escaped newline is no part of any word.
                self.word_start = word_start && self.source[..self.at].ends_with(b"\n");
            }
            Some((Replacement::Value(_), _)) => {
                // It would escape the reference. Before `{`, shells drop it outside of quotes
                // and keep it inside.
                if self.quoting() != Quoting::Unquoted {
                    self.text(b"\\\\");
                }
                self.at += 1;
            }
            Some(_) => self.copy(1),
        }
    }

    /// Consumes a dollar sign and the name or opening bracket after it.
    fn dollar(&mut self) {
        if self.source.get(self.at + 1..).and_then(replacement_at).is_some() {
            // A literal dollar sign, kept from becoming one expansion with what is put there.
            match self.quoting() {
                Quoting::Unquoted => self.text(b"\"$\""),
                Quoting::Double | Quoting::Single => self.text(b"$\"\""),
                Quoting::Number => {}
            }
            self.at += 1;
            self.word_start = false;
            return;
        }
        match self.peek(1) {
            Some(b'(') if self.peek(2) == Some(b'(') => self.push(Frame::Arithmetic, 3),
            Some(b'(') => {
                self.push(Frame::Paren, 2);
                self.word_start = true;
            }
            Some(b'{') => self.parameter(),
            Some(byte) if is_name_byte(byte) => {
                self.copy(2);
                while self.peek(0).is_some_and(is_name_byte) {
                    self.copy(1);
                }
                let next = replacement_at(&self.source[self.at..]);
                if matches!(
                    next,
                    Some((Replacement::Seq | Replacement::Slot | Replacement::Threads, _))
                ) && self.quoting() != Quoting::Number
                {
                    // Otherwise the digits become part of the name.
                    self.text(b"\"\"");
                }
            }
            Some(b'$' | b'?' | b'!' | b'#' | b'@' | b'*' | b'-') => self.copy(2),
            _ => self.copy(1),
        }
    }

    /// Consumes `${` and the name after it.
    fn parameter(&mut self) {
        let name = &self.source[self.at + 2..];
        let len = name.iter().take_while(|byte| is_name_byte(**byte)).count();
        let quoting = match &name[len..] {
            // A pattern, which has quotes of its own even inside double quotes.
            [b'#' | b'%', ..] if len > 0 => Quoting::Unquoted,
            [b':', b'-' | b'=' | b'?' | b'+', ..] => self.quoting(),
            // bash evaluates these as `$((..))`.
            [b':' | b'[', ..] => Quoting::Number,
            _ => self.quoting(),
        };
        self.push(Frame::Brace(quoting), 2 + len);
    }

    /// Consumes `` `..` ``, as `$(..)` if it holds a replacement string: between backticks a layer
    /// of backslashes is removed before quotes are looked at.
    fn backtick(&mut self) {
        let Some((body, len)) = self.backtick_body() else {
            self.certain = false;
            return self.copy(1);
        };
        if masked(&body) == body {
            return self.copy(len);
        }
        // `$((` would begin arithmetic.
        self.text(if body.starts_with(b"(") { b"$( " } else { b"$(" });
        let (pieces, certain) = scan(&body);
        self.certain &= certain;
        for piece in pieces {
            match piece {
                Piece::Text(text) => self.text(&text),
                other => self.pieces.push(other),
            }
        }
        // A comment, a here-document and a backslash would swallow the parenthesis.
        let open_end =
            body.contains(&b'#') || body.windows(2).any(|it| it == b"<<") || body.ends_with(b"\\");
        self.text(if open_end { b"\n)" } else { b")" });
        self.at += len;
        self.word_start = false;
    }

    /// Returns the command between the backticks that begin here, and their length in the
    /// source; nothing if the second one is missing.
    fn backtick_body(&self) -> Option<(Vec<u8>, usize)> {
        let mut body = Vec::new();
        let mut len = 1;
        loop {
            match (self.peek(len)?, self.peek(len + 1)) {
                (b'`', _) => return Some((body, len + 1)),
                (b'\\', Some(next @ (b'$' | b'`' | b'\\'))) => {
                    body.push(next);
                    len += 2;
                }
                (b'\\', Some(b'"')) if self.quoting() == Quoting::Double => {
                    body.push(b'"');
                    len += 2;
                }
                (byte, _) => {
                    body.push(byte);
                    len += 1;
                }
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.source.get(self.at + ahead).copied()
    }

    fn push(&mut self, frame: Frame, len: usize) {
        self.copy(len);
        self.stack.push(frame);
    }

    fn pop(&mut self, len: usize) {
        self.stack.pop();
        self.copy(len);
    }

    /// Copies source to the script.
    fn copy(&mut self, len: usize) {
        let end = self.source.len().min(self.at + len);
        let source = self.source;
        self.text(&source[self.at..end]);
        self.at = end;
        self.word_start = false;
    }

    /// Appends to the script.
    fn text(&mut self, bytes: &[u8]) {
        match self.pieces.last_mut() {
            Some(Piece::Text(text)) => text.extend_from_slice(bytes),
            _ => self.pieces.push(Piece::Text(bytes.to_vec())),
        }
    }
}
