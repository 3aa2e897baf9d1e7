//! Replacement strings: how they are spelled, and which part of which argument they stand for.

use std::borrow::Cow;
use std::io::Write;
use std::sync::Arc;

use super::edit::Edit;
use super::rendering::{Facts, Totals};
use crate::arguments;

/// A part of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// `{}`
    Whole,
    /// `{/}`
    Base,
    /// `{//}`
    Dir,
    /// `{+/}`: all before the last slash.
    Before,
    /// `{.}`, `{..}`, `{...}`: without this number of extensions, if it has them.
    Without(u8),
    /// `{/.}`, `{/..}`, `{/...}`: the same of its base name.
    BaseWithout(u8),
    /// `{+.}`, `{+..}`, `{+...}`: this number of extensions.
    Extensions(u8),
    /// What `--plus` and `--rpl` make of it.
    Edited(Arc<Edit>),
    /// `{out}`: not a part of an argument but the file that the task makes.
    Out,
}

/// Which arguments of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// All of them.
    All,
    /// The one with this number, from 1; from the end if it is negative.
    Nth(i32),
}

/// A part of one argument, or the same part of all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) which: Which,
    pub(super) form: Form,
}

/// What a replacement string asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Replacement {
    /// A part of the value.
    Value(Selection),
    /// A number that the task has before it is started.
    Number(Number),
    /// `{%}`: the slot number of the worker that takes the task.
    Slot,
    /// `{0%}`: the same with as many digits as the largest one has.
    PaddedSlot,
    /// A variable that a shell expands, in GNU parallel's reading.
    Variable(&'static str),
}

/// A number that a task has before it is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    /// `{#}`: its sequence number.
    Seq,
    /// `{0#}`: the same with as many digits as the number of all tasks has.
    PaddedSeq,
    /// `{##}`: the number of all tasks.
    Total,
    /// `{threads}`: how many threads the command may use.
    Threads,
}

impl Number {
    /// Whether all tasks must be known before.
    pub(super) fn needs_total(self) -> bool {
        matches!(self, Number::PaddedSeq | Number::Total)
    }

    /// Appends it to a text.
    pub(super) fn push(self, text: &mut Vec<u8>, facts: Facts<'_>) {
        let Facts { seq, threads, totals: Totals { tasks, .. }, .. } = facts;
        let written = match self {
            Number::Seq => write!(text, "{seq}"),
            Number::PaddedSeq => {
                let digits = digits(tasks);
                write!(text, "{seq:0digits$}")
            }
            Number::Total => write!(text, "{tasks}"),
            Number::Threads => write!(text, "{threads}"),
        };
        written.expect("a Vec takes every write");
    }
}

/// How many digits this number has.
pub(super) fn digits(number: u64) -> usize {
    number.max(1).ilog10() as usize + 1
}

/// What stands for the whole value, unless another string was chosen.
pub(super) const BRACES: &[u8] = b"{}";

/// Spellings of parts of an argument without their braces, and without a number.
pub(super) static FORMS: [(&[u8], Form); 13] = [
    (b"", Form::Whole),
    (b"/", Form::Base),
    (b"//", Form::Dir),
    (b"+/", Form::Before),
    (b".", Form::Without(1)),
    (b"..", Form::Without(2)),
    (b"...", Form::Without(3)),
    (b"/.", Form::BaseWithout(1)),
    (b"/..", Form::BaseWithout(2)),
    (b"/...", Form::BaseWithout(3)),
    (b"+.", Form::Extensions(1)),
    (b"+..", Form::Extensions(2)),
    (b"+...", Form::Extensions(3)),
];

/// A spelling that stands for no part of a value, or for the file that is made.
pub(super) struct Other {
    pub(super) spelling: &'static [u8],
    pub(super) replacement: Replacement,
    /// GNU parallel has it: always, or with `--plus`.
    gnu: Option<Plus>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Plus {
    NotNeeded,
    Needed,
}

impl Other {
    /// Whether a run has it. `gnu`: only what GNU parallel has; `literal`: not what only that has.
    pub(super) fn is_there(&self, gnu: bool, plus: bool, literal: bool) -> bool {
        match self.gnu {
            Some(Plus::NotNeeded) => true,
            Some(Plus::Needed) => plus || !(gnu || literal),
            None => !gnu,
        }
    }
}

/// The other spellings.
pub(super) static OTHERS: [Other; 7] = [
    other(b"{#}", Replacement::Number(Number::Seq), Some(Plus::NotNeeded)),
    other(b"{%}", Replacement::Slot, Some(Plus::NotNeeded)),
    other(b"{##}", Replacement::Number(Number::Total), Some(Plus::Needed)),
    other(b"{0#}", Replacement::Number(Number::PaddedSeq), Some(Plus::Needed)),
    other(b"{0%}", Replacement::PaddedSlot, Some(Plus::Needed)),
    other(b"{threads}", Replacement::Number(Number::Threads), None),
    // Only with --out, which is not GNU parallel's.
    other(b"{out}", Replacement::Value(Selection::OUT), Some(Plus::NotNeeded)),
];

const fn other(spelling: &'static [u8], replacement: Replacement, gnu: Option<Plus>) -> Other {
    Other { spelling, replacement, gnu }
}

/// Splits what stands between the braces into a number, if it begins with one, and the form.
pub(super) fn which(inner: &[u8]) -> Option<(Which, &[u8])> {
    let unsigned = inner.strip_prefix(b"-").unwrap_or(inner);
    let digits = unsigned.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, form) = inner.split_at(inner.len() - unsigned.len() + digits);
    match (number, digits) {
        (b"", _) => Some((Which::All, form)),
        (_, 0) => None,
        _ if unsigned[0] == b'0' => None,
        _ => Some((Which::Nth(str::from_utf8(number).ok()?.parse().ok()?), form)),
    }
}

