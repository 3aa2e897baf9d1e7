//! Turns COMMAND (or an input line) into the exact argument bytes of one task.
//!
//! COMMAND is parsed once and rendered for every task. Values are bytes and arrive exactly:
//! a directly executed command gets them as (parts of) arguments, and a script gets them as
//! environment variables, so that no value ever becomes shell source.

mod shell;
#[cfg(test)]
mod tests;

use shell::{Quoting, Script};

/// Why COMMAND cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    /// There is no COMMAND word, or the only one is blank.
    #[error("the command is empty")]
    Empty,
    /// A word contains a NUL byte, which no argument can carry.
    #[error("the command contains a NUL byte")]
    Nul,
}

/// A parsed COMMAND, from which the arguments of every task are rendered.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    /// Executed without a shell: one entry per argument.
    Direct(Vec<Vec<Piece>>),
    /// Executed as `sh -c SCRIPT`.
    Script(Script),
    /// Every value is a command line of its own.
    EachInput,
}

/// The arguments of one task and what must be added to them when it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rendered {
    /// The program and its arguments.
    pub(crate) argv: Vec<Vec<u8>>,
    /// Extra environment (script form only).
    pub(crate) env: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where the worker's slot number (`{%}`) goes, ascending: the argument's index and the byte
    /// offset in that argument as rendered without any slot number.
    pub(crate) slot_marks: Vec<(u32, u32)>,
}

/// A part of a value that a replacement string stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Whole,
    NoExt,
    Base,
    Dir,
    BaseNoExt,
}

/// The variable that carries `{}` into a script.
pub(crate) const MSUP_V: &str = "MSUP_V";
/// The variable that carries `{.}` into a script.
pub(crate) const MSUP_V_NOEXT: &str = "MSUP_V_NOEXT";
/// The variable that carries `{/}` into a script.
pub(crate) const MSUP_V_BASE: &str = "MSUP_V_BASE";
/// The variable that carries `{//}` into a script.
pub(crate) const MSUP_V_DIR: &str = "MSUP_V_DIR";
/// The variable that carries `{/.}` into a script.
pub(crate) const MSUP_V_BASENOEXT: &str = "MSUP_V_BASENOEXT";

impl Form {
    const ALL: [Form; 5] = [Form::Whole, Form::NoExt, Form::Base, Form::Dir, Form::BaseNoExt];

    fn variable(self) -> &'static str {
        match self {
            Form::Whole => MSUP_V,
            Form::NoExt => MSUP_V_NOEXT,
            Form::Base => MSUP_V_BASE,
            Form::Dir => MSUP_V_DIR,
            Form::BaseNoExt => MSUP_V_BASENOEXT,
        }
    }

    fn of(self, value: &[u8]) -> &[u8] {
        match self {
            Form::Whole => value,
            Form::NoExt => without_extension(value),
            Form::Base => base(value),
            Form::Dir => directory(value),
            Form::BaseNoExt => without_extension(base(value)),
        }
    }
}

/// `s/\.[^\/.]*$//`: a dot in a directory's name begins no extension, a leading dot does.
fn without_extension(value: &[u8]) -> &[u8] {
    match value.iter().rposition(|&b| b == b'.' || b == b'/') {
        Some(at) if value[at] == b'.' => &value[..at],
        _ => value,
    }
}

/// `s:.*/::`: empty when the value ends in a slash.
fn base(value: &[u8]) -> &[u8] {
    let start = value.iter().rposition(|&b| b == b'/').map_or(0, |at| at + 1);
    &value[start..]
}

/// What dirname(1) prints: slashes at the end belong to the last component.
fn directory(value: &[u8]) -> &[u8] {
    let trimmed = trim_slashes(value);
    match trimmed.iter().rposition(|&b| b == b'/') {
        Some(at) => match trim_slashes(&trimmed[..at]) {
            [] => b"/",
            parent => parent,
        },
        None if trimmed.is_empty() && !value.is_empty() => b"/",
        None => b".",
    }
}

fn trim_slashes(path: &[u8]) -> &[u8] {
    let len = path.iter().rposition(|&b| b != b'/').map_or(0, |at| at + 1);
    &path[..len]
}

/// One part of a word or script.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(Vec<u8>),
    /// The quoting around it matters in scripts only.
    Value(Form, Quoting),
    Seq,
    Slot,
}

/// The replacement string at the beginning of `text`, and its length.
fn replacement_at(text: &[u8], quoting: Quoting) -> Option<(Piece, usize)> {
    // Most bytes begin none, and this is asked at every byte.
    if text.first() != Some(&b'{') {
        return None;
    }
    let table: [(&[u8], Piece); 7] = [
        (b"{}", Piece::Value(Form::Whole, quoting)),
        (b"{.}", Piece::Value(Form::NoExt, quoting)),
        (b"{/}", Piece::Value(Form::Base, quoting)),
        (b"{//}", Piece::Value(Form::Dir, quoting)),
        (b"{/.}", Piece::Value(Form::BaseNoExt, quoting)),
        (b"{#}", Piece::Seq),
        (b"{%}", Piece::Slot),
    ];
    table.into_iter().find(|(name, _)| text.starts_with(name)).map(|(name, p)| (p, name.len()))
}

/// Appends to the literal at the end of `pieces`, or begins one.
fn push_literal(pieces: &mut Vec<Piece>, bytes: &[u8]) {
    if let Some(Piece::Literal(last)) = pieces.last_mut() {
        last.extend_from_slice(bytes);
    } else {
        pieces.push(Piece::Literal(bytes.to_vec()));
    }
}

