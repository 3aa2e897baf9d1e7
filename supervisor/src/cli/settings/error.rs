//! What is wrong with a file of settings.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::report::escape;

/// Why a file of settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("{}: {why} (--no-config leaves it out)", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        why: io::Error,
    },
    #[error("{}: not UTF-8 (--no-config leaves it out)", .0.display())]
    NotText(PathBuf),
    #[error("{}, {place}: {why}", path.display())]
    Line { path: PathBuf, place: FileLine, why: BadSetting },
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileLine {
    pub(super) number: usize,
    pub(super) text: String,
}

impl FileLine {
    /// The line in which this byte is.
    pub(super) fn of(text: &str, at: usize) -> FileLine {
        let at = text.floor_char_boundary(at);
        let begin = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line = text[begin..].lines().next().unwrap_or_default();
        FileLine { number: text[..at].matches('\n').count() + 1, text: line.trim().to_owned() }
    }
}

impl fmt::Display for FileLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.number, escape::value(self.text.as_bytes()))
    }
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadSetting {
    /// What the parser says.
    #[error("{0}")]
    Syntax(String),
    /// The nearest key, if one is near.
    #[error(
        "unknown key{}",
        .0.as_ref().map_or(String::new(), |meant| format!(": did you mean '{meant}'?"))
    )]
    Unknown(Option<String>),
    #[error("tables have no meaning here: write each setting on a line of its own")]
    Table,
    #[error("'{flag}' is not set in a file: {why}; give it on the command line")]
    NotSet { flag: String, why: &'static str },
    #[error(
        "'{0}' names a program or a file to write: only the user's own file sets it \
         (~/.config/msup/config.toml)"
    )]
    OfTheUser(String),
    #[error("must be {0}")]
    Wanted(String),
}
