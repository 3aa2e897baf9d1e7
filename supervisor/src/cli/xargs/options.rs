//! The options of xargs. They stop at the first word that is none.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::limits::LineLimits;
use super::usage::XargsError;

/// What was asked for.
#[derive(Debug)]
pub(super) enum Asked {
    Run(Box<Options>),
    Help,
    Version,
}

/// The options of a run.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) file: Option<PathBuf>,
    /// The byte that ends each argument; `None`: blanks and newlines do.
    pub(super) delimiter: Option<u8>,
    /// The argument that ends the input.
    pub(super) end: Option<Vec<u8>>,
    pub(super) grouping: Grouping,
    /// At most this number of commands run at once; 0: as many as possible.
    pub(super) procs: u64,
    pub(super) runs_empty: bool,
    /// The limit on the length of a command line.
    pub(super) chars: Option<usize>,
    pub(super) must_fit: bool,
    pub(super) shows_commands: bool,
    /// The user is asked before each of them.
    pub(super) asks: bool,
    pub(super) shows_limits: bool,
    /// The variable that holds the slot; empty if none does.
    pub(super) slot_variable: Vec<u8>,
    pub(super) command: Vec<OsString>,
}

/// Which arguments a command gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Grouping {
    /// As many as there is room for.
    Full,
    /// At most this number.
    Words(usize),
    /// Those of this number of lines.
    Lines(usize),
    /// One, in the place of this string.
    Replaced(Vec<u8>),
}

/// Whether an option has an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Nothing,
    Always,
    /// Only one that is part of the same word.
    Perhaps,
}

use Takes::{Always, Nothing, Perhaps};

/// Stand for options that have no letter.
const HELP: char = '?';
const VERSION: char = 'v';
const LIMITS: char = 'S';
const SLOT: char = 'V';

/// Letters and names, in the order in which ambiguous ones are listed.
const OPTIONS: [(char, &str, Takes); 19] = [
    ('0', "null", Nothing),
    ('a', "arg-file", Always),
    ('d', "delimiter", Always),
    ('e', "eof", Perhaps),
    ('i', "replace", Perhaps),
    ('l', "max-lines", Perhaps),
    ('n', "max-args", Always),
    ('o', "open-tty", Nothing),
    ('p', "interactive", Nothing),
    ('r', "no-run-if-empty", Nothing),
    ('s', "max-chars", Always),
    ('t', "verbose", Nothing),
    (LIMITS, "show-limits", Nothing),
    ('x', "exit", Nothing),
    ('P', "max-procs", Always),
    (SLOT, "process-slot-var", Always),
    (VERSION, "version", Nothing),
    (HELP, "help", Nothing),
    // Without a name.
    ('I', "", Always),
];

/// Those without a name as well.
const LETTERS_ONLY: [(char, Takes); 3] = [('E', Always), ('L', Always), ('I', Always)];

/// All of them, as they are typed.
pub(super) fn flags() -> impl Iterator<Item = String> {
    let stand_in = [HELP, VERSION, LIMITS, SLOT];
    let letters = OPTIONS.iter().map(|(letter, ..)| *letter).filter(move |c| !stand_in.contains(c));
    let letters = letters.chain(LETTERS_ONLY[..2].iter().map(|(letter, _)| *letter));
    let names = OPTIONS.iter().map(|(_, name, _)| *name).filter(|name| !name.is_empty());
    letters.map(|letter| format!("-{letter}")).chain(names.map(|name| format!("--{name}")))
}

/// Reads the words. `warn`: says that an option has no effect.
///
/// # Errors
/// [`XargsError`].
pub(super) fn read(words: Vec<OsString>, mut warn: impl FnMut(&str)) -> Result<Asked, XargsError> {
    let mut options = Options {
        file: None,
        delimiter: None,
        end: None,
        grouping: Grouping::Full,
        procs: 1,
        runs_empty: true,
        chars: None,
        must_fit: false,
        shows_commands: false,
        asks: false,
        shows_limits: false,
        slot_variable: Vec::new(),
        command: Vec::new(),
    };
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let bytes = word.as_bytes();
        if bytes == b"--" {
            break;
        }
        if let Some(name) = bytes.strip_prefix(b"--") {
            let (letter, argument) = long(name, &mut words)?;
            match letter {
                HELP => return Ok(Asked::Help),
                VERSION => return Ok(Asked::Version),
                letter => options.take(letter, argument, &mut warn)?,
            }
        } else if let [b'-', letters @ ..] = bytes
            && !letters.is_empty()
        {
            short(letters, &mut words, &mut options, &mut warn)?;
        } else {
            options.command.push(word);
            break;
        }
    }
    options.command.extend(words);
    if options.end.is_some() && options.delimiter.is_some() {
        warn("warning: the -E option has no effect if -0 or -d is used.\n");
    }
    Ok(Asked::Run(Box::new(options)))
}

