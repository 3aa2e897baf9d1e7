//! Turns COMMAND, or an input line, into the exact arguments of one task.
//!
//! COMMAND is parsed once (`parsing.rs`). For every task, `rendering.rs` puts the value into it.
//! Values are bytes and arrive exactly: as arguments or parts of them when the command is executed
//! directly, through environment variables when it is a script.

mod colors;
mod edit;
mod error;
mod expression;
mod length;
mod log_key;
mod looks;
mod other_tools;
mod output_path;
mod parsing;
mod pasted;
mod plain;
mod plus;
mod rendering;
mod replacement;
mod results_place;
mod rule;
mod scanner;
mod script;
mod second_evaluation;
mod shell;
mod shell_words;
mod stages;
mod strings;
mod surroundings;
mod tag;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;
use std::time::Duration;

use msup_protocol::codec::{Extent, Program};

pub(crate) use error::{Foreign, OutFileError, OutTemplateError, TemplateError};
pub(crate) use log_key::{Outline, unquoted};
pub(crate) use looks::{Looks, LooksTemplate};
pub(crate) use other_tools::refuse_foreign;
pub(crate) use output_path::{OutFile, OutTemplate, temporaries_of};
use pasted::Pasted;
pub(crate) use pasted::gnu_quoted;
use plain::Plain;
pub(crate) use rendering::{Facts, Rendered, SlotMark, Totals, program_argv};
use replacement::{Form, Replacement, Selection};
pub(crate) use results_place::{ResultsError, ResultsPlace, ResultsTemplate};
pub(crate) use rule::{BadRule, Rule};
use script::Script;
pub(crate) use shell::Shell;
pub(crate) use shell_words::{quoted_words, typed_words};
pub(crate) use stages::{OutFiles, StageJob, Stages};
pub(crate) use strings::Strings;
pub(crate) use surroundings::Surroundings;
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
    /// A command of a stage of a pipeline.
    Stages(Rc<Stages>),
}

impl Job {
    /// Whether commands depend on how many tasks there are.
    pub(crate) fn needs_total(&self) -> bool {
        match self {
            Job::Commands(template) => template.needs_total(),
            Job::Values | Job::Lines(_) | Job::Stages(_) => false,
        }
    }

    /// A task as the user could run it again: its command, or else its value. `out`: the files that
    /// tasks make, at their final places.
    pub(crate) fn describe(
        &self,
        value: &[u8],
        seq: u64,
        out: Option<&OutFiles>,
        totals: Totals,
    ) -> Vec<u8> {
        match self {
            Job::Commands(template) => {
                let made = out.and_then(|out| out.file(value, seq).ok().flatten());
                let made = made.map(|file| file.path()).unwrap_or_default();
                let out = made.as_os_str().as_bytes();
                template.display(value, Facts { seq, threads: 1, out, totals })
            }
            Job::Values | Job::Lines(_) => value.to_vec(),
            Job::Stages(stages) => match stages.of(seq) {
                Some((job, arguments)) => job.command(arguments.as_deref()),
                None => value.to_vec(),
            },
        }
    }

    /// What commands read.
    pub(crate) fn feeding(&self) -> Feeding {
        match self {
            Job::Commands(template) => template.feeding,
            Job::Values | Job::Lines(_) | Job::Stages(_) => Feeding::Values,
        }
    }

    /// Whether a number of commands get all blocks between them.
    pub(crate) fn deals(&self) -> bool {
        self.feeding() == Feeding::ManyBlocks
    }

    /// Whether values are no part of what tasks do: they say what is read.
    pub(crate) fn hides_values(&self) -> bool {
        matches!(self, Job::Commands(template) if template.feeding.hides_values())
    }

    /// How long a worker without a task may need to end what keeps running.
    pub(crate) fn ends_within(&self) -> Duration {
        let ms = match self {
            Job::Commands(_) | Job::Values => 0,
            Job::Lines(program) => ends_within(program),
            Job::Stages(stages) => stages.programs().map(ends_within).sum(),
        };
        Duration::from_millis(ms)
    }
}

/// How many milliseconds a program may need to exit.
fn ends_within(program: &Program) -> u64 {
    let waits = program.signals.iter().map(|(_, wait)| *wait);
    waits.fold(program.exits_within_ms, u64::saturating_add)
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
    pub(crate) feeding: Feeding,
}

