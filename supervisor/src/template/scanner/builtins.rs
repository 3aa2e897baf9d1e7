//! Builtins that take a word for the name of a variable, or compute it: shells run the code in the
//! index of an array there (`a[$(..)]`).

use super::{Dialect, Doubt};
use crate::template::strings::INERT;

/// Take names; what they read is not among their words.
const NAMING: [&[u8]; 8] =
    [b"unset", b"read", b"mapfile", b"readarray", b"getopts", b"vared", b"nameref", b"sysread"];

/// Commands that give variables an attribute, perhaps that of an integer.
const DECLARING: [&[u8]; 8] =
    [b"declare", b"typeset", b"local", b"export", b"readonly", b"integer", b"float", b"private"];

/// Compute their words in zsh and ksh.
const COMPUTING: [&[u8]; 9] =
    [b"exit", b"return", b"shift", b"break", b"continue", b"ulimit", b"repeat", b"bye", b"logout"];

/// Variables whose values some shells compute.
const COMPUTED: [&[u8]; 18] = [
    b"OPTIND",
    b"RANDOM",
    b"SRANDOM",
    b"SECONDS",
    b"HISTCMD",
    b"LINENO",
    b"COLUMNS",
    b"LINES",
    b"TMOUT",
    b"HISTSIZE",
    b"SAVEHIST",
    b"KEYTIMEOUT",
    b"LISTMAX",
    b"MAILCHECK",
    b"LOGCHECK",
    b"DIRSTACKSIZE",
    b"FUNCNEST",
    b"REPORTTIME",
];

/// Follows the words of a builtin.
#[derive(Debug, Clone, Default)]
pub(super) struct Builtin {
    takes: Takes,
    /// The word before, without quotes.
    previous: Vec<u8>,
    /// Options have ended.
    operands: bool,
    /// Its words must be numbers from here on.
    pub(super) computes: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Takes {
    #[default]
    Nothing,
    Names,
    /// Behind an option with this letter.
    NameBehind(u8),
    Declarations {
        /// A name without `=` may be a value.
        names: bool,
        /// Why no value may stand there, behind some options.
        strict: Option<Doubt>,
    },
    /// Of `[`, `test` and `[[`.
    Conditions,
    /// A format is next.
    Format {
        /// It stands behind an option (`print -f`).
        optional: bool,
    },
    Formatted(Format),
}

/// What a format does with the words behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Texts,
    Integers,
    /// Some of them are computed.
    Mixed,
    /// It begins with a value: it could be an option.
    Option,
}

impl Builtin {
    /// The builtin of this name, if it is one of them.
    pub(super) fn named(word: &[u8], dialect: Dialect) -> Builtin {
        let is_rich = matches!(dialect, Dialect::Zsh | Dialect::Ksh);
        let takes = match word {
            _ if NAMING.contains(&word) => Takes::Names,
            b"export" | b"readonly" => Takes::Declarations { names: !is_rich, strict: None },
            _ if is_declaring(word) => Takes::Declarations { names: false, strict: None },
            b"[" | b"test" | b"[[" => Takes::Conditions,
            b"wait" => Takes::NameBehind(b'p'),
            b"set" => Takes::NameBehind(b'A'),
            b"printf" => Takes::Format { optional: false },
            b"print" if is_rich => Takes::Format { optional: true },
            _ => Takes::Nothing,
        };
        let computes = is_rich && (COMPUTING.contains(&word) || word == b"float");
        Builtin { takes, computes, ..Builtin::default() }
    }

    pub(super) fn is_known(&self) -> bool {
        self.takes != Takes::Nothing || self.computes
    }

