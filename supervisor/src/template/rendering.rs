//! Puts a value into a command, for each task: into its arguments, or, for a script, into
//! environment variables (`script.rs`). The worker inserts `{%}`, the number of its slot.

use std::borrow::Cow;

use super::error::TemplateError;
use super::replacement::{Form, Replacement, Selection, Which, digits};
use super::shell::{BASH, CALL};
use super::{Kind, Reading, Template, TemplatePart, Word, script, shell_words};
use crate::arguments;

/// One task's command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rendered {
    /// The program and its arguments; never empty.
    pub(crate) argv: Vec<Vec<u8>>,
    /// Extra environment for the command: name and value (shell form only).
    pub(crate) env: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where the worker's slot number must be inserted, in ascending order.
    pub(crate) slot_marks: Vec<SlotMark>,
}

/// What a task's command may show beside its value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Facts<'a> {
    /// Its number in the input, from 1.
    pub(crate) seq: u64,
    /// How many threads it may use.
    pub(crate) threads: u32,
    /// The file that it makes (`--out`), if it makes one.
    pub(crate) out: &'a [u8],
    pub(crate) totals: Totals,
}

/// What commands may show of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// The number of all tasks, if it is known.
    pub(crate) tasks: u64,
    /// The largest number of tasks that run at once.
    pub(crate) slots: u32,
}

impl Totals {
    /// The number of digits of the largest slot number.
    pub(super) fn slot_digits(self) -> u8 {
        digits(self.slots.into()) as u8
    }
}

/// A place for the worker's slot number in the arguments as rendered without any slot number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotMark {
    /// The argument's index.
    pub(crate) arg: u32,
    /// The byte offset in that argument.
    pub(crate) at: u32,
    /// Zeros are put before it until it has this number of digits.
    pub(crate) digits: u8,
}

impl Template {
    /// The command of a task with this value and these facts.
    pub(crate) fn render(&self, value: &[u8], facts: Facts<'_>) -> Rendered {
        let value = self.shown(value);
        match &self.kind {
            Kind::Direct(words) => render_words(words, value, facts, self.repeats),
            Kind::Plain(plain) => plain.render(value),
            Kind::Script(script) => script.render(value, facts),
            Kind::Pasted(pasted) => pasted.render(value, facts),
            Kind::EachInput(reading) => {
                let line = arguments::shown(value);
                Rendered::without_replacements(line_argv(&line, reading))
            }
        }
    }

    /// The same command as a person could paste it into a shell, for slot 1.
    pub(crate) fn display(&self, value: &[u8], facts: Facts<'_>) -> Vec<u8> {
        let value = self.shown(value);
        match &self.kind {
            Kind::Direct(words) => {
                let rendered = render_words(words, value, facts, self.repeats);
                shell_words::quoted_words(&rendered.argv_in_slot_1())
            }
            Kind::Plain(plain) => plain.display(value),
            Kind::Script(script) => script.display(value, facts),
            Kind::Pasted(pasted) => pasted.display(value, facts),
            Kind::EachInput(_) => arguments::shown(value),
        }
    }

    /// What replacement strings show of a value.
    fn shown<'a>(&self, value: &'a [u8]) -> &'a [u8] {
        if self.feeding.hides_values() { b"" } else { value }
    }
}

impl Rendered {
    pub(super) fn without_replacements(argv: Vec<Vec<u8>>) -> Rendered {
        Rendered { argv, env: Vec::new(), slot_marks: Vec::new() }
    }

    pub(super) fn argv_in_slot_1(mut self) -> Vec<Vec<u8>> {
        // Backwards, because an insertion moves what follows it.
        for mark in self.slot_marks.iter().rev() {
            let (at, one) =
                (mark.at as usize, format!("{:0digits$}", 1, digits = mark.digits.into()));
            self.argv[mark.arg as usize].splice(at..at, one.bytes());
        }
        self.argv
    }
}

impl SlotMark {
    pub(super) fn new(arg: usize, at: usize, digits: u8) -> SlotMark {
        // No system executes arguments of 4 GiB: larger numbers do not matter.
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        SlotMark { arg: narrow(arg), at: narrow(at), digits }
    }
}

