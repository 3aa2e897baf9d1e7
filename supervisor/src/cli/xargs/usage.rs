//! What is wrong with a command line of xargs, in its words where it has some.

use std::io;
use std::path::PathBuf;

use nix::errno::Errno;

use crate::cli::Refusal;

#[derive(Debug, thiserror::Error)]
pub(super) enum XargsError {
    #[error("invalid option -- '{0}'")]
    UnknownLetter(char),
    #[error("unrecognized option '{0}'")]
    UnknownName(String),
    #[error("option '{typed}' is ambiguous; possibilities:{}", quoted(.names))]
    Ambiguous { typed: String, names: Vec<&'static str> },
    #[error("option requires an argument -- '{0}'")]
    LetterAlone(char),
    #[error("option '--{0}' requires an argument")]
    NameAlone(&'static str),
    #[error("option '--{0}' doesn't allow an argument")]
    NoArgument(&'static str),
    #[error("invalid number \"{typed}\" for -{letter} option")]
    NoNumber { letter: char, typed: String },
    #[error("value {typed} for -{letter} option should be >= {least}")]
    TooSmall { letter: char, typed: String, least: u64 },
    #[error("value {typed} for -{letter} option should be <= {most}")]
    TooLarge { letter: char, typed: String, most: u64 },
    #[error(
        "Invalid input delimiter specification {0}: the delimiter must be either a single \
         character or an escape sequence starting with \\."
    )]
    Delimiter(String),
    #[error("Invalid escape sequence {0} in input delimiter specification.")]
    Escape(String),
    #[error(
        "Invalid escape sequence {0} in input delimiter specification; character values must not \
         exceed 377."
    )]
    LargeEscape(String),
    #[error("option --process-slot-var may not be set to a value which includes `='")]
    SlotVariable,
    #[error("failed to unset environment variable : {}", Errno::EINVAL.desc())]
    NoSlotVariable,
    #[error("Cannot open input file '{}': {}", path.display(), reason(.why))]
    File {
        path: PathBuf,
        #[source]
        why: io::Error,
    },
    /// Of an option that msup does not have.
    #[error("-{letter} is not supported: {instead}")]
    Unsupported { letter: char, instead: &'static str },
    #[error(transparent)]
    Refused(#[from] Box<Refusal>),
}

impl From<Refusal> for XargsError {
    fn from(refusal: Refusal) -> XargsError {
        XargsError::Refused(Box::new(refusal))
    }
}

impl XargsError {
    /// Whether the help says more.
    pub(super) fn is_about_usage(&self) -> bool {
        !matches!(
            self,
            XargsError::Delimiter(_)
                | XargsError::Escape(_)
                | XargsError::LargeEscape(_)
                | XargsError::SlotVariable
                | XargsError::NoSlotVariable
                | XargsError::File { .. }
                | XargsError::Unsupported { .. }
                | XargsError::Refused(_)
        )
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!(" '--{name}'")).collect()
}

fn reason(why: &io::Error) -> String {
    why.raw_os_error().map_or(why.to_string(), |errno| Errno::from_raw(errno).desc().into())
}
