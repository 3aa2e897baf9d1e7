//! Why a command or `--out` cannot be used.

use super::scanner::Refused;
use super::second_evaluation::safe_form;

/// Why a command cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    /// There are no words, or the only one is blank.
    #[error("the command is empty")]
    Empty,
    /// A word holds a NUL byte.
    #[error("the command holds a NUL byte, which no argument can carry")]
    NulInWord,
    /// It is not certain how the shell reads a value at this place, or the value is run as code.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A value would be run as code by this program.
    #[error("{{}} in the script of {}: {}", .0.escape_ascii(), safe_form(.0))]
    Evaluated(Vec<u8>),
}

/// A replacement string of GNU parallel that msup does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{shown} is not supported: {instead} (--literal takes such braces literally)")]
pub(crate) struct Foreign {
    pub(super) shown: String,
    pub(super) instead: &'static str,
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