/// A word that is a replacement string gives one argument for each of the value. Within a word they
/// stand with blanks between them; or the word `repeats`, and gives an argument for each, too.
fn render_words(words: &[Word], value: &[u8], facts: Facts<'_>, repeats: bool) -> Rendered {
    let mut slot_marks = Vec::new();
    let mut argv = Vec::with_capacity(words.len());
    for pieces in words {
        if let [TemplatePart::Replacement(Replacement::Value(part))] = pieces.as_slice() {
            argv.extend(part.each(value, facts.out).map(Cow::into_owned));
            continue;
        }
        let arguments = arguments::split(value).filter(|_| repeats && varies(pieces));
        let mut each = arguments.peekable();
        if each.peek().is_none() {
            let slots = |at, digits| slot_marks.push(SlotMark::new(argv.len(), at, digits));
            let argument = render_word(pieces, [value, value], facts, slots);
            argv.push(argument);
            continue;
        }
        for argument in each {
            let slots = |at, digits| slot_marks.push(SlotMark::new(argv.len(), at, digits));
            let argument = render_word(pieces, [value, argument], facts, slots);
            argv.push(argument);
        }
    }
    Rendered { argv, env: Vec::new(), slot_marks }
}

/// Whether these pieces differ from argument to argument.
pub(super) fn varies(pieces: &[TemplatePart]) -> bool {
    let all = |part: &Selection| part.which == Which::All && part.form != Form::Out;
    pieces.iter().any(
        |piece| matches!(piece, TemplatePart::Replacement(Replacement::Value(part)) if all(part)),
    )
}

/// `argument`: what stands for all arguments of the value.
fn render_word(
    pieces: &[TemplatePart],
    [value, argument]: [&[u8]; 2],
    facts: Facts<'_>,
    mut slot: impl FnMut(usize, u8),
) -> Vec<u8> {
    let mut arg =
        Vec::with_capacity(pieces.iter().map(|piece| piece.capacity(value, facts.out)).sum());
    for piece in pieces {
        match piece {
            TemplatePart::Text(bytes) => arg.extend_from_slice(bytes),
            TemplatePart::Replacement(Replacement::Value(part)) => {
                let of = if part.which == Which::All { argument } else { value };
                arg.extend_from_slice(&part.of(of, facts.out));
            }
            TemplatePart::Replacement(Replacement::Number(number)) => number.push(&mut arg, facts),
            TemplatePart::Replacement(Replacement::Slot) => slot(arg.len(), 1),
            TemplatePart::Replacement(Replacement::PaddedSlot) => {
                slot(arg.len(), facts.totals.slot_digits());
            }
            // Without a shell there is nothing that expands it.
            TemplatePart::Replacement(Replacement::Variable(name)) => {
                arg.extend_from_slice(name.as_bytes());
            }
        }
    }
    arg
}

impl TemplatePart {
    /// About how many bytes this takes in an argument.
    fn capacity(&self, value: &[u8], out: &[u8]) -> usize {
        const DIGITS: usize = 8;
        match self {
            TemplatePart::Text(bytes) => bytes.len(),
            TemplatePart::Replacement(Replacement::Value(part)) => part.of(value, out).len(),
            TemplatePart::Replacement(_) => DIGITS,
        }
    }
}

/// The arguments of a program that is started without a value: the words of COMMAND as typed, which
/// hold no replacement strings. Several words are executed directly, a single one is a command
/// line.
///
/// # Errors
/// There is nothing to run, or a word holds a NUL byte.
pub(crate) fn program_argv(
    words: &[Vec<u8>],
    reading: &Reading,
) -> Result<Vec<Vec<u8>>, TemplateError> {
    if words.iter().any(|word| word.contains(&0)) {
        return Err(TemplateError::NulInWord);
    }
    match words {
        [] => Err(TemplateError::Empty),
        [line] if shell_words::words(line).next().is_none() => Err(TemplateError::Empty),
        [line] => Ok(line_argv(line, reading)),
        [first, ..] => {
            let is_function = reading.shell.is_function(first);
            let before = if is_function { &[BASH, b"-c", CALL][..] } else { &[] };
            let words = words.iter().map(Vec::as_slice);
            Ok(before.iter().copied().chain(words).map(<[u8]>::to_vec).collect())
        }
    }
}

/// The arguments that run a command line without replacement strings.
fn line_argv(line: &[u8], reading: &Reading) -> Vec<Vec<u8>> {
    // To a shell, a blank line is a command that does nothing; there is no program to execute.
    let first = shell_words::words(line).next();
    if first.is_none() || shell_words::needs_shell(line) {
        return script::literal_argv(&reading.shell_for(first.unwrap_or_default()), line);
    }
    let is_function = first.is_some_and(|word| reading.shell.is_function(word));
    let before = if is_function { &[BASH, b"-c", CALL][..] } else { &[] };
    before.iter().copied().chain(shell_words::words(line)).map(<[u8]>::to_vec).collect()
}
