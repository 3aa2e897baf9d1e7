//! What is wrong with a command line.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use msup_protocol::env as names;

use super::commands::serve::ServeError;
use crate::input::BadRegexp;
use crate::os::limits::Most;
use crate::os::programs::ProgramError;
use crate::template::{Foreign, OfAttempt, OutTemplateError};

/// A value that a flag does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{flag} {value}: must be {wanted}")]
pub(crate) struct BadValue {
    flag: &'static str,
    value: String,
    /// The values that it takes.
    wanted: &'static str,
}

impl BadValue {
    pub(super) fn new(flag: &'static str, value: &str, wanted: &'static str) -> BadValue {
        BadValue { flag, value: value.to_owned(), wanted }
    }
}

/// What is wrong with a command line, and what to do instead.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsageError {
    #[error(transparent)]
    Value(#[from] BadValue),
    #[error("--progress={0}: must be a time such as 10s or 5m")]
    Progress(String),
    #[error("--idle-timeout {0}: not a time in seconds")]
    IdleTimeout(f64),
    #[error(
        "--max-workers {cap}: must be at least --procs, which is {procs}: add --procs {cap}, or \
         use -j {cap}"
    )]
    FewerThanProcs { cap: u32, procs: u16 },
    #[error("{flag} {number}: must be at most {}: {most}", most.workers)]
    TooMany { flag: &'static str, number: u64, most: Most },
    /// `--leave-timeout` with this word after `--leave`.
    #[error("--leave-timeout: --leave {0} waits for nothing; leave one of them out")]
    NothingToWaitFor(&'static str),
    #[error("{flag} {}: {why}", path.display())]
    File {
        flag: &'static str,
        path: PathBuf,
        #[source]
        why: io::Error,
    },
    #[error("{flag} {}: is a directory", path.display())]
    ListIsFolder { flag: &'static str, path: PathBuf },
    #[error(
        "--from {}, line {line}: not a line of a joblog (9 fields, tabs between them)",
        path.display()
    )]
    NoJoblog { path: PathBuf, line: usize },
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("--journal: {0}")]
    Journal(#[source] io::Error),
    /// The program of a flag or a variable.
    #[error("{given}: {why}")]
    Program {
        given: &'static str,
        #[source]
        why: ProgramError,
    },
    #[error("cannot find this program: {0}")]
    OwnPath(#[source] io::Error),
    #[error(
        "{0}; it belongs beside msup (install both, or set {name})",
        name = names::WORKER_PROGRAM
    )]
    NoWorker(#[source] ProgramError),
    /// The words of a task loop hold replacement strings.
    #[error(
        "{}: a task loop (--worker) gets the values themselves, not in its arguments: leave \
         {{}} and the like out (--literal takes such braces literally)",
        .0.escape_ascii()
    )]
    TaskLoop(Vec<u8>),
    /// The words of COMMAND hold replacement strings.
    #[error(
        "{}: a program of --worker-stdio reads the values from its standard input: leave {{}} and \
         the like out (--literal takes such braces literally)",
        .0.escape_ascii()
    )]
    StdioWorker(Vec<u8>),
    #[error("--worker-stdio: which program? Give COMMAND after the flags")]
    NoStdioWorker,
    /// A flag that `--worker-stdio` cannot heed, and why.
    #[error("{flag} cannot be used with --worker-stdio: {why}")]
    NotWithStdio { flag: &'static str, why: &'static str },
    /// A value after `:::`.
    #[error(
        "a value holds a newline: use -0, and a program of --worker-stdio that reads values up to \
         a NUL byte: {}",
        .0.escape_ascii()
    )]
    NewlineInValue(Vec<u8>),
    #[error("--out {}: {why}", template.display())]
    ForeignOut {
        template: OsString,
        #[source]
        why: Foreign,
    },
    #[error("--out {}: {why}", template.display())]
    Out {
        template: OsString,
        #[source]
        why: OutTemplateError,
    },
    #[error("{{out}} in the command: give the name of the file with --out")]
    NoOut,
    #[error(
        "'::::' without a file: name the files with the values behind it ('-': standard input)"
    )]
    NoFile,
    #[error("'-' twice: standard input can be read once (write it to a file first)")]
    StdinTwice,
    /// Values of several arguments.
    #[error(
        "--worker-stdio takes one value per task: leave -n, --colsep and all lists but one out, or \
         write the combinations out, one a line"
    )]
    SeveralArguments,
    #[error("--tagstring: {0}")]
    Tag(#[source] OfAttempt),
    #[error("msup doctor takes no arguments")]
    Doctor,
    #[error("--colsep: {0}")]
    Colsep(#[source] BadRegexp),
    /// Several lists where values must come from one.
    #[error("{0} takes one list of values: write the combinations out, one a line")]
    SeveralLists(&'static str),
    /// A flag of GNU parallel or xargs, as typed.
    #[error("{typed} is not supported: {instead}")]
    Unsupported { typed: String, instead: &'static str },
    /// A word that is nearly a subcommand.
    #[error("{word}: no such program: did you mean 'msup {meant}'? (see msup --help)")]
    Misspelled { word: String, meant: &'static str },
    /// A line about an error that clap has found.
    #[error("{0}")]
    Clap(String),
}
