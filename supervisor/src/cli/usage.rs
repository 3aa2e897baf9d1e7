//! What is wrong with a command line.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use msup_protocol::env as names;

use super::commands::serve::ServeError;
use super::logged::LoggedError;
use super::settings::SettingsError;
use super::shard::ShardError;
use super::subcommands;
use crate::os::limits::Most;
use crate::os::programs::ProgramError;
use crate::regexp::BadRegexp;
use crate::template::{BadRule, Foreign, OfAttempt, OutTemplateError, ResultsError};

/// A word of this length is no misspelled one.
const LONG_WORD: usize = 12;

/// A value that a flag does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{flag} {}: must be {wanted}{}",
    if value.is_empty() { "''" } else { value },
    .meant.as_ref().map_or(String::new(), |meant| format!(": did you mean '{meant}'?"))
)]
pub(crate) struct BadValue {
    flag: &'static str,
    value: String,
    /// The values that it takes.
    wanted: &'static str,
    /// The value without its misspelled words.
    meant: Option<String>,
}

impl BadValue {
    pub(super) fn new(flag: &'static str, value: &str, wanted: &'static str) -> BadValue {
        BadValue { flag, value: value.to_owned(), wanted, meant: None }
    }

    /// Looks for misspelled words in the value: `known` are those that it may have. `is_right`:
    /// whether a value without them is taken.
    pub(super) fn near(self, known: &[&str], is_right: impl Fn(&str) -> bool) -> BadValue {
        let mut meant = String::new();
        for part in self.value.split_inclusive(|c: char| !c.is_ascii_alphabetic()) {
            let word = part.trim_end_matches(|c: char| !c.is_ascii_alphabetic());
            let is_near =
                |near: &&&str| subcommands::distance(word.as_bytes(), near.as_bytes()) == 1;
            let is_word = word.len() > 1 && word.len() < LONG_WORD && !known.contains(&word);
            let near = known.iter().find(is_near).filter(|_| is_word);
            meant += near.map_or(word, |near| near);
            meant += &part[word.len()..];
        }
        let meant = Some(meant).filter(|meant| *meant != self.value && is_right(meant));
        BadValue { meant, ..self }
    }
}