    /// Takes the next word without quotes, with values masked, and whether a value is in it.
    /// Returns why the value cannot stand there.
    pub(super) fn word(&mut self, word: &[u8], has_value: bool, dialect: Dialect) -> Option<Doubt> {
        let is_option = !self.operands && word.len() > 1 && matches!(word[0], b'-' | b'+');
        let previous = std::mem::replace(&mut self.previous, word.to_vec());
        let had_option = |letter: u8| previous.starts_with(b"-") && previous.contains(&letter);
        let doubt = match self.takes {
            Takes::Nothing => None,
            Takes::Names => Some(Doubt::Name),
            Takes::NameBehind(letter) => self.behind_option(word, &previous, letter),
            Takes::Declarations { names, strict } => {
                let has = |letters: &[u8]| word.iter().any(|byte| letters.contains(byte));
                let strict = match strict {
                    None if is_option && has(b"aA") => Some(Doubt::Elements),
                    // `export -n` is harmless.
                    None if is_option && has(b"n") && !names => Some(Doubt::Name),
                    strict => strict,
                };
                self.takes = Takes::Declarations { names, strict };
                let name = word.iter().position(|byte| *byte == b'=').map(|at| &word[..at]);
                match name {
                    _ if strict.is_some() => strict,
                    Some(name) if !name.contains(&INERT) && !is_option => None,
                    _ if names => None,
                    _ => Some(Doubt::Name),
                }
            }
            Takes::Conditions => match previous.as_slice() {
                b"-v" | b"-t" | b"-R" => Some(Doubt::Name),
                [INERT, ..] => Some(Doubt::Operator),
                _ => None,
            },
            Takes::Format { optional } => {
                if !self.operands && had_option(b'v') {
                    Some(Doubt::Name)
                } else if optional && (self.operands || !had_option(b'f')) {
                    self.operands |= !is_option;
                    (is_option && word.contains(&b'v')).then_some(Doubt::Name)
                } else if is_option && word[1] == b'v' {
                    Some(Doubt::Name)
                } else {
                    if word != b"--" {
                        self.takes = Takes::Formatted(Format::of(word, self.operands, dialect));
                        self.computes = self.takes == Takes::Formatted(Format::Integers);
                    }
                    None
                }
            }
            Takes::Formatted(Format::Texts | Format::Integers) => None,
            Takes::Formatted(Format::Mixed) => Some(Doubt::Computed),
            Takes::Formatted(Format::Option) => Some(Doubt::Operator),
        };
        self.operands |= word == b"--";
        doubt.filter(|_| has_value)
    }

    /// A word of a builtin that takes a name behind an option with this letter.
    fn behind_option(&mut self, word: &[u8], previous: &[u8], letter: u8) -> Option<Doubt> {
        let is_option = |word: &[u8]| {
            matches!(word, [b'-' | b'+', first, ..] if *first != b'-') && word.contains(&letter)
        };
        let is_name = !self.operands && (is_option(word) || is_option(previous));
        is_name.then_some(Doubt::Name)
    }
}

impl Format {
    fn of(format: &[u8], operands: bool, dialect: Dialect) -> Format {
        if format.first() == Some(&INERT) && !operands {
            return Format::Option;
        }
        if !matches!(dialect, Dialect::Zsh | Dialect::Ksh) {
            return Format::Texts;
        }
        if format.contains(&INERT) {
            return Format::Mixed;
        }
        let (mut texts, mut integers) = (false, false);
        let mut rest = format.iter();
        while rest.any(|byte| *byte == b'%') {
            let conversion = rest.find(|byte| !b"-+ #0123456789.$hlLjzt".contains(byte));
            match conversion {
                Some(b's' | b'b' | b'q' | b'c') => texts = true,
                Some(b'd' | b'i' | b'o' | b'u' | b'x' | b'X') => integers = true,
                Some(b'%') | None => {}
                Some(_) => return Format::Mixed,
            }
        }
        match (texts, integers) {
            (true, true) => Format::Mixed,
            (false, true) => Format::Integers,
            (_, false) => Format::Texts,
        }
    }
}

/// Whether this command declares variables.
pub(super) fn is_declaring(word: &[u8]) -> bool {
    DECLARING.contains(&word)
}

/// Whether shells compute what is assigned to this variable.
pub(super) fn is_computed(name: &[u8]) -> bool {
    COMPUTED.contains(&name)
}

/// The name in `NAME=..` or `NAME+=..`.
pub(super) fn assigned(word: &[u8]) -> Option<&[u8]> {
    let equals = word.iter().position(|byte| *byte == b'=')?;
    Some(word[..equals].strip_suffix(b"+").unwrap_or(&word[..equals]))
}
