//! Turns COMMAND, or an input line, into the exact arguments of one task.
//!
//! COMMAND is parsed once (`parsing.rs`). For every task, `rendering.rs` puts the value into it.
//! Values are bytes and arrive exactly: as arguments or parts of them when the command is executed
//! directly, through environment variables when it is a script.

mod error;
mod log_key;
mod other_tools;
mod output_path;
mod parsing;
mod pasted;
mod rendering;
mod replacement;
mod scanner;
mod script;
mod second_evaluation;
mod shell;
mod shell_words;
mod tag;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use msup_protocol::codec::Program;

pub(crate) use error::{Foreign, OutFileError, OutTemplateError, TemplateError};
pub(crate) use log_key::{Outline, unquoted};
pub(crate) use other_tools::refuse_foreign;
pub(crate) use output_path::{OutFile, OutTemplate, temporaries_of};
use pasted::Pasted;
pub(crate) use rendering::{Facts, Rendered, SlotMark, program_argv};
pub(crate) use replacement::Strings;
use replacement::{Form, Replacement, Selection};
use script::Script;
pub(crate) use shell::Shell;
pub(crate) use shell_words::{quoted_words, typed_words};
pub(crate) use tag::{OfAttempt, TagTemplate};

/// What is done with each value.
#[derive(Debug)]
pub(crate) enum Job {
    /// A command is run.
    Commands(Box<Template>),
    /// The worker program's own task function gets it.
    Values,
    /// A program that keeps running reads it from its standard input.
    Lines(Box<Program>),
}

impl Job {
    /// A task as the user could run it again: its command, or else its value. `out`: the files that
    /// tasks make, at their final places.
    pub(crate) fn describe(&self, value: &[u8], seq: u64, out: Option<&OutTemplate>) -> Vec<u8> {
        match self {
            Job::Commands(template) => {
                let made = out.and_then(|out| out.file(value, seq).ok());
                let made = made.map(|file| file.path()).unwrap_or_default();
                let out = made.as_os_str().as_bytes();
                template.display(value, Facts { seq, threads: 1, out })
            }
            Job::Values | Job::Lines(_) => value.to_vec(),
        }
    }

    /// How long a worker without a task may need to end what keeps running.
    pub(crate) fn ends_within(&self) -> Duration {
        let ms = match self {
            Job::Commands(_) | Job::Values => 0,
            Job::Lines(program) => {
                let waits = program.signals.iter().map(|(_, wait)| *wait);
                waits.fold(program.exits_within_ms, u64::saturating_add)
            }
        };
        Duration::from_millis(ms)
    }
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
    /// The replacement strings.
    pub(crate) strings: Strings,
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
    /// Values are put into a command line, which a shell runs (GNU parallel's reading).
    Pasted(Pasted),
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

impl Template {
    /// Returns the program that every task executes, or nothing if it differs between tasks.
    pub(crate) fn fixed_program(&self) -> Option<&[u8]> {
        match &self.kind {
            Kind::Direct(words) => match words.first()?.as_slice() {
                [] => Some(b""),
                [TemplatePart::Text(program)] => Some(program),
                _ => None,
            },
            Kind::Script(script) => Some(script.program()),
            Kind::Pasted(pasted) => Some(pasted.program()),
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
            Kind::Pasted(pasted) => Some(pasted.program()),
            Kind::EachInput(reading) => Some(reading.shell.program()),
        }
    }

    /// Whether commands name the file that the task makes.
    pub(crate) fn names_out(&self) -> bool {
        match &self.kind {
            Kind::Direct(words) => words.iter().flatten().any(TemplatePart::is_out),
            Kind::Script(script) => script.names_out(),
            Kind::Pasted(pasted) => pasted.line.iter().any(TemplatePart::is_out),
            Kind::EachInput(_) => false,
        }
    }
}

/// Whether one of the words holds a replacement string.
pub(crate) fn has_replacement(words: &[Vec<u8>]) -> bool {
    words.iter().any(|word| Strings::USUAL.masked(word) != *word)
}

impl TemplatePart {
    fn is_out(&self) -> bool {
        let out = |part: &Selection| part.form == Form::Out;
        matches!(self, TemplatePart::Replacement(Replacement::Value(part)) if out(part))
    }
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