/// What is wrong with a command line, and what to do instead.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsageError {
    #[error(
        "--joblog with --shard and --journal: msup collect --joblog FILE FOLDER writes it for all \
        shards"
    )]
    JoblogOfShard,
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// This subcommand.
    #[cfg(not(feature = "nats"))]
    #[error(
        "msup {0}: this msup was built without queues; to get them: cargo install --path \
         supervisor --features nats"
    )]
    WithoutQueues(String),
    #[error("msup serve --from-queue is for msup node alone")]
    FromQueue,
    #[error(transparent)]
    Value(#[from] BadValue),
    /// `--progress` without a time, and this word.
    #[error("{0}: the time of --progress belongs behind a '=': --progress={0}")]
    ProgressApart(String),
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
    #[error("list {0} is empty, so there are no combinations with it")]
    EmptyList(usize),
    #[error("'-' twice: standard input can be read once (write it to a file first)")]
    StdinTwice,
    /// Values of several arguments.
    #[error(
        "--worker-stdio takes one value per task: leave -n, --colsep and all lists but one out, or \
         write the combinations out, one a line"
    )]
    SeveralArguments,
    /// A flag that only `--pipe` heeds.
    #[error("{0} means nothing without --pipe or --pipe-part: add one of them, or leave it out")]
    WithoutPipe(&'static str),
    /// A flag about values, or about cutting where nothing is cut.
    #[error("{flag} means nothing with {pipe}: {instead}")]
    NotOfBlocks { flag: &'static str, pipe: &'static str, instead: &'static str },
    #[error("standard input: {0}")]
    Stdin(#[source] io::Error),
    #[error("--pipe-part takes a file: give it with -a FILE (--pipe also reads pipes)")]
    NoFileToPart,
    #[error("{0} takes one file: cat FILE FILE | msup {0} ... joins several")]
    SeveralFiles(&'static str),
    #[error(
        "--tee: a copy of the input, in {}: {why} (TMPDIR or --tmpdir names another folder)",
        folder.display()
    )]
    NoCopy {
        folder: PathBuf,
        #[source]
        why: io::Error,
    },
    #[error("-a: this run has a file of blocks, which it finds itself: leave -a out")]
    BlocksKnown,
    #[error("--tee: give the values for COMMAND behind ':::', such as 'wc {{}}' ::: -l -c")]
    NothingToTee,
    #[error("--pipe: which command? Give COMMAND after the flags ('cat' passes blocks on)")]
    NoCommandForBlocks,
    #[error(
        "--pipe takes standard input or the file of -a, cut into blocks: leave ':::' and the \
         values out"
    )]
    ListsWithPipe,
    #[error(
        "a run of --pipe has a journal only if its input is a file and is passed on as it is: give \
         the file with -a, or leave --journal and --keep-output out"
    )]
    JournalOfStream,
    /// A line of a joblog of `--pipe`.
    #[error(
        "--retry-failed: --joblog {}, line {line}: the command got a block of --pipe, which the \
         joblog does not have: give the same command line and input, with --resume-failed",
        path.display()
    )]
    RetriesBlock { path: PathBuf, line: usize },
    #[error("this run cannot go on: its command line does not name the file of its blocks")]
    BlocksGone,
    #[error(
        "{}: the file has changed since the run began, so its blocks are others: start the run \
         again",
        .0.display()
    )]
    BlocksChanged(PathBuf),
    #[error("--header: {0}")]
    BlockHeader(#[source] BadRegexp),
    #[error("--regexp: {0}")]
    Regexp(#[source] BadRegexp),
    /// -m, -X or -s without commands.
    #[error("-m, -X and -s fill the command lines of a COMMAND: here, use -n N")]
    Unfilled,
    #[error("--results {}: {why}", typed.display())]
    Results {
        typed: OsString,
        #[source]
        why: ResultsError,
    },
    #[error(
        "--files: --results {} has no files with outputs to name: leave --files out",
        .0.display()
    )]
    FilesInTable(OsString),
    #[error(
        "-u and --tty let commands write past msup, so --results and --files would have nothing to \
         write: leave one of them out"
    )]
    NothingToFile,
    /// Two flags with files that would overwrite each other.
    #[error("{}: no task {seq} has finished there", run.display())]
    NoSuchTask { seq: u64, run: PathBuf },
    #[error("{}: the output of task {seq} is not kept (--keep-output keeps all)", run.display())]
    OutputNotKept { seq: u64, run: PathBuf },
    #[error("msup ctl {verb} {words}: {verb} takes {wanted}")]
    CtlNumber { verb: &'static str, words: String, wanted: &'static str },
    #[error("msup ctl {verb}: {wanted} is missing: msup ctl {verb} NUMBER")]
    CtlLacksNumber { verb: &'static str, wanted: &'static str },
    #[error(
        "msup ctl: {word:?} is no verb{meant}: must be snapshot, stream, pause, continue, drain, \
         procs, max-workers, kill, retry or output, behind RUN if given"
    )]
    CtlVerb { word: String, meant: String },
    #[error("msup top needs a terminal; without one: msup ctl snapshot, or stream")]
    TopWithoutTerminal,
    #[error("{run}: {why}")]
    Ctl { run: String, why: String },
    #[error("{0}: this run does not go on (see msup log {0})")]
    NotLive(String),
    #[error("no run goes on in this folder, or anywhere else")]
    NoLiveRun,
    #[error("several runs go on: name one of {0}")]
    SeveralLiveRuns(String),
    #[error("-o {}: {why}", path.display())]
    Report {
        path: PathBuf,
        #[source]
        why: io::Error,
    },
    #[error("{one} and {other} name the same file, {}: give each its own", path.display())]
    SameFile { one: &'static str, other: &'static str, path: PathBuf },
    #[error(transparent)]
    Logged(#[from] LoggedError),
    /// A flag for which nothing tells what has run.
    #[error(
        "{0}: what has run? Give the joblog (--joblog FILE), or the results (--results FOLDER)"
    )]
    NothingToResumeFrom(&'static str),
    /// The same in msup's own reading.
    #[error(
        "{0} goes on as a joblog or results tell (--joblog FILE, --results FOLDER); to go on with \
         an interrupted run of msup: msup resume"
    )]
    ResumesOtherwise(&'static str),
    #[error("{0}: the table of --results does not tell what has run: add --joblog FILE")]
    ResumesByTable(&'static str),
    #[error("--retry-failed: of which joblog? Give it with --joblog FILE")]
    NothingToRetryFrom,
    #[error("--retry-failed: {}: there is no such joblog", .0.display())]
    NoLog(PathBuf),
    #[error("--retry-failed runs the commands of the joblog: leave COMMAND and values out")]
    CommandAgain,
    #[error("--tagstring: {0}")]
    Tag(#[source] OfAttempt),
    #[error("msup doctor takes no arguments")]
    Doctor,
    #[error("--wd: {0}")]
    Folder(#[source] OfAttempt),
    #[error(
        "--env _: commands have all exported variables of msup's environment anyway: leave it out, \
         and take away what they must not have with env -u NAME msup ..."
    )]
    EnvOfAll,
    #[error(
        "--limit io is not supported: --load N counts the processes that wait for a disk, or give \
         a command that measures it"
    )]
    LimitIo,
    #[error(transparent)]
    Rule(BadRule),
    /// The first values of lists cannot be read.
    #[error("{0}")]
    Header(String),
    #[error("--header: two columns have the name {0}: give each a name of its own")]
    ColumnTwice(String),
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
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Flags that the error names come from files of settings.
    #[error("{why} ({set}; --no-config leaves it out)")]
    WithSettings { why: Box<UsageError>, set: String },
    #[error("{word}: no such topic: {known}")]
    Topic { word: String, known: String },
    #[error("{word}: no such page: {known} (the program of this name: msup -- man {word})")]
    Page { word: String, known: String },
    #[error("msup completions: for which shell? bash, zsh or fish")]
    CompletionsOf,
    /// A line about an error that clap has found.
    #[error("{0}")]
    Clap(String),
}
