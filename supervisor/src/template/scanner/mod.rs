//! Finds the replacement strings in a script and the shell quoting around each.
//!
//! Everything that is not next to a replacement string is copied as it is. The scanner follows
//! quotes, substitutions, comments, `case` and here-documents. Where it is not certain how a shell
//! reads the place of a value, it refuses that place: a value is never split, read as a pattern or
//! shown as the name of a variable.

mod builtins;
mod commands;
mod expansions;
mod here;
mod level;
mod operators;
mod parentheses;
mod refusal;

use super::replacement::{Number, Replacement, Selection};
use super::second_evaluation::Evaluation;
use super::shell::Dialect;
use super::strings::Strings;
use level::Ending;
use refusal::Doubt;
pub(crate) use refusal::Refused;

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
    /// In the body of a here-document.
    Here,
}

/// A part of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TemplatePart {
    /// Script text.
    Text(Vec<u8>),
    /// A place for this part of the value.
    Value(Selection, Quoting),
    /// A number of the task.
    Number(Number),
    /// The slot number, and the same with zeros before it.
    Slot,
    PaddedSlot,
}

/// Values that are nested deeper are refused.
const DEEPEST: usize = 64;

/// Takes a script as typed, for a shell of this dialect; values may stand where they are run as
/// code if `anywhere`.
///
/// # Errors
/// The first place of a value that cannot be judged.
pub(super) fn scan(
    source: &[u8],
    dialect: Dialect,
    strings: &Strings,
    anywhere: bool,
) -> Result<Vec<TemplatePart>, Refused> {
    let mut scanner = Scanner::new(source, dialect, strings, anywhere, 0);
    scanner.commands(Ending::Script);
    match scanner.refused {
        Some(refused) => Err(refused),
        None => Ok(scanner.pieces),
    }
}

#[derive(Debug)]
struct Scanner<'a> {
    source: &'a [u8],
    at: usize,
    /// Where a here-document ends, or the source.
    end: usize,
    dialect: Dialect,
    strings: &'a Strings,
    /// Values may stand where they are run as code.
    anywhere: bool,
    depth: usize,
    pieces: Vec<TemplatePart>,
    /// How many values have been placed.
    values: usize,
    /// Where the last one was.
    last_value: usize,
    /// From here on the shell may read the script differently.
    doubt: Option<Doubt>,
    /// Words are read as expressions here.
    numeric: bool,
    /// Variables that have been declared as integers.
    integers: Vec<Vec<u8>>,
    refused: Option<Refused>,
}

/// What a failed attempt to read something falls back to.
struct Before {
    at: usize,
    pieces: usize,
    /// The length of the last piece, if it is text.
    text: usize,
    values: usize,
    doubt: Option<Doubt>,
    refused: Option<Refused>,
}

