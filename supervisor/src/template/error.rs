//! Why a command or `--out` cannot be used.

use super::expression::BadExpression;
use super::scanner::Refused;
use super::second_evaluation::EvaluatedValue;

/// Why a command cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    /// There are no words, or the only one is blank.
    #[error("the command is empty")]
    Empty,
    /// A word holds a NUL byte.
    #[error("the command holds a NUL byte, which no argument can carry")]
    NulInWord,
    /// With `-X`, a value is a part of a word of a script.
    #[error(
        "-X: in a script each {{}} must be a word of its own: use -m, or give the command as \
         several words"
    )]
    Repeated,
    /// With `-X`, a value stands beside an operator in a line for a shell.
    #[error(
        "-X repeats what stands around {{}}, and a value behind an operator would be run as code: \
         put a blank between {{}} and '{}'", char::from(*.0)
    )]
    RepeatedOperator(u8),
    /// It is not certain how the shell reads a value at this place, or the value is run as code.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A value would be run as code by this program.
    #[error("{0}")]
    Evaluated(EvaluatedValue),
}

/// A replacement string that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Foreign {
    /// GNU parallel has it, and msup does not.
    #[error("{shown} is not supported: {instead} (--literal takes such braces literally)")]
    Missing { shown: String, instead: &'static str },
    /// Of `--plus` or `--rpl`.
    #[error("{shown}: {why}")]
    Bad {
        shown: String,
        #[source]
        why: BadExpression,
    },
}

/// Why a template of `--out` cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OutTemplateError {
    #[error("holds a NUL byte")]
    Nul,
    /// What it depends on is not fixed for a task.
    #[error(
        "{{%}}, {{threads}} and {{out}} may differ from attempt to attempt, or are not known yet"
    )]
    OfAttempt,
    /// It depends on how many tasks there are.
    #[error("{{##}} and {{0#}} cannot stand here: files are made before all tasks are known")]
    OfAll,
    #[error("gives every task the same file: use a replacement string such as {{.}} or {{#}}")]
    SameForAll,
}

/// Why `--out` gives a task no usable path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OutFileError {
    /// It ends with `/`, or is empty.
    #[error("'{}': no file name (--out)", .0.escape_ascii())]
    NoName(Vec<u8>),
    #[error("{}: too long a file name (--out)", .0.escape_ascii())]
    TooLong(Vec<u8>),
    #[error("{}: a folder, not a file (--out)", .0.escape_ascii())]
    Folder(Vec<u8>),
}
