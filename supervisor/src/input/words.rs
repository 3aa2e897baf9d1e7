//! Splits a file or a pipe into words as xargs does it, and makes the values of commands of them.

use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use msup_protocol::codec::VALUE_AT_MOST;

use super::lists::List;
use super::room::CommandRoom;
use super::{Group, Out};
use crate::arguments::{BETWEEN, Length};

/// The number of bytes that are read at once.
const BLOCK: usize = 64 << 10;

/// What separates words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Separated {
    /// Blanks and newlines; quotes and backslashes protect what they quote.
    AtBlanks,
    /// The same, but only newlines: a word is a line without the blanks before it.
    AtNewlines,
    /// This byte ends each; nothing is quoted.
    By(u8),
}

/// Words, and how they are handed out.
#[derive(Debug)]
pub(crate) struct WordList {
    pub(crate) list: List,
    pub(crate) separated: Separated,
    /// The word that ends the list.
    pub(crate) end: Option<Vec<u8>>,
    /// A command gets at most this number of words.
    pub(crate) words: usize,
    /// It gets those of this number of lines.
    pub(crate) lines: Option<usize>,
    /// A command runs even if there is no word.
    pub(crate) runs_empty: bool,
    pub(crate) room: CommandRoom,
}

/// Why the words of a list cannot be had. The words are those of xargs.
#[derive(Debug, thiserror::Error)]
enum WordError {
    #[error(
        "unmatched {0} quote; by default quotes are special to xargs unless you use the -0 option"
    )]
    Quote(&'static str),
    #[error("argument line too long")]
    LongWord,
    #[error("argument list too long")]
    LongList,
    #[error("command too long")]
    LongCommand,
    #[error("cannot fit single argument within argument list size limit")]
    NoRoom,
    #[error("{name}: {why}")]
    Read {
        name: String,
        #[source]
        why: io::Error,
    },
}

/// How a word was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Word {
        /// It is the last one of a line that counts as one.
        ends_line: bool,
    },
    End,
}

/// Where the reader stands within a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Before,
    Within,
    Quoted(u8),
    Escaped,
}

/// Words that are being read.
pub(super) struct Words {
    input: BufReader<Box<dyn Read>>,
    name: String,
    of: Shape,
    /// No word of this line was found before.
    begins_line: bool,
    is_over: bool,
    /// A word that belongs to the next value, with the byte that ends it.
    carried: Vec<u8>,
    /// Something was handed out.
    has_given: bool,
    /// Bytes that the last value took.
    last: usize,
    /// What is wrong, told after the words before it are handed out.
    failed: Option<WordError>,
    warned: bool,
    out: Rc<Out>,
}

/// All of a [`WordList`] but where it is read from.
struct Shape {
    separated: Separated,
    end: Option<Vec<u8>>,
    words: usize,
    lines: Option<usize>,
    runs_empty: bool,
    room: CommandRoom,
}

impl Words {
    pub(super) fn of(list: WordList, out: &Rc<Out>) -> Words {
        let WordList { list, separated, end, words, lines, runs_empty, room } = list;
        let (input, name): (Box<dyn Read>, String) = match list {
            List::Stdin => (Box::new(io::stdin().lock()), "standard input".into()),
            List::File(file, path) => (Box::new(file), path.display().to_string()),
            List::Arguments(words) => {
                let text = words.join(&b'\n');
                (Box::new(io::Cursor::new(text)), "the command line".into())
            }
        };
        Words {
            input: BufReader::with_capacity(BLOCK, input),
            name,
            of: Shape { separated, end, words, lines, runs_empty, room },
            begins_line: true,
            is_over: false,
            carried: Vec::new(),
            has_given: false,
            last: 0,
            failed: None,
            warned: false,
            out: Rc::clone(out),
        }
    }

    /// Whether the next value can probably be had without waiting: it is about as long as the last.
    pub(super) fn is_at_hand(&self) -> bool {
        self.is_over || self.failed.is_some() || self.input.buffer().len() > self.last
    }