impl<'a> Scanner<'a> {
    fn new(
        source: &'a [u8],
        dialect: Dialect,
        strings: &'a Strings,
        anywhere: bool,
        depth: usize,
    ) -> Scanner<'a> {
        Scanner {
            source,
            at: 0,
            end: source.len(),
            dialect,
            strings,
            anywhere,
            depth,
            pieces: Vec::new(),
            values: 0,
            last_value: 0,
            doubt: None,
            numeric: false,
            integers: Vec::new(),
            refused: None,
        }
    }

    /// The replacement string that stands this number of bytes ahead, and its length.
    fn replacement_at(&self, ahead: usize) -> Option<(Replacement, usize)> {
        let at = self.at + ahead;
        if at < self.end { self.strings.at(&self.source[..self.end], at) } else { None }
    }

    /// Consumes a replacement string, if one stands here.
    fn replacement(&mut self, quoting: Quoting) -> bool {
        let Some((replacement, len)) = self.replacement_at(0) else { return false };
        let place = self.at;
        self.at += len;
        let is_number = !matches!(replacement, Replacement::Value(_) | Replacement::Variable(_));
        match replacement {
            Replacement::Value(part) => {
                if let Some(doubt) = self.doubt {
                    self.refuse(place, doubt);
                }
                let quoting = match quoting {
                    Quoting::Single if self.numeric => {
                        self.refuse(place, Doubt::QuotedExpression);
                        quoting
                    }
                    _ if self.numeric => Quoting::Number,
                    quoting => quoting,
                };
                (self.values, self.last_value) = (self.values + 1, place);
                self.pieces.push(TemplatePart::Value(part, quoting));
            }
            Replacement::Number(number) => self.pieces.push(TemplatePart::Number(number)),
            Replacement::Slot => self.pieces.push(TemplatePart::Slot),
            Replacement::PaddedSlot => self.pieces.push(TemplatePart::PaddedSlot),
            Replacement::Variable(name) => self.text(name.as_bytes()),
        }
        if is_number && quoting == Quoting::Unquoted && matches!(self.peek(0), Some(b'<' | b'>')) {
            // Otherwise `{#}>file` redirects the descriptor of that number.
            self.text(b"\"\"");
        }
        true
    }

    /// Consumes `'..'`.
    fn single(&mut self) {
        self.copy(1);
        while let Some(byte) = self.peek(0) {
            if byte == b'\'' {
                return self.copy(1);
            }
            if !self.replacement(Quoting::Single) {
                self.copy(1);
            }
        }
        self.open_end();
    }

    /// Consumes `".."`.
    fn double(&mut self) {
        self.copy(1);
        while let Some(byte) = self.peek(0) {
            if byte == b'"' {
                return self.copy(1);
            }
            self.inside_double(Quoting::Double);
        }
        self.open_end();
    }

    /// Consumes what stands inside double quotes, or in a here-document.
    fn inside_double(&mut self, quoting: Quoting) {
        if self.replacement(quoting) {
            return;
        }
        match self.source[self.at] {
            b'\\' => self.backslash(quoting),
            b'$' => self.dollar(quoting),
            b'`' => self.backtick(quoting),
            _ => self.copy(1),
        }
    }

    /// Consumes a backslash and what it escapes.
    fn backslash(&mut self, quoting: Quoting) {
        match self.replacement_at(1) {
            None => self.copy(2),
            Some((Replacement::Value(_), _)) => {
                // It would escape the reference. Before `{`, shells drop it outside of quotes and
                // keep it inside.
                if quoting != Quoting::Unquoted {
                    self.text(b"\\\\");
                }
                self.at += 1;
            }
            Some(_) => self.copy(1),
        }
    }

    /// Something is not closed: no shell runs it, but some shells run the commands before it.
    fn open_end(&mut self) {
        if self.values > 0 || self.refused.is_some() {
            self.refuse(self.last_value, Doubt::OpenEnd);
        }
        self.doubt.get_or_insert(Doubt::OpenEnd);
    }

    fn refuse(&mut self, place: usize, doubt: Doubt) {
        self.refused.get_or_insert_with(|| Refused::new(self.source, place, doubt));
    }

    /// From here on values are refused.
    fn be_in_doubt(&mut self, doubt: Doubt) {
        self.doubt.get_or_insert(doubt);
    }

    fn before(&self) -> Before {
        let text = match self.pieces.last() {
            Some(TemplatePart::Text(text)) => text.len(),
            _ => 0,
        };
        let (at, pieces, values) = (self.at, self.pieces.len(), self.values);
        let (doubt, refused) = (self.doubt, self.refused.clone());
        Before { at, pieces, text, values, doubt, refused }
    }

    fn go_back(&mut self, before: Before) {
        self.pieces.truncate(before.pieces);
        if let Some(TemplatePart::Text(text)) = self.pieces.last_mut() {
            text.truncate(before.text);
        }
        (self.at, self.values) = (before.at, before.values);
        (self.doubt, self.refused) = (before.doubt, before.refused);
    }

    /// Goes one level down, unless that is too deep.
    fn nested(&mut self, inside: impl FnOnce(&mut Self)) {
        if self.depth >= DEEPEST {
            self.be_in_doubt(Doubt::Deep);
            self.copy(self.end - self.at);
            return;
        }
        self.depth += 1;
        inside(self);
        self.depth -= 1;
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.rest(0).get(ahead).copied()
    }

    /// The source from this number of bytes after this place on.
    fn rest(&self, ahead: usize) -> &'a [u8] {
        self.source.get(self.at + ahead..self.end).unwrap_or_default()
    }

    /// Copies source to the script.
    fn copy(&mut self, len: usize) {
        let end = self.end.min(self.at + len);
        let source = self.source;
        self.text(&source[self.at..end]);
        self.at = end;
    }

    /// Appends to the script.
    fn text(&mut self, bytes: &[u8]) {
        match self.pieces.last_mut() {
            Some(TemplatePart::Text(text)) => text.extend_from_slice(bytes),
            _ => self.pieces.push(TemplatePart::Text(bytes.to_vec())),
        }
    }
}
