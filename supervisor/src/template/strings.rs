//! Which replacement strings a run has, and where they stand in a text.

use std::borrow::Cow;
use std::sync::Arc;

use super::expression::BadExpression;
use super::plus;
use super::replacement::{
    BRACES, FORMS, Form, Number, OTHERS, Other, Replacement, Selection, Which, which, which_of_gnu,
};
use super::rule::Rule;

/// Those among the forms that are always replaced.
const ALWAYS: [&[u8]; 5] = [b"", b".", b"/", b"//", b"/."];

/// Of hosts and their groups, which only `--plus` in GNU parallel's reading has.
const HOSTS: [(&[u8], &str); 5] = [
    (b"{slot}", "${PARALLEL_JOBSLOT}"),
    (b"{host}", "${PARALLEL_SSHHOST}"),
    (b"{sshlogin}", "${PARALLEL_SSHLOGIN}"),
    (b"{hgrp}", "${PARALLEL_HOSTGROUPS}"),
    (b"{agrp}", "${PARALLEL_ARGHOSTGROUPS}"),
];

/// What may be given another spelling, as it is usually spelled.
const RENAMED: [&[u8]; 6] = [b"{.}", b"{/}", b"{//}", b"{/.}", b"{#}", b"{%}"];

/// Which replacement strings a run has.
#[derive(Debug, Clone)]
pub(crate) struct Strings {
    /// The one for the whole value (`{}`); not empty.
    pub(crate) whole: Cow<'static, [u8]>,
    /// The number of arguments of a value: there are those with a number (`{1}`), and those with
    /// several dots or a plus. `None`: there are none of these.
    pub(crate) numbered: Option<usize>,
    /// They are those of GNU parallel and no others, and braces never mean anything else.
    pub(crate) gnu: bool,
    /// There are those of `--plus`, too.
    pub(crate) plus: bool,
    /// Other spellings, each with the usual one.
    pub(crate) renamed: Vec<(Vec<u8>, &'static [u8])>,
    /// Names of columns, each with its number.
    pub(crate) names: Vec<(Vec<u8>, i32)>,
    /// What stands for a value without a number or a name (`{}`, `{.}`) stands for the argument
    /// with this number; else for all of them.
    pub(crate) bare: Option<i32>,
    /// Values are not appended to commands without replacement strings.
    pub(crate) explicit: bool,
    pub(crate) rules: Vec<Rule>,
    /// What stands around code, which is refused.
    pub(crate) parentheses: [Cow<'static, [u8]>; 2],
}

/// A replacement string that stands somewhere, or why it cannot be used; and its length.
type Found = (Result<Replacement, BadExpression>, usize);

impl Strings {
    /// Those of a run whose values have one argument. Braces with a number that may mean something
    /// else are taken literally.
    pub(crate) const USUAL: Strings = Strings::of(1);

    /// Those of a run whose values have this number of arguments.
    pub(crate) const fn of(arguments: usize) -> Strings {
        Strings {
            whole: Cow::Borrowed(BRACES),
            numbered: Some(arguments),
            gnu: false,
            plus: false,
            renamed: Vec::new(),
            names: Vec::new(),
            bare: None,
            explicit: false,
            rules: Vec::new(),
            parentheses: [Cow::Borrowed(b"{="), Cow::Borrowed(b"=}")],
        }
    }

    /// Gives what is usually spelled so another spelling.
    pub(crate) fn rename(&mut self, usual: &str, other: &[u8]) {
        let usual = RENAMED.iter().find(|known| **known == usual.as_bytes());
        if let Some(usual) = usual.filter(|usual| **usual != other) {
            self.renamed.push((other.to_vec(), usual));
        }
    }

    /// The replacement string that stands at this place of a text, and its length.
    pub(super) fn at(&self, text: &[u8], at: usize) -> Option<(Replacement, usize)> {
        let (found, len) = self.found(text, at)?;
        Some((found.ok()?, len))
    }

    /// Makes sure that each one in these words can be used.
    ///
    /// # Errors
    /// The first that cannot, and why.
    pub(super) fn check(&self, text: &[u8]) -> Result<(), (Vec<u8>, BadExpression)> {
        let mut at = 0;
        while at < text.len() {
            at += match self.found(text, at) {
                Some((Ok(_), len)) => len,
                Some((Err(why), len)) => return Err((text[at..at + len].to_vec(), why)),
                None => 1,
            };
        }
        Ok(())
    }

    fn found(&self, text: &[u8], at: usize) -> Option<Found> {
        let here = &text[at..];
        let found = self.named(here).or_else(|| self.by_rule(here)).or_else(|| {
            let found = self.spelled(here).or_else(|| self.in_braces(text, at));
            found
                .map(|(replacement, len)| (Ok(replacement), len))
                .or_else(|| self.by_plus(text, at))
        });
        found.map(|(found, len)| (found.map(|replacement| self.of_one(replacement)), len))
    }

    /// What stands for all arguments stands for one of them.
    fn of_one(&self, replacement: Replacement) -> Replacement {
        match (self.bare, replacement) {
            (Some(number), Replacement::Value(Selection { which: Which::All, form }))
                if form != Form::Out =>
            {
                Replacement::Value(Selection { which: Which::Nth(number), form })
            }
            (_, replacement) => replacement,
        }
    }

    /// The name of a column, with any form.
    fn named(&self, here: &[u8]) -> Option<Found> {
        let inner = here.strip_prefix(b"{").filter(|_| !self.names.is_empty())?;
        let found = self.names.iter().filter_map(|(name, number)| {
            let behind = inner.strip_prefix(name.as_slice()).filter(|_| !name.is_empty())?;
            let end = behind.iter().position(|byte| *byte == b'}')?;
            let (_, form) = FORMS.iter().find(|(spelling, _)| *spelling == &behind[..end])?;
            let part = Selection { which: Which::Nth(*number), form: form.clone() };
            Some((Ok(Replacement::Value(part)), 1 + name.len() + end + 1))
        });
        // A name may be the beginning of another one; no form is.
        found.max_by_key(|(_, len)| *len)
    }

    /// By a rule of the user: the longest, and among equal ones the last.
    fn by_rule(&self, here: &[u8]) -> Option<Found> {
        let found = self.rules.iter().filter_map(|rule| Some((rule.tag().len(), rule.at(here)?)));
        found.max_by_key(|(len, _)| *len).map(|(_, found)| found)
    }

    /// The whole value, and what was given another spelling.
    fn spelled(&self, here: &[u8]) -> Option<(Replacement, usize)> {
        let renamed = self.renamed.iter().filter(|(spelling, _)| here.starts_with(spelling));
        if let Some((spelling, usual)) = renamed.max_by_key(|(spelling, _)| spelling.len()) {
            let (replacement, _) = Strings::USUAL.in_braces(usual, 0)?;
            return Some((replacement, spelling.len()));
        }
        if here.starts_with(&self.whole) {
            return Some((Replacement::Value(Selection::WHOLE), self.whole.len()));
        }
        self.spelled_with_number(here)
    }

    /// Other spellings that begin with a brace may have a number behind it.
    fn spelled_with_number(&self, here: &[u8]) -> Option<(Replacement, usize)> {
        let inner = here.strip_prefix(b"{").filter(|_| self.numbered.is_some())?;
        let whole = Some((&*self.whole, BRACES)).filter(|(whole, _)| *whole != BRACES);
        let renamed = self.renamed.iter().map(|(spelling, usual)| (spelling.as_slice(), *usual));
        renamed.chain(whole).find_map(|(spelling, usual)| {
            let (which, rest) = self.which(inner)?;
            rest.strip_prefix(spelling.strip_prefix(b"{")?)
                .filter(|_| which != Which::All || self.gnu)?;
            let form =
                FORMS.iter().find(|(form, _)| *form == &usual[1..usual.len() - 1])?.1.clone();
            let number = inner.len() - rest.len();
            Some((Replacement::Value(Selection { which, form }), number + spelling.len()))
        })
    }

    /// A number at the beginning of this, and what follows it.
    fn which<'a>(&self, inner: &'a [u8]) -> Option<(Which, &'a [u8])> {
        if self.gnu { which_of_gnu(inner) } else { which(inner) }
    }

    fn in_braces(&self, text: &[u8], at: usize) -> Option<(Replacement, usize)> {
        let here = &text[at..];
        let is_renamed = |usual: &[u8]| self.renamed.iter().any(|(_, other)| *other == usual);
        if here.first() != Some(&b'{') || here.starts_with(BRACES) {
            return None;
        }
        let end = here.iter().position(|byte| *byte == b'}')?;
        let (whole, inner) = (&here[..=end], &here[1..end]);
        if is_renamed(whole) {
            return None;
        }
        let other = OTHERS.iter().find(|other| other.spelling == whole);
        let is_literal = self.numbered.is_none();
        let is_there = |other: &&Other| other.is_there(self.gnu, self.plus, is_literal);
        if let Some(other) = other.filter(is_there) {
            return Some((other.replacement.clone(), end + 1));
        }
        if self.plus
            && let Some((_, variable)) = HOSTS.iter().find(|(spelling, _)| *spelling == whole)
        {
            let replacement = match self.gnu {
                true => Replacement::Variable(variable),
                false if whole == b"{slot}" => Replacement::Slot,
                false => return None,
            };
            return Some((replacement, end + 1));
        }
        if self.plus && matches!(inner, b"uniq" | b"choose_k") {
            return Some((Replacement::Value(Selection::WHOLE), end + 1));
        }
        if let (true, Some((sign, number))) = (self.gnu, inner.split_last())
            && !number.is_empty()
            && number.iter().all(u8::is_ascii_digit)
        {
            // It is that of an argument, but if there is one, the string means the same for all.
            let which = self.which(number).map_or(Which::All, |(which, _)| which);
            let is_there = match which {
                Which::Nth(number) => {
                    self.numbered.is_some_and(|all| number.unsigned_abs() as usize <= all)
                }
                Which::All => true,
            };
            match sign {
                b'#' | b'%' if !is_there => {
                    let part = Selection { which, form: Form::Whole };
                    return Some((Replacement::Value(part), end + 1));
                }
                b'#' => return Some((Replacement::Number(Number::Seq), end + 1)),
                b'%' => return Some((Replacement::Slot, end + 1)),
                _ => {}
            }
        }
        let (which, spelling) = self.which(inner)?;
        // Where the whole value has another spelling, so has one argument, in GNU parallel.
        if self.gnu && self.whole != BRACES && spelling.is_empty() {
            return None;
        }
        let (_, form) = FORMS.iter().find(|(known, _)| *known == spelling)?;
        let is_there = ALWAYS.contains(&spelling) || self.plus || !self.gnu;
        let means_it = is_there && self.means_it(which, spelling, text[..at].last());
        let part = Selection { which, form: form.clone() };
        means_it.then_some((Replacement::Value(part), end + 1))
    }

    /// What changes an argument, with `--plus`.
    fn by_plus(&self, text: &[u8], at: usize) -> Option<Found> {
        let here = &text[at..];
        let inner = here.strip_prefix(b"{").filter(|_| self.plus)?;
        let end = inner.iter().position(|byte| *byte == b'}')?;
        let (which, rest) = self.which(&inner[..end])?;
        // A parameter of a shell.
        if !self.gnu && text[..at].last() == Some(&b'$') {
            return None;
        }
        let edit = plus::edit(rest)?;
        let value = edit.map(|edit| {
            Replacement::Value(Selection { which, form: Form::Edited(Arc::new(edit)) })
        });
        Some((value, end + 2))
    }

    /// Whether braces mean an argument, and nothing that a shell or a regular expression has.
    fn means_it(&self, which: Which, spelling: &[u8], before: Option<&u8>) -> bool {
        match which {
            Which::All => self.numbered.is_some() || ALWAYS.contains(&spelling),
            Which::Nth(_) if self.gnu => self.numbered.is_some(),
            Which::Nth(number) => self.numbered.is_some_and(|arguments| {
                // A parameter of a shell.
                before != Some(&b'$') && (arguments > 1 || !may_repeat(before, number, spelling))
            }),
        }
    }

    /// Returns `line` with each byte of a replacement string overwritten by [`INERT`], which means
    /// nothing to a shell: the rest can be judged as shell syntax.
    pub(super) fn masked(&self, line: &[u8]) -> Vec<u8> {
        let mut mask = line.to_vec();
        let mut at = 0;
        while at < line.len() {
            match self.at(line, at) {
                Some((_, len)) => {
                    mask[at..at + len].fill(INERT);
                    at += len;
                }
                None => at += 1,
            }
        }
        mask
    }
}

/// What stands in the place of a replacement string.
pub(super) const INERT: u8 = 0xff;

/// Whether braces with this number may say, in a regular expression, how often the character before
/// them repeats. After `]` and `)` any number is taken for that, after letters and dots any number
/// but 1 (`out.{1}` has the first argument).
fn may_repeat(before: Option<&u8>, number: i32, form: &[u8]) -> bool {
    let is_plain = form.is_empty() && number > 0;
    match before {
        Some(b']' | b')') => is_plain,
        Some(last) => is_plain && number != 1 && (last.is_ascii_alphanumeric() || *last == b'.'),
        None => false,
    }
}