/// What commands read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feeding {
    /// Nothing: the values are their arguments.
    Values,
    /// Nothing, and the values are no part of them: they only say how often a command runs.
    Nothing,
    /// The block of the value, on their standard input.
    Blocks,
    /// The same in a file, whose name stands in the place of the value.
    BlockFiles,
    /// The same in a FIFO.
    BlockFifos,
    /// Blocks as long as there are any, on their standard input.
    ManyBlocks,
    /// This part of the file of blocks, on their standard input; and the values are their
    /// arguments.
    Whole(Extent),
}

impl Feeding {
    /// Whether commands run for values, not for blocks of the input.
    pub(crate) fn has_values(self) -> bool {
        matches!(self, Feeding::Values | Feeding::Nothing | Feeding::Whole(_))
    }

    /// Whether values are no part of commands: they say what is read.
    fn hides_values(self) -> bool {
        matches!(self, Feeding::Nothing | Feeding::Blocks | Feeding::ManyBlocks)
    }

    /// Whether there is a value that can be appended to a command.
    fn appends(self) -> bool {
        matches!(self, Feeding::Values | Feeding::BlockFiles | Feeding::BlockFifos)
    }
}

/// A command with its replacement strings, parsed once.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    kind: Kind,
    /// As typed, with the value that was appended.
    outline: Outline,
    pub(crate) feeding: Feeding,
    /// What stands around a replacement string is repeated for each argument (`-X`).
    repeats: bool,
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
    /// As xargs runs commands.
    Plain(Plain),
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
            Kind::Plain(plain) => Some(plain.program()),
        }
    }

    /// Whether commands are run as xargs runs them.
    pub(crate) fn is_of_xargs(&self) -> bool {
        matches!(self.kind, Kind::Plain(_))
    }

    /// The variable that holds the slot number, counted from 0; empty if none does.
    pub(crate) fn slot_variable(&self) -> &[u8] {
        match &self.kind {
            Kind::Plain(plain) => &plain.slot_variable,
            _ => b"",
        }
    }

    /// What the keys of its commands in logs of other runs are made from.
    pub(crate) fn outline(&self) -> &Outline {
        &self.outline
    }

    /// The program that runs scripts, if there may be one.
    pub(crate) fn shell(&self) -> Option<&[u8]> {
        match &self.kind {
            Kind::Direct(_) | Kind::Plain(_) => None,
            Kind::Script(script) => Some(script.program()),
            Kind::Pasted(pasted) => Some(pasted.program()),
            Kind::EachInput(reading) => Some(reading.shell.program()),
        }
    }

    /// Whether commands depend on how many tasks there are.
    pub(crate) fn needs_total(&self) -> bool {
        match &self.kind {
            Kind::Direct(words) => words.iter().flatten().any(TemplatePart::needs_total),
            Kind::Script(script) => script.needs_total(),
            Kind::Pasted(pasted) => pasted.line.iter().any(TemplatePart::needs_total),
            Kind::EachInput(_) | Kind::Plain(_) => false,
        }
    }

    /// Whether commands name the file that the task makes.
    pub(crate) fn names_out(&self) -> bool {
        match &self.kind {
            Kind::Direct(words) => words.iter().flatten().any(TemplatePart::is_out),
            Kind::Script(script) => script.names_out(),
            Kind::Pasted(pasted) => pasted.line.iter().any(TemplatePart::is_out),
            Kind::EachInput(_) | Kind::Plain(_) => false,
        }
    }
}

/// Whether one of the words holds a replacement string.
pub(crate) fn has_replacement(words: &[Vec<u8>]) -> bool {
    words.iter().any(|word| Strings::USUAL.masked(word) != *word)
}

impl TemplatePart {
    fn needs_total(&self) -> bool {
        matches!(self, TemplatePart::Replacement(replacement) if replacement.needs_total())
    }

    fn is_out(&self) -> bool {
        let out = |part: &Selection| part.form == Form::Out;
        matches!(self, TemplatePart::Replacement(Replacement::Value(part)) if out(part))
    }
}

impl Reading {
    /// Whether the value is appended to a command without replacement strings.
    fn appends(&self) -> bool {
        self.feeding.appends() && !self.strings.explicit
    }

    /// What runs a script that begins with this word.
    fn shell_for(&self, first: &[u8]) -> Cow<'_, Shell> {
        match self.shell.is_function(first) && !self.fixed_shell {
            true => self.shell.for_functions(),
            false => Cow::Borrowed(&self.shell),
        }
    }
}
