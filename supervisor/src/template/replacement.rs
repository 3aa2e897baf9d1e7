//! Replacement strings: how they are spelled and what they make of a value.

/// A part of a value that a replacement string stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `{}`
    Whole,
    /// `{.}`
    NoExt,
    /// `{/}`
    Base,
    /// `{//}`
    Dir,
    /// `{/.}`
    BaseNoExt,
    /// `{out}`: not a part of the value but the file that the task makes.
    Out,
}

/// What a replacement string asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replacement {
    /// The value or a part of it.
    Value(Form),
    /// `{#}`: the task's sequence number.
    Seq,
    /// `{%}`: the slot number of the worker that takes the task.
    Slot,
    /// `{threads}`: how many threads the command may use.
    Threads,
}

const SPELLINGS: [(&[u8], Replacement); 9] = [
    (b"{}", Replacement::Value(Form::Whole)),
    (b"{.}", Replacement::Value(Form::NoExt)),
    (b"{/}", Replacement::Value(Form::Base)),
    (b"{//}", Replacement::Value(Form::Dir)),
    (b"{/.}", Replacement::Value(Form::BaseNoExt)),
    (b"{#}", Replacement::Seq),
    (b"{%}", Replacement::Slot),
    (b"{threads}", Replacement::Threads),
    (b"{out}", Replacement::Value(Form::Out)),
];

impl Replacement {
    /// Whether it is not known before an attempt begins.
    pub(super) fn is_of_attempt(self) -> bool {
        matches!(self, Replacement::Slot | Replacement::Threads | Replacement::Value(Form::Out))
    }
}

impl Form {
    /// Takes a value and the file that its task makes, returns what this form stands for.
    pub(super) fn of<'a>(self, value: &'a [u8], out: &'a [u8]) -> &'a [u8] {
        match self {
            Form::Out => out,
            Form::Whole => value,
            Form::NoExt => without_extension(value),
            Form::Base => base(value),
            Form::Dir => directory(value),
            Form::BaseNoExt => without_extension(base(value)),
        }
    }
}

/// Returns the replacement string that `text` begins with and its length, if it begins with one.
pub(super) fn replacement_at(text: &[u8]) -> Option<(Replacement, usize)> {
    if text.first() != Some(&b'{') {
        return None;
    }
    let (spelling, replacement) =
        SPELLINGS.iter().find(|(spelling, _)| text.starts_with(spelling))?;
    Some((*replacement, spelling.len()))
}

/// What stands in the place of a replacement string.
pub(super) const INERT: u8 = 0xff;

/// Returns `line` with each byte of a replacement string overwritten by [`INERT`], which means
/// nothing to a shell: the rest can be judged as shell syntax.
pub(super) fn masked(line: &[u8]) -> Vec<u8> {
    let mut mask = line.to_vec();
    let mut at = 0;
    while at < line.len() {
        match replacement_at(&line[at..]) {
            Some((_, len)) => {
                mask[at..at + len].fill(INERT);
                at += len;
            }
            None => at += 1,
        }
    }
    mask
}

/// `s:\.[^/.]*$::`
fn without_extension(value: &[u8]) -> &[u8] {
    match value.iter().rposition(|&byte| byte == b'.' || byte == b'/') {
        Some(at) if value[at] == b'.' => &value[..at],
        _ => value,
    }
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
