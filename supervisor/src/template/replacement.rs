//! Replacement strings: how they are spelled, and which part of which argument they stand for.

use std::borrow::Cow;

use crate::arguments;

/// A part of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) which: Which,
    pub(super) form: Form,
}

/// What a replacement string asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replacement {
    /// A part of the value.
    Value(Selection),
    /// `{#}`: the task's sequence number.
    Seq,
    /// `{%}`: the slot number of the worker that takes the task.
    Slot,
    /// `{threads}`: how many threads the command may use.
    Threads,
}

/// What stands for the whole value, unless another string was chosen.
const BRACES: &[u8] = b"{}";

/// Spellings of parts of an argument without their braces, and without a number.
const FORMS: [(&[u8], Form); 13] = [
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

/// Those among them that are always replaced.
const ALWAYS: [&[u8]; 5] = [b"", b".", b"/", b"//", b"/."];

/// The other spellings.
const OTHERS: [(&[u8], Replacement); 4] = [
    (b"{#}", Replacement::Seq),
    (b"{%}", Replacement::Slot),
    (b"{threads}", Replacement::Threads),
    (b"{out}", Replacement::Value(Selection { which: Which::All, form: Form::Out })),
];

/// Which replacement strings a run has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Strings {
    /// The one for the whole value (`{}`); not empty.
    pub(crate) whole: Cow<'static, [u8]>,
    /// The number of arguments of a value: there are those with a number (`{1}`), and those with
    /// several dots or a plus. `None`: there are none of these.
    pub(crate) numbered: Option<usize>,
}

impl Strings {
    /// Those of a run whose values have one argument. Braces with a number that may mean something
    /// else are taken literally.
    pub(crate) const USUAL: Strings = Strings::of(1);

    /// Those of a run whose values have this number of arguments.
    pub(crate) const fn of(arguments: usize) -> Strings {
        Strings { whole: Cow::Borrowed(BRACES), numbered: Some(arguments) }
    }

    /// The replacement string that stands at this place of a text, and its length.
    pub(super) fn at(&self, text: &[u8], at: usize) -> Option<(Replacement, usize)> {
        let here = &text[at..];
        if here.starts_with(&self.whole) {
            return Some((Replacement::Value(Selection::WHOLE), self.whole.len()));
        }
        if here.first() != Some(&b'{') || here.starts_with(BRACES) {
            return None;
        }
        if let Some((spelling, replacement)) = OTHERS.iter().find(|(s, _)| here.starts_with(s)) {
            return Some((*replacement, spelling.len()));
        }
        let end = here.iter().position(|byte| *byte == b'}')?;
        let (which, spelling) = which(&here[1..end])?;
        let (_, form) = FORMS.iter().find(|(known, _)| *known == spelling)?;
        let means_it = match which {
            Which::All => self.numbered.is_some() || ALWAYS.contains(&spelling),
            Which::Nth(number) => self.numbered.is_some_and(|arguments| {
                let before = text[..at].last();
                // A parameter of a shell.
                before != Some(&b'$') && (arguments > 1 || !may_repeat(before, number, spelling))
            }),
        };
        let part = Selection { which, form: *form };
        means_it.then_some((Replacement::Value(part), end + 1))
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

/// Splits what stands between the braces into a number, if it begins with one, and the form.
fn which(inner: &[u8]) -> Option<(Which, &[u8])> {
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

impl Replacement {
    /// Whether it is not known before an attempt begins.
    pub(super) fn is_of_attempt(self) -> bool {
        match self {
            Replacement::Slot | Replacement::Threads => true,
            Replacement::Value(part) => part.form == Form::Out,
            Replacement::Seq => false,
        }
    }
}

impl Selection {
    /// The whole value.
    pub(super) const WHOLE: Selection = Selection { which: Which::All, form: Form::Whole };

    /// Whether the value has no such argument.
    pub(super) fn is_missing(self, value: &[u8]) -> bool {
        match self.which {
            Which::All => false,
            Which::Nth(number) => nth(value, number).is_none(),
        }
    }

    /// What this stands for in a value of several arguments, with blanks between them. `out`: the
    /// file that the task makes.
    pub(super) fn of<'a>(self, value: &'a [u8], out: &'a [u8]) -> Cow<'a, [u8]> {
        let mut all = self.each(value, out);
        let first = all.next().unwrap_or_default();
        match all.next() {
            None => Cow::Borrowed(first),
            Some(second) => {
                let several = [first, second].into_iter().chain(all);
                Cow::Owned(several.collect::<Vec<_>>().join(&b' '))
            }
        }
    }

    /// The same, one after the other. An argument that does not exist is empty.
    pub(super) fn each<'a>(self, value: &'a [u8], out: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let form = self.form;
        let value = if form == Form::Out { out } else { value };
        let nth = match self.which {
            _ if form == Form::Out => Some(value),
            Which::All => None,
            Which::Nth(number) => Some(nth(value, number).unwrap_or_default()),
        };
        let all = nth.is_none().then(|| arguments::split(value)).into_iter().flatten();
        nth.into_iter().chain(all).map(move |argument| form.of(argument))
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
    fn of(self, argument: &[u8]) -> &[u8] {
        match self {
            Form::Out | Form::Whole => argument,
            Form::Base => base(argument),
            Form::Dir => directory(argument),
            Form::Before => {
                let slash = argument.iter().rposition(|byte| *byte == b'/');
                &argument[..slash.unwrap_or(0)]
            }
            Form::Without(extensions) => without(argument, extensions),
            Form::BaseWithout(extensions) => without(base(argument), extensions),
            // As in GNU parallel, the dot may be that of a folder.
            Form::Extensions(1) => {
                let dot = argument.iter().rposition(|byte| *byte == b'.');
                dot.map_or(b"", |dot| &argument[dot + 1..])
            }
            Form::Extensions(extensions) => {
                dot(argument, extensions).map_or(b"", |dot| &argument[dot + 1..])
            }
        }
    }
}

/// What stands in the place of a replacement string.
pub(super) const INERT: u8 = 0xff;

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
