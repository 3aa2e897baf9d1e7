//! Changes to an argument that no fixed part of it stands for: `--plus` and `--rpl`.

use std::borrow::Cow;

use regex::bytes::{Captures, Regex};

use crate::regexp::{self, BadRegexp, RegexpModes};

/// Changes that are made one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Edit {
    /// What it was made from: equal sources give equal edits.
    source: Vec<u8>,
    steps: Vec<Change>,
}

impl PartialEq for Edit {
    fn eq(&self, other: &Edit) -> bool {
        self.source == other.source
    }
}

impl Eq for Edit {}

/// One change.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Substitute(Substitution),
    /// The first of these that matches.
    Either(Vec<Substitution>),
    /// Each byte becomes another one, or none.
    Translate(Box<[Option<u8>; 256]>),
    LetterCase(LetterCase),
    /// This if the argument is empty or `0`, which is what Perl means by `||=`.
    Default(Vec<u8>),
    /// This number of bytes from here on; all others if there is no number. Places are counted from
    /// the end if they are negative, and a negative number of bytes is left at the end.
    Part(i64, Option<i64>),
}

/// Replaces what a regular expression matches.
#[derive(Debug, Clone)]
pub(super) struct Substitution {
    pub(super) regexp: Regex,
    pub(super) with: Vec<Insert>,
    /// Everywhere, not only where it matches first.
    pub(super) all: bool,
}

/// What is put into the place of a match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Insert {
    Text(Vec<u8>),
    /// The group with this number; 0 is the whole match.
    Group(usize, LetterCase),
}

/// Which ASCII letters are changed, to what. Other characters stay, as in a Perl that reads bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LetterCase {
    Same,
    Upper,
    Lower,
    UpperFirst,
    LowerFirst,
}

impl LetterCase {
    pub(super) fn of(self, text: &[u8]) -> Vec<u8> {
        let mut text = text.to_vec();
        let first = text.len().min(1);
        match self {
            LetterCase::Same => {}
            LetterCase::Upper => text.make_ascii_uppercase(),
            LetterCase::Lower => text.make_ascii_lowercase(),
            LetterCase::UpperFirst => text[..first].make_ascii_uppercase(),
            LetterCase::LowerFirst => text[..first].make_ascii_lowercase(),
        }
        text
    }
}

impl Edit {
    pub(super) fn new(source: Vec<u8>, steps: Vec<Change>) -> Edit {
        Edit { source, steps }
    }

    /// Letters and digits that stand for this edit and no other.
    pub(super) fn name(&self) -> String {
        self.source.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What becomes of an argument.
    pub(super) fn of<'a>(&self, argument: &'a [u8]) -> Cow<'a, [u8]> {
        let mut text = Cow::Borrowed(argument);
        for step in &self.steps {
            if let Some(changed) = step.of(&text) {
                text = Cow::Owned(changed);
            }
        }
        text
    }
}

impl Change {
    /// The text after it; `None` if nothing changes.
    fn of(&self, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Change::Substitute(substitution) => substitution.of(text),
            Change::Either(several) => several.iter().find_map(|one| one.of(text)),
            Change::Translate(table) => {
                Some(text.iter().filter_map(|byte| table[usize::from(*byte)]).collect())
            }
            Change::LetterCase(case) => Some(case.of(text)),
            Change::Default(default) => matches!(text, b"" | b"0").then(|| default.clone()),
            Change::Part(from, len) => Some(part(text, *from, *len).to_vec()),
        }
    }
}

fn part(text: &[u8], from: i64, len: Option<i64>) -> &[u8] {
    let all = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let place = |at: i64| if at < 0 { all.saturating_add(at) } else { at }.clamp(0, all);
    let start = place(from);
    let end = match len {
        None => all,
        Some(len) if len < 0 => place(len),
        Some(len) => start.saturating_add(len).min(all),
    };
    &text[start as usize..end.max(start) as usize]
}

impl Substitution {
    /// # Errors
    /// The regular expression cannot be used.
    pub(super) fn new(
        regexp: &str,
        flags: &Flags,
        with: Vec<Insert>,
    ) -> Result<Substitution, BadRegexp> {
        let modes = RegexpModes {
            ignores_case: flags.ignores_case,
            dot_is_any: flags.dot_is_any,
            lines: flags.lines,
            spaced: flags.spaced,
        };
        let regexp = regexp::of_perl(regexp.as_bytes(), modes)?;
        Ok(Substitution { regexp, with, all: flags.all })
    }

    /// The text with its matches replaced; `None` if there are none.
    fn of(&self, text: &[u8]) -> Option<Vec<u8>> {
        if !self.regexp.is_match(text) {
            return None;
        }
        let insert = |found: &Captures<'_>| self.insert(found);
        let matches = if self.all { 0 } else { 1 };
        Some(self.regexp.replacen(text, matches, insert).into_owned())
    }

    fn insert(&self, found: &Captures<'_>) -> Vec<u8> {
        let mut inserted = Vec::new();
        for piece in &self.with {
            match piece {
                Insert::Text(text) => inserted.extend_from_slice(text),
                Insert::Group(number, case) => {
                    let group = found.get(*number).map_or(&b""[..], |group| group.as_bytes());
                    inserted.extend(case.of(group));
                }
            }
        }
        inserted
    }
}

/// What stands behind a substitution: `g i s m x`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) all: bool,
    pub(super) ignores_case: bool,
    pub(super) dot_is_any: bool,
    pub(super) lines: bool,
    pub(super) spaced: bool,
    /// What is inserted is code (`e`).
    pub(super) is_code: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_as_perl_cuts_them() {
        for (from, len, expected) in [
            (2, None, "cdef"),
            (9, None, ""),
            (-2, None, "ef"),
            (1, Some(2), "bc"),
            (4, Some(9), "ef"),
            (1, Some(-2), "bcd"),
            (5, Some(-3), ""),
            (i64::MIN, Some(i64::MAX), "abcdef"),
        ] {
            assert_eq!(part(b"abcdef", from, len), expected.as_bytes(), "{from} {len:?}");
        }
    }

    #[test]
    fn steps_follow_each_other_and_alternatives_do_not() {
        let substitution = |regexp: &str, with: &str| {
            let with = vec![Insert::Text(with.as_bytes().to_vec())];
            Substitution::new(regexp, &Flags::default(), with).expect("valid")
        };
        let either = vec![substitution("x", "1"), substitution("b", "2"), substitution("c", "3")];
        let steps = vec![Change::Either(either), Change::LetterCase(LetterCase::Upper)];
        let edit = Edit::new(b"test".to_vec(), steps);
        assert_eq!(edit.of(b"a\xffbc").as_ref(), b"A\xff2C");
        assert_eq!(edit.name(), "74657374");
        let default = Edit::new(Vec::new(), vec![Change::Default(b"d".to_vec())]);
        assert_eq!([&b""[..], b"0", b"00"].map(|text| default.of(text)), [&b"d"[..], b"d", b"00"]);
    }
}
