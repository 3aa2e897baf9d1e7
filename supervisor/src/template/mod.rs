//! Turns COMMAND, or an input line, into the exact arguments of one task.
//!
//! COMMAND is parsed once and rendered for every task. Values are bytes and arrive exactly: as
//! (parts of) arguments when the command is executed directly, through environment variables
//! when it is a script.

mod error;
mod evaluation;
mod log_key;
mod other_tools;
mod output_path;
mod replacement;
mod scanner;
mod script;
mod shell;
mod shell_words;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::io::Write;

pub(crate) use error::{Foreign, OutFileError, OutTemplateError, TemplateError};
use evaluation::Evaluation;
pub(crate) use log_key::{Outline, unquoted};
pub(crate) use other_tools::refuse_foreign;
pub(crate) use output_path::{OutFile, OutTemplate, temporaries_of};
use replacement::{Form, Replacement, masked, replacement_at};
use script::Script;
pub(crate) use shell::Shell;
use shell::{BASH, CALL};
pub(crate) use shell_words::{quoted_words, typed_words};

/// What is done with each value.
#[derive(Debug)]
pub(crate) enum Job {
    /// A command is run.
    Commands(Box<Template>),
    /// The worker program's own task function gets it.
    Values,
}

/// How a command is read.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    /// Runs scripts.
    pub(crate) shell: Shell,
    /// That shell also runs scripts that begin with a function of bash.
    pub(crate) fixed_shell: bool,
    /// Values may stand where they are run as code.
    pub(crate) unsafe_replace: bool,
}

/// A command with its replacement strings, parsed once.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    kind: Kind,
    /// As typed, with the value that was appended.
    outline: Outline,
}

#[derive(Debug, Clone)]
enum Kind {
    /// Executed without a shell.
    Direct(Vec<Word>),
    /// Executed as `SHELL -c SCRIPT`.
    Script(Script),
    /// Every value is a command line.
    EachInput(Box<Reading>),
}

/// The parts of what becomes one argument.
type Word = Vec<TemplatePart>;

#[derive(Debug, Clone)]
enum TemplatePart {
    Text(Vec<u8>),
    Replacement(Replacement),
}

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
    /// Takes the words of COMMAND as typed.
    ///
    /// Several words are executed directly, each as exactly one argument. A single word is a
    /// command line: a shell runs it if it needs one, else its words at blanks are executed
    /// directly. The value is appended when there is no replacement string at all. A function that
    /// bash has exported runs through bash.
    ///
    /// # Errors
    /// There is nothing to run, or a value would stand where it is not certain to be data.
    pub(crate) fn from_words(
        words: Vec<Vec<u8>>,
        reading: &Reading,
    ) -> Result<Template, TemplateError> {
        if words.iter().any(|word| word.contains(&0)) {
            return Err(TemplateError::NulInWord);
        }
        match words.as_slice() {
            [] => Err(TemplateError::Empty),
            [single] => Template::from_line(single, reading),
            several => Template::direct(several.iter().map(Vec::as_slice), reading),
        }
    }

    /// Returns the template in which every value is a command line of its own, without
    /// replacement strings: run by a shell if it needs one, else executed directly.
    pub(crate) fn each_input(reading: Reading) -> Template {
        let whole = vec![TemplatePart::Replacement(Replacement::Value(Form::Whole))];
        let outline = Outline::new(&[whole]);
        Template { kind: Kind::EachInput(Box::new(reading)), outline }
    }

    fn from_line(typed: &[u8], reading: &Reading) -> Result<Template, TemplateError> {
        let line = trim_end(typed);
        let Some(first) = shell_words::words(line).next() else { return Err(TemplateError::Empty) };
        let mask = masked(line);
        if !shell_words::needs_shell(&mask) {
            return Template::direct(shell_words::words(line), reading);
        }
        let mut source = line.to_vec();
        if mask == line {
            source.extend_from_slice(b" {}");
        }
        let shell = reading.shell_for(first);
        let script = Script::parse(&source, &shell, reading.unsafe_replace)?;
        let outline = Outline::new(&[parse_word(&source)]);
        Ok(Template { kind: Kind::Script(script), outline })
    }

    fn direct<'a>(
        words: impl Iterator<Item = &'a [u8]> + Clone,
        reading: &Reading,
    ) -> Result<Template, TemplateError> {
        let is_function = words.clone().next().is_some_and(|word| reading.shell.is_function(word));
        let before = if is_function { &[BASH, b"-c", CALL][..] } else { &[] };
        let mut words: Vec<Word> = before.iter().copied().chain(words).map(parse_word).collect();
        if words.iter().flatten().all(|piece| matches!(piece, TemplatePart::Text(_))) {
            words.push(vec![TemplatePart::Replacement(Replacement::Value(Form::Whole))]);
        }
        if !reading.unsafe_replace {
            refuse_evaluated(&words)?;
        }
        let outline = Outline::new(&words[before.len()..]);
        Ok(Template { kind: Kind::Direct(words), outline })
    }

    /// Returns the program that every task executes, or nothing if it differs between tasks.
    pub(crate) fn fixed_program(&self) -> Option<&[u8]> {
        match &self.kind {
            Kind::Direct(words) => match words.first()?.as_slice() {
                [] => Some(b""),
                [TemplatePart::Text(program)] => Some(program),
                _ => None,
            },
            Kind::Script(script) => Some(script.program()),
            Kind::EachInput(_) => None,
        }
    }

    /// What the keys of its commands in logs of other runs are made from.
    pub(crate) fn outline(&self) -> &Outline {
        &self.outline
    }

    /// The program that runs scripts, if there may be one.
    pub(crate) fn shell(&self) -> Option<&[u8]> {
        match &self.kind {
            Kind::Direct(_) => None,
            Kind::Script(script) => Some(script.program()),
            Kind::EachInput(reading) => Some(reading.shell.program()),
        }
    }

    /// Whether commands name the file that the task makes.
    pub(crate) fn names_out(&self) -> bool {
        match &self.kind {
            Kind::Direct(words) => words.iter().flatten().any(TemplatePart::is_out),
            Kind::Script(script) => script.names_out(),
            Kind::EachInput(_) => false,
        }
    }

    /// The command of a task with this value and these facts. A NUL byte in the value is passed on
    /// as it is, although no program can be executed with it.
    pub(crate) fn render(&self, value: &[u8], facts: Facts<'_>) -> Rendered {
        match &self.kind {
            Kind::Direct(words) => render_words(words, value, facts),
            Kind::Script(script) => script.render(value, facts),
            Kind::EachInput(reading) => Rendered::without_replacements(line_argv(value, reading)),
        }
    }

    /// The same command as a person could paste it into a shell, for slot 1.
    pub(crate) fn display(&self, value: &[u8], facts: Facts<'_>) -> Vec<u8> {
        match &self.kind {
            Kind::Direct(words) => {
                shell_words::quoted_words(&render_words(words, value, facts).argv_in_slot_1())
            }
            Kind::Script(script) => script.display(value, facts),
            Kind::EachInput(_) => value.to_vec(),
        }
    }
}