/// Splits a word at its replacement strings.
fn parse_word(word: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < word.len() {
        if let Some((piece, len)) = replacement_at(&word[at..], Quoting::Bare) {
            pieces.push(piece);
            at += len;
        } else {
            push_literal(&mut pieces, &word[at..=at]);
            at += 1;
        }
    }
    pieces
}

fn has_replacement(word: &[u8]) -> bool {
    (0..word.len()).any(|at| replacement_at(&word[at..], Quoting::Bare).is_some())
}

/// The words of a line that needs no shell.
fn split_blanks(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&b| shell::is_blank(b)).filter(|word| !word.is_empty())
}

impl Template {
    /// Parses COMMAND.
    ///
    /// Several words are executed directly, each as exactly one argument. One word is a command
    /// line: a script for `sh` if it needs one, else split at blanks. `{}` is appended when there
    /// is no replacement string anywhere.
    pub(crate) fn from_words(words: Vec<Vec<u8>>) -> Result<Template, TemplateError> {
        if words.iter().any(|word| word.contains(&0)) {
            return Err(TemplateError::Nul);
        }
        match words.as_slice() {
            [] => Err(TemplateError::Empty),
            [line] => Template::from_line(line),
            _ => Ok(Template::direct(words.iter().map(Vec::as_slice))),
        }
    }

    /// The template for runs without COMMAND: each value is a command line, in which nothing is
    /// replaced.
    pub(crate) fn each_input() -> Template {
        Template { kind: Kind::EachInput }
    }

    fn from_line(line: &[u8]) -> Result<Template, TemplateError> {
        if line.iter().all(|&b| shell::is_blank(b) || b == b'\n') {
            return Err(TemplateError::Empty);
        }
        if !shell::needs_shell(line, |rest| replacement_at(rest, Quoting::Bare).map(|(_, n)| n)) {
            return Ok(Template::direct(split_blanks(line)));
        }
        let mut source = line.to_vec();
        if !has_replacement(line) {
            // After a newline the value would be a command of its own. An escaped newline only
            // continues the line.
            while source.ends_with(b"\n") && !source.ends_with(b"\\\n") {
                source.pop();
            }
            source.extend_from_slice(b" {}");
        }
        Ok(Template { kind: Kind::Script(Script::parse(&source)) })
    }

    fn direct<'a>(words: impl Iterator<Item = &'a [u8]>) -> Template {
        let mut words: Vec<Vec<Piece>> = words.map(parse_word).collect();
        if words.iter().flatten().all(|piece| matches!(piece, Piece::Literal(_))) {
            words.push(vec![Piece::Value(Form::Whole, Quoting::Bare)]);
        }
        Template { kind: Kind::Direct(words) }
    }

    /// The program that every task executes, or `None` if it depends on the task.
    pub(crate) fn fixed_program(&self) -> Option<&[u8]> {
        match &self.kind {
            Kind::Direct(words) => match words.first()?.as_slice() {
                [] => Some(b""),
                [Piece::Literal(program)] => Some(program),
                _ => None,
            },
            Kind::Script(_) => Some(b"sh"),
            Kind::EachInput => None,
        }
    }

    /// The arguments of the task with this value (free of NUL bytes) and sequence number.
    pub(crate) fn render(&self, value: &[u8], seq: u64) -> Rendered {
        match &self.kind {
            Kind::Direct(words) => render_words(words, value, seq),
            Kind::Script(script) => script.render(value, seq),
            Kind::EachInput => {
                let mut words = split_blanks(value).map(<[u8]>::to_vec).peekable();
                // An empty line is a script that does nothing, since there is no program to run.
                let argv = if words.peek().is_none() || shell::needs_shell(value, |_| None) {
                    shell::script_argv(value.to_vec())
                } else {
                    words.collect()
                };
                Rendered { argv, env: Vec::new(), slot_marks: Vec::new() }
            }
        }
    }

    /// The command of a task as a person could paste it into a shell, for slot 1.
    pub(crate) fn display(&self, value: &[u8], seq: u64) -> Vec<u8> {
        match &self.kind {
            Kind::Direct(words) => {
                shell::display_words(&render_words(words, value, seq).into_argv_of_slot_1())
            }
            Kind::Script(script) => script.display(value, seq),
            Kind::EachInput => value.to_vec(),
        }
    }
}

impl Rendered {
    fn into_argv_of_slot_1(mut self) -> Vec<Vec<u8>> {
        // Backwards, because every insertion moves what follows it.
        for &(word, offset) in self.slot_marks.iter().rev() {
            self.argv[word as usize].insert(offset as usize, b'1');
        }
        self.argv
    }
}

fn render_words(words: &[Vec<Piece>], value: &[u8], seq: u64) -> Rendered {
    let mut slot_marks = Vec::new();
    let mut argv = Vec::with_capacity(words.len());
    for pieces in words {
        let mut word = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Literal(bytes) => word.extend_from_slice(bytes),
                Piece::Value(form, _) => word.extend_from_slice(form.of(value)),
                Piece::Seq => push_number(&mut word, seq),
                Piece::Slot => slot_marks.push(slot_mark(argv.len(), &word)),
            }
        }
        argv.push(word);
    }
    Rendered { argv, env: Vec::new(), slot_marks }
}

fn push_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(number.to_string().as_bytes());
}

/// A mark at the end of what has been rendered of argument `index`.
fn slot_mark(index: usize, rendered: &[u8]) -> (u32, u32) {
    // The kernel refuses arguments beyond 128 KiB and command lines beyond a few MiB.
    let narrow = |n: usize| u32::try_from(n).expect("an argument of less than 4 GiB");
    (narrow(index), narrow(rendered.len()))
}