    /// The next value; `None` at the end.
    ///
    /// # Errors
    /// What xargs says about the list.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        if let Some(why) = self.failed.take() {
            return Err(why.to_string());
        }
        let mut value = std::mem::take(&mut self.carried);
        match self.fill(&mut value) {
            Ok(()) => {}
            // What was read before runs first, unless all of it was to fit.
            Err(why) if !value.is_empty() && !self.of.room.must_fit => self.failed = Some(why),
            Err(why) => return Err(why.to_string()),
        }
        self.last = value.len();
        let runs = !value.is_empty() || (self.of.runs_empty && !self.has_given);
        self.has_given = true;
        Ok(runs.then_some(value))
    }

    /// Adds words, each with the byte that ends it.
    fn fill(&mut self, value: &mut Vec<u8>) -> Result<(), WordError> {
        let mut length = self.of.room.command.base();
        // Where a word replaces a string, there is no command without it.
        let is_whole = self.of.separated != Separated::AtNewlines;
        if is_whole && !length.fits(self.of.room.at_most) {
            return Err(WordError::NoRoom);
        }
        let (mut words, mut lines) = (0, 0);
        if let Some(word) = value.strip_suffix(&[BETWEEN]) {
            length = length.and(self.of.room.command.of(word));
            words = 1;
        }
        while !self.is_over && words < self.of.words {
            let start = value.len();
            let found = match self.word(value) {
                Ok(found) => found,
                Err(why) => {
                    value.truncate(start);
                    self.is_over = true;
                    return Err(why);
                }
            };
            let Found::Word { ends_line } = found else {
                self.is_over = true;
                break;
            };
            let longer = length.and(self.of.room.command.of(&value[start..]));
            value.push(BETWEEN);
            if let Err(why) = self.check(longer, value.len() - start, words) {
                let word = value.split_off(start);
                let Some(why) = why else {
                    self.carried = word;
                    break;
                };
                self.is_over = true;
                return Err(why);
            }
            length = longer;
            words += 1;
            lines += usize::from(ends_line);
            if self.of.lines == Some(lines) {
                break;
            }
        }
        Ok(())
    }

    /// Whether a command that would be so long with a word of this length has room for it, behind
    /// this number of words; `None`: the next one may have.
    fn check(&self, length: Length, word: usize, words: usize) -> Result<(), Option<WordError>> {
        let room = &self.of.room;
        let is_too_large = length.total > VALUE_AT_MOST;
        if length.fits(room.at_most) && !is_too_large {
            return Ok(());
        }
        let alone = room.command.base().and(Length::of(word - 1));
        let is_line = self.of.separated == Separated::AtNewlines;
        Err(match words {
            _ if is_line && word <= room.at_most.chars => {
                // In xargs, each word that is made is looked at before all of them are.
                let is_long = length.longest + 1 >= room.at_most.chars;
                Some(if is_long { WordError::LongCommand } else { WordError::LongList })
            }
            0 => Some(WordError::LongWord),
            _ if !alone.fits(room.at_most) => Some(WordError::LongWord),
            _ if room.must_fit && self.is_limited() => Some(WordError::LongList),
            _ => None,
        })
    }

    /// Whether it was said how many words a command gets.
    fn is_limited(&self) -> bool {
        self.of.words < usize::MAX || self.of.lines.is_some()
    }

    /// Reads the next word behind what is there.
    fn word(&mut self, value: &mut Vec<u8>) -> Result<Found, WordError> {
        let start = value.len();
        let found = match self.of.separated {
            Separated::By(byte) => self.ended_by(byte, value)?,
            Separated::AtBlanks => self.quoted(true, value)?,
            Separated::AtNewlines => self.quoted(false, value)?,
        };
        // What follows a NUL byte cannot be passed on.
        if let Some(at) = value[start..].iter().position(|byte| *byte == BETWEEN) {
            value.truncate(start + at);
            if !matches!(self.of.separated, Separated::By(_))
                && !std::mem::replace(&mut self.warned, true)
            {
                let text = "WARNING: a NUL character occurred in the input.  It cannot be passed \
                            through in the argument list.  Did you mean to use the --null option?";
                self.out.send(Group::Hint(text.into()));
            }
        }
        let is_end = self.of.end.as_ref().is_some_and(|end| value[start..] == **end);
        let (Found::Word { .. }, true) = (found, is_end) else { return Ok(found) };
        // At the end of the file only a line of its own counts.
        if self.is_over && !self.begins_line {
            return Ok(found);
        }
        value.truncate(start);
        Ok(Found::End)
    }

    fn ended_by(&mut self, byte: u8, value: &mut Vec<u8>) -> Result<Found, WordError> {
        let start = value.len();
        loop {
            let room = (VALUE_AT_MOST + 2).saturating_sub(value.len() - start);
            if room == 0 {
                return Err(WordError::LongWord);
            }
            let read = self.input.by_ref().take(room as u64).read_until(byte, value);
            let read = read.map_err(|why| WordError::Read { name: self.name.clone(), why })?;
            if value.len() > start && value.ends_with(&[byte]) {
                value.pop();
                return Ok(Found::Word { ends_line: true });
            }
            if read == 0 {
                let is_word = value.len() > start;
                return Ok(if is_word { Found::Word { ends_line: true } } else { Found::End });
            }
        }
    }

    /// `at_blanks`: words end at blanks, not only at newlines.
    fn quoted(&mut self, at_blanks: bool, value: &mut Vec<u8>) -> Result<Found, WordError> {
        let start = value.len();
        let (mut place, mut previous) = (Place::Before, b'\n');
        loop {
            if value.len() - start > VALUE_AT_MOST {
                return Err(WordError::LongWord);
            }
            let buffer = match self.input.fill_buf() {
                Ok(buffer) => buffer,
                Err(why) if why.kind() == io::ErrorKind::Interrupted => continue,
                Err(why) => return Err(WordError::Read { name: self.name.clone(), why }),
            };
            if buffer.is_empty() {
                return self.at_the_end(place, value.len() > start);
            }
            let mut used = 0;
            let mut found = None;
            for byte in buffer {
                used += 1;
                match step(place, *byte, at_blanks) {
                    Step::To(next) => place = next,
                    Step::Take(next) => {
                        place = next;
                        value.push(*byte);
                    }
                    Step::Ends => {
                        found = Some(*byte);
                        break;
                    }
                }
                if place != Place::Before {
                    previous = *byte;
                }
                if *byte == b'\n' && matches!(place, Place::Quoted(_)) {
                    break;
                }
            }
            self.input.consume(used);
            if let Some(byte) = found {
                let is_newline = byte == b'\n';
                self.begins_line = is_newline;
                // A blank at the end of a line continues it.
                let continues = matches!(previous, b' ' | b'\t');
                return Ok(Found::Word { ends_line: is_newline && !continues });
            }
            if let Place::Quoted(quote) = place
                && previous == b'\n'
            {
                return Err(unmatched(quote));
            }
        }
    }

    /// `has_text`: something of a word was read. As in xargs, empty quotes alone are none here.
    fn at_the_end(&mut self, place: Place, has_text: bool) -> Result<Found, WordError> {
        self.is_over = true;
        match place {
            _ if !has_text => Ok(Found::End),
            Place::Before => Ok(Found::End),
            Place::Quoted(quote) => Err(unmatched(quote)),
            Place::Within | Place::Escaped => Ok(Found::Word { ends_line: true }),
        }
    }
}

fn unmatched(quote: u8) -> WordError {
    WordError::Quote(if quote == b'"' { "double" } else { "single" })
}

/// What follows from a byte.
enum Step {
    /// It is not part of the word.
    To(Place),
    /// It is.
    Take(Place),
    /// It ends the word.
    Ends,
}

fn step(place: Place, byte: u8, at_blanks: bool) -> Step {
    match (place, byte) {
        (Place::Escaped, _) => Step::Take(Place::Within),
        (Place::Quoted(quote), byte) if byte == quote => Step::To(Place::Within),
        (Place::Quoted(quote), _) => Step::Take(Place::Quoted(quote)),
        (Place::Before, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c) => Step::To(Place::Before),
        (_, b'\n') => Step::Ends,
        (Place::Within, b' ' | b'\t') if at_blanks => Step::Ends,
        (_, b'\'' | b'"') => Step::To(Place::Quoted(byte)),
        (_, b'\\') => Step::To(Place::Escaped),
        _ => Step::Take(Place::Within),
    }
}