/// The same as GNU parallel reads numbers: zeros may stand before one, `0` stands for all
/// arguments, and other spellings of zero for none.
pub(super) fn which_of_gnu(inner: &[u8]) -> Option<(Which, &[u8])> {
    let sign = usize::from(inner.first() == Some(&b'-'));
    let digits = inner[sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, form) = inner.split_at(sign + digits);
    if digits == 0 || number[sign] != b'0' {
        return which(inner);
    }
    let number = match number {
        b"0" => return Some((Which::All, form)),
        number => str::from_utf8(number).ok()?.parse().ok()?,
    };
    Some((Which::Nth(if number == 0 { i32::MAX } else { number }), form))
}

impl Replacement {
    /// Whether it is not known before an attempt begins.
    pub(super) fn is_of_attempt(&self) -> bool {
        match self {
            Replacement::Slot | Replacement::PaddedSlot | Replacement::Variable(_) => true,
            Replacement::Number(number) => *number == Number::Threads,
            Replacement::Value(part) => part.form == Form::Out,
        }
    }

    /// Whether it depends on how many tasks there are.
    pub(super) fn needs_total(&self) -> bool {
        matches!(self, Replacement::Number(number) if number.needs_total())
    }
}

impl Selection {
    /// The whole value.
    pub(super) const WHOLE: Selection = Selection { which: Which::All, form: Form::Whole };

    /// The file that the task makes.
    pub(super) const OUT: Selection = Selection { which: Which::All, form: Form::Out };

    /// Whether the value has no such argument.
    pub(super) fn is_missing(&self, value: &[u8]) -> bool {
        match self.which {
            Which::All => false,
            Which::Nth(number) => nth(value, number).is_none(),
        }
    }

    /// What this stands for in a value of several arguments, with blanks between them. `out`: the
    /// file that the task makes.
    pub(super) fn of<'a>(&'a self, value: &'a [u8], out: &'a [u8]) -> Cow<'a, [u8]> {
        let mut all = self.each(value, out);
        let first = all.next().unwrap_or_default();
        match all.next() {
            None => first,
            Some(second) => {
                let several = [first, second].into_iter().chain(all);
                Cow::Owned(several.collect::<Vec<_>>().join(&b' '))
            }
        }
    }

    /// The same, one after the other. An argument that does not exist is empty.
    pub(super) fn each<'a>(
        &'a self,
        value: &'a [u8],
        out: &'a [u8],
    ) -> impl Iterator<Item = Cow<'a, [u8]>> {
        let form = &self.form;
        let value = if *form == Form::Out { out } else { value };
        let nth = match self.which {
            _ if *form == Form::Out => Some(value),
            Which::All => None,
            Which::Nth(number) => Some(nth(value, number).unwrap_or_default()),
        };
        let all = nth.is_none().then(|| arguments::split(value)).into_iter().flatten();
        nth.into_iter().chain(all).map(move |argument| match form {
            Form::Edited(edit) => edit.of(argument),
            form => Cow::Borrowed(form.of(argument)),
        })
    }
}

/// The argument with this number, from 1, or from the end.
fn nth(value: &[u8], number: i32) -> Option<&[u8]> {
    let at = number.unsigned_abs() as usize - 1;
    match number > 0 {
        true => arguments::split(value).nth(at),
        false => arguments::split(value).nth_back(at),
    }
}

impl Form {
    /// What this form stands for in an argument.
    fn of<'a>(&self, argument: &'a [u8]) -> &'a [u8] {
        match self {
            Form::Out | Form::Whole | Form::Edited(_) => argument,
            Form::Base => base(argument),
            Form::Dir => directory(argument),
            Form::Before => {
                let slash = argument.iter().rposition(|byte| *byte == b'/');
                &argument[..slash.unwrap_or(0)]
            }
            Form::Without(extensions) => without(argument, *extensions),
            Form::BaseWithout(extensions) => without(base(argument), *extensions),
            // As in GNU parallel, the dot may be that of a folder.
            Form::Extensions(1) => {
                let dot = argument.iter().rposition(|byte| *byte == b'.');
                dot.map_or(b"", |dot| &argument[dot + 1..])
            }
            Form::Extensions(extensions) => {
                dot(argument, *extensions).map_or(b"", |dot| &argument[dot + 1..])
            }
        }
    }
}

/// Where this number of extensions begins, if the last part of the path has that number.
fn dot(path: &[u8], extensions: u8) -> Option<usize> {
    let mut dots = path.iter().enumerate().rev().filter(|(_, byte)| matches!(byte, b'.' | b'/'));
    let last = dots.nth(usize::from(extensions) - 1)?.0;
    (!path[last..].contains(&b'/')).then_some(last)
}

fn without(path: &[u8], extensions: u8) -> &[u8] {
    dot(path, extensions).map_or(path, |dot| &path[..dot])
}

/// `s:.*/::`
fn base(value: &[u8]) -> &[u8] {
    let start = value.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    &value[start..]
}

/// `dirname` of Perl's File::Basename.
fn directory(value: &[u8]) -> &[u8] {
    let path = trim_slashes(value);
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => trim_slashes(&path[..=slash]),
        None => b".",
    }
}

/// Removes slashes at the end, except one that is all there is.
fn trim_slashes(path: &[u8]) -> &[u8] {
    let keep = path.iter().rposition(|&byte| byte != b'/').map_or(1, |last| last + 1);
    &path[..keep.min(path.len())]
}