/// An option with a name, which may be shortened.
fn long(
    typed: &[u8],
    words: &mut impl Iterator<Item = OsString>,
) -> Result<(char, Option<Vec<u8>>), XargsError> {
    let mut parts = typed.splitn(2, |byte| *byte == b'=');
    let name = parts.next().unwrap_or_default();
    let argument = parts.next().map(<[u8]>::to_vec);
    let begun = OPTIONS
        .iter()
        .filter(|(_, known, _)| !known.is_empty() && known.as_bytes().starts_with(name));
    let exact = OPTIONS.iter().find(|(_, known, _)| known.as_bytes() == name && !name.is_empty());
    let found: Vec<_> = exact.map_or_else(|| begun.collect(), |exact| vec![exact]);
    let shown = || format!("--{}", String::from_utf8_lossy(name));
    let (letter, name, takes) = match found.as_slice() {
        [] => return Err(XargsError::UnknownName(shown())),
        [one] => **one,
        several => {
            let names = several.iter().map(|(_, name, _)| *name).collect();
            return Err(XargsError::Ambiguous { typed: shown(), names });
        }
    };
    match (takes, argument) {
        (Nothing, Some(_)) => Err(XargsError::NoArgument(name)),
        (Always, None) => {
            let next = words.next().ok_or(XargsError::NameAlone(name))?;
            Ok((letter, Some(next.into_vec())))
        }
        (_, argument) => Ok((letter, argument)),
    }
}

/// Options of one letter, one behind the other.
fn short(
    letters: &[u8],
    words: &mut impl Iterator<Item = OsString>,
    options: &mut Options,
    warn: &mut impl FnMut(&str),
) -> Result<(), XargsError> {
    let mut rest = letters;
    while let [letter, behind @ ..] = rest {
        let letter = char::from(*letter);
        let named = OPTIONS.iter().map(|(known, _, takes)| (*known, *takes));
        let mut all = named.chain(LETTERS_ONLY);
        let has_letter = ![HELP, VERSION, LIMITS, SLOT].contains(&letter);
        let found = all.find(|(known, _)| has_letter && *known == letter);
        let (_, takes) = found.ok_or(XargsError::UnknownLetter(letter))?;
        let attached = (!behind.is_empty()).then(|| behind.to_vec());
        match (takes, attached) {
            (Nothing, _) => {
                options.take(letter, None, warn)?;
                rest = behind;
                continue;
            }
            (Always, None) => {
                let next = words.next().ok_or(XargsError::LetterAlone(letter))?;
                options.take(letter, Some(next.into_vec()), warn)?;
            }
            (_, attached) => options.take(letter, attached, warn)?,
        }
        break;
    }
    Ok(())
}

impl Options {
    fn take(
        &mut self,
        letter: char,
        argument: Option<Vec<u8>>,
        warn: &mut impl FnMut(&str),
    ) -> Result<(), XargsError> {
        let given = argument.clone().unwrap_or_default();
        match letter {
            '0' => self.delimiter = Some(0),
            'a' => self.file = Some(OsString::from_vec(given).into()),
            'd' => self.delimiter = Some(delimiter(&given)?),
            'E' => self.end = Some(given).filter(|end| !end.is_empty()),
            'e' => self.end = argument.filter(|end| !end.is_empty()),
            'I' => self.group(Grouping::Replaced(given), "replace/-I/-i", warn),
            'i' => {
                let string = argument.unwrap_or_else(|| b"{}".to_vec());
                self.group(Grouping::Replaced(string), "replace/-I/-i", warn);
            }
            'L' => self.group(Grouping::Lines(number('L', &given, 1)?), "-L", warn),
            'l' => {
                let lines = argument.map_or(Ok(1), |typed| number('l', &typed, 1))?;
                self.group(Grouping::Lines(lines), "max-lines/-l", warn);
            }
            'n' => self.group(Grouping::Words(number('n', &given, 1)?), "max-args/-n", warn),
            'P' => self.procs = procs(&given)?,
            'r' => self.runs_empty = false,
            's' => self.chars = Some(chars(&given, warn)?),
            't' => self.shows_commands = true,
            'p' => self.asks = true,
            'x' => self.must_fit = true,
            LIMITS => self.shows_limits = true,
            SLOT if given.is_empty() => return Err(XargsError::NoSlotVariable),
            SLOT if given.contains(&b'=') => return Err(XargsError::SlotVariable),
            SLOT => self.slot_variable = given,
            _ => {
                let instead = "commands cannot read the terminal: give them what they ask for in \
                               files or variables";
                return Err(XargsError::Unsupported { letter, instead });
            }
        }
        Ok(())
    }

