//! Puts a value into a command, for each task: into its arguments, or, for a script, into
//! environment variables (`script.rs`). The worker inserts `{%}`, the number of its slot.

use std::io::Write;

use super::error::TemplateError;
use super::replacement::Replacement;
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
}

/// A place for the worker's slot number in the arguments as rendered without any slot number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotMark {
    /// The argument's index.
    pub(crate) arg: u32,
    /// The byte offset in that argument.
    pub(crate) at: u32,
}

impl Template {
    /// The command of a task with this value and these facts.
    pub(crate) fn render(&self, value: &[u8], facts: Facts<'_>) -> Rendered {
        match &self.kind {
            Kind::Direct(words) => render_words(words, value, facts),
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
        match &self.kind {
            Kind::Direct(words) => {
                shell_words::quoted_words(&render_words(words, value, facts).argv_in_slot_1())
            }
            Kind::Script(script) => script.display(value, facts),
            Kind::Pasted(pasted) => pasted.display(value, facts),
            Kind::EachInput(_) => arguments::shown(value),
        }
    }
}

impl Rendered {
    pub(super) fn without_replacements(argv: Vec<Vec<u8>>) -> Rendered {
        Rendered { argv, env: Vec::new(), slot_marks: Vec::new() }
    }

    pub(super) fn argv_in_slot_1(mut self) -> Vec<Vec<u8>> {
        // Backwards, because an insertion moves what follows it.
        for mark in self.slot_marks.iter().rev() {
            self.argv[mark.arg as usize].insert(mark.at as usize, b'1');
        }
        self.argv
    }
}

impl SlotMark {
    pub(super) fn new(arg: usize, at: usize) -> SlotMark {
        // No system executes arguments of 4 GiB: larger numbers do not matter.
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        SlotMark { arg: narrow(arg), at: narrow(at) }
    }
}

/// A word that is a replacement string gives one argument for each of the value. Within a word they
/// stand with blanks between them.
fn render_words(words: &[Word], value: &[u8], facts: Facts<'_>) -> Rendered {
    let mut slot_marks = Vec::new();
    let mut argv = Vec::with_capacity(words.len());
    for pieces in words {
        if let [TemplatePart::Replacement(Replacement::Value(part))] = pieces.as_slice() {
            argv.extend(part.each(value, facts.out).map(<[u8]>::to_vec));
            continue;
        }
        let mut arg =
            Vec::with_capacity(pieces.iter().map(|piece| piece.capacity(value, facts.out)).sum());
        for piece in pieces {
            match piece {
                TemplatePart::Text(bytes) => arg.extend_from_slice(bytes),
                TemplatePart::Replacement(Replacement::Value(part)) => {
                    arg.extend_from_slice(&part.of(value, facts.out));
                }
                TemplatePart::Replacement(Replacement::Seq) => push_number(&mut arg, facts.seq),
                TemplatePart::Replacement(Replacement::Threads) => {
                    push_number(&mut arg, facts.threads.into());
                }
                TemplatePart::Replacement(Replacement::Slot) => {
                    slot_marks.push(SlotMark::new(argv.len(), arg.len()));
                }
            }
        }
        argv.push(arg);
    }
    Rendered { argv, env: Vec::new(), slot_marks }
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

pub(super) fn push_number(out: &mut Vec<u8>, number: u64) {
    write!(out, "{number}").expect("a Vec takes every write");
}