/// Whether one of the words holds a replacement string.
pub(crate) fn has_replacement(words: &[Vec<u8>]) -> bool {
    words.iter().any(|word| masked(word) != *word)
}

impl Rendered {
    fn without_replacements(argv: Vec<Vec<u8>>) -> Rendered {
        Rendered { argv, env: Vec::new(), slot_marks: Vec::new() }
    }

    fn argv_in_slot_1(mut self) -> Vec<Vec<u8>> {
        // Backwards, because an insertion moves what follows it.
        for mark in self.slot_marks.iter().rev() {
            self.argv[mark.arg as usize].insert(mark.at as usize, b'1');
        }
        self.argv
    }
}

impl SlotMark {
    fn new(arg: usize, at: usize) -> SlotMark {
        // No system executes arguments of 4 GiB: larger numbers do not matter.
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        SlotMark { arg: narrow(arg), at: narrow(at) }
    }
}

/// Removes blanks and newlines at the end, which mean nothing to a shell; but after a newline
/// an appended value would be a command of its own.
fn trim_end(line: &[u8]) -> &[u8] {
    let end = line
        .iter()
        .rposition(|&byte| !shell_words::is_blank(byte) && byte != b'\n')
        .map_or(0, |last| last + 1);
    // A backslash there may escape the byte after it.
    let escaped = line[..end].ends_with(b"\\");
    &line[..line.len().min(end + usize::from(escaped))]
}

/// Splits a word at its replacement strings.
fn parse_word(word: &[u8]) -> Word {
    let mut pieces = Word::new();
    let mut text_start = 0;
    let mut at = 0;
    while at < word.len() {
        let Some((replacement, len)) = replacement_at(&word[at..]) else {
            at += 1;
            continue;
        };
        if text_start < at {
            pieces.push(TemplatePart::Text(word[text_start..at].to_vec()));
        }
        pieces.push(TemplatePart::Replacement(replacement));
        at += len;
        text_start = at;
    }
    if text_start < at {
        pieces.push(TemplatePart::Text(word[text_start..].to_vec()));
    }
    pieces
}

fn render_words(words: &[Word], value: &[u8], facts: Facts<'_>) -> Rendered {
    let mut slot_marks = Vec::new();
    let mut argv = Vec::with_capacity(words.len());
    for pieces in words {
        let mut arg =
            Vec::with_capacity(pieces.iter().map(|piece| piece.capacity(value, facts.out)).sum());
        for piece in pieces {
            match piece {
                TemplatePart::Text(bytes) => arg.extend_from_slice(bytes),
                TemplatePart::Replacement(Replacement::Value(form)) => {
                    arg.extend_from_slice(form.of(value, facts.out));
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
    fn is_out(&self) -> bool {
        matches!(self, TemplatePart::Replacement(Replacement::Value(Form::Out)))
    }

    /// About how many bytes this takes in an argument.
    fn capacity(&self, value: &[u8], out: &[u8]) -> usize {
        const DIGITS: usize = 8;
        match self {
            TemplatePart::Text(bytes) => bytes.len(),
            TemplatePart::Replacement(Replacement::Value(form)) => form.of(value, out).len(),
            TemplatePart::Replacement(_) => DIGITS,
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

impl Reading {
    /// What runs a script that begins with this word.
    fn shell_for(&self, first: &[u8]) -> Cow<'_, Shell> {
        match self.shell.is_function(first) && !self.fixed_shell {
            true => self.shell.for_functions(),
            false => Cow::Borrowed(&self.shell),
        }
    }
}

/// Fails if a shell among these words would run a value as code.
fn refuse_evaluated(words: &[Word]) -> Result<(), TemplateError> {
    let mut evaluation = Evaluation::default();
    for word in words {
        let is_value = |piece: &TemplatePart| {
            matches!(piece, TemplatePart::Replacement(Replacement::Value(_)))
        };
        let text = word.iter().flat_map(|piece| match piece {
            TemplatePart::Text(text) => text.as_slice(),
            TemplatePart::Replacement(_) => b"{}",
        });
        let text: Vec<u8> = text.copied().collect();
        if let Some(program) = evaluation.word(&text, word.iter().any(is_value)) {
            return Err(TemplateError::Evaluated(program.to_vec()));
        }
    }
    Ok(())
}

fn push_number(out: &mut Vec<u8>, number: u64) {
    write!(out, "{number}").expect("a Vec takes every write");
}