    /// Which arguments a command gets. The last option about that counts, but for one argument per
    /// command where each line has one.
    fn group(&mut self, grouping: Grouping, name: &str, warn: &mut impl FnMut(&str)) {
        if let (Grouping::Replaced(_), Grouping::Words(1)) = (&self.grouping, &grouping) {
            return;
        }
        let before = match (&self.grouping, &grouping) {
            (Grouping::Full, _)
            | (Grouping::Words(_), Grouping::Words(_))
            | (Grouping::Lines(_), Grouping::Lines(_))
            | (Grouping::Replaced(_), Grouping::Replaced(_)) => None,
            (Grouping::Words(_), _) => Some("max-args"),
            (Grouping::Lines(_), _) => Some("max-lines"),
            (Grouping::Replaced(_), _) => Some("replace"),
        };
        if let Some(before) = before {
            let name = if name.starts_with('-') { name.to_owned() } else { format!("--{name}") };
            warn(&format!(
                "warning: options --{before} and {name} are mutually exclusive, ignoring previous \
                 --{before} value"
            ));
        }
        self.grouping = grouping;
    }
}

/// A number of at least this.
fn number(letter: char, typed: &[u8], least: u64) -> Result<usize, XargsError> {
    let shown = || String::from_utf8_lossy(typed).into_owned();
    let (is_negative, digits) =
        digits(typed).ok_or_else(|| XargsError::NoNumber { letter, typed: shown() })?;
    // More than there can be is as many as there are.
    let number = digits.parse().unwrap_or(usize::MAX);
    if is_negative || (number as u64) < least {
        return Err(XargsError::TooSmall { letter, typed: shown(), least });
    }
    Ok(number)
}

/// The digits of a number, and whether it is below 0. Blanks and a sign may stand before them.
fn digits(typed: &[u8]) -> Option<(bool, &str)> {
    let text = str::from_utf8(typed).ok()?.trim_start();
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some((is_negative, digits))
}

fn procs(typed: &[u8]) -> Result<u64, XargsError> {
    let procs = number('P', typed, 0)? as u64;
    let most = i32::MAX as u64;
    if procs > most {
        let typed = String::from_utf8_lossy(typed).into_owned();
        return Err(XargsError::TooLarge { letter: 'P', typed, most });
    }
    Ok(procs)
}

/// The value of -s. One that is out of range is told and brought into it.
fn chars(typed: &[u8], warn: &mut impl FnMut(&str)) -> Result<usize, XargsError> {
    let most = LineLimits::of_this_system().most;
    match number('s', typed, 1) {
        Ok(chars) if chars > most => {
            let typed = String::from_utf8_lossy(typed).into_owned();
            let why = XargsError::TooLarge { letter: 's', typed, most: most as u64 };
            warn(&why.to_string());
            Ok(most)
        }
        Err(why @ XargsError::TooSmall { .. }) => {
            warn(&why.to_string());
            Ok(1)
        }
        other => other,
    }
}

/// The byte that an octal number means, if it is one.
fn octal(digits: &[u8]) -> Option<Result<u8, ()>> {
    const LARGEST: u32 = 0o377;
    let text = str::from_utf8(digits).ok()?;
    let number = u32::from_str_radix(text, 8).ok().filter(|_| !text.starts_with('+'))?;
    Some(if number <= LARGEST { Ok(number as u8) } else { Err(()) })
}

/// One character, or an escape as C has them.
fn delimiter(typed: &[u8]) -> Result<u8, XargsError> {
    let shown = || String::from_utf8_lossy(typed).into_owned();
    match typed {
        [byte] => Ok(*byte),
        [b'\\', digits @ ..] if octal(digits).is_some() => match octal(digits) {
            Some(Ok(byte)) => Ok(byte),
            _ => Err(XargsError::LargeEscape(shown())),
        },
        [b'\\', ..] => match crate::cli::delimiter::of(Some(OsStr::from_bytes(typed)), false) {
            Ok(bytes) if bytes.len() == 1 => Ok(bytes[0]),
            _ => Err(XargsError::Escape(shown())),
        },
        _ => Err(XargsError::Delimiter(shown())),
    }
}
