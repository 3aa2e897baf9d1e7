//! The flags as typed.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;
use clap::error::{ContextKind, ErrorKind};

use super::choices::{LeaveFlag, Order};
use super::wrong_line::{one_line, unknown};
use super::{Command, Refusal, other_tools};
use crate::engine::AtCap;
use crate::journal::Durability;

/// Run COMMAND once per input value, with as many processes at once as keep the CPUs busy.
#[derive(Debug, Parser)]
#[command(
    name = "msup",
    version,
    override_usage = "msup [OPTIONS] [--] COMMAND [ARG]... [::: VALUE...]\n       \
                      msup [OPTIONS] < commands.txt\n       \
                      msup [OPTIONS] --worker PROGRAM [ARG]... [::: VALUE...]\n       \
                      msup resume [RUN] [OPTIONS]\n       \
                      msup retry [--failed|--quarantined] [RUN] [OPTIONS]\n       \
                      msup log [OPTIONS] [RUN]\n       \
                      msup clean [OPTIONS] [RUN]...\n       \
                      msup doctor",
    after_help = "Replacement strings in COMMAND: {} value, {.} without extension, {/} base name, \
                  {//} folder, {/.} base name without extension, {#} number of the task, {%} slot \
                  of the worker, {threads} number of \
                  threads it may use, {out} the file to write (--out). If COMMAND has none, the value is \
                  appended.\n\n\
                  Accepted without effect, for command lines of other tools: -n 1, -L 1, -I {}, -i, -r, \
                  --will-cite, --no-notice, --group, --silent, --plain.\n\n\
                  Exit status: 0 all tasks succeeded, 1-100 that many did not, 101 more did not, 102 the \
                  journal or the joblog could not be written, 255 wrong usage or an internal error, 128+N \
                  stopped by signal N."
)]
pub(super) struct Args {
    /// Number of tokens, that is, CPUs that tasks may use at once (N, N%, +N or -N of the CPUs)
    /// [default: all CPUs]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub(super) procs: Option<String>,

    /// Largest number of worker processes [default: 25 per token, at least 200]
    #[arg(long, value_name = "N")]
    pub(super) max_workers: Option<u32>,

    /// Run at most N tasks at once, as GNU parallel and xargs do: N, N% of the CPUs, +N or -N for N
    /// more or fewer than there are CPUs, 0 for as many as possible
    #[arg(
        short = 'j',
        visible_short_alias = 'P',
        visible_alias = "max-procs",
        alias = "maxprocs",
        long,
        value_name = "N",
        allow_hyphen_values = true,
        conflicts_with_all = ["procs", "max_workers"]
    )]
    pub(super) jobs: Option<String>,

    /// Limit the total memory of all commands, estimated from finished ones (512M, 16G)
    #[arg(long, value_name = "SIZE", conflicts_with = "worker")]
    pub(super) memory: Option<String>,

    /// Hard limit on the data memory of each process of a command (512M, 2G)
    #[arg(long, value_name = "SIZE", conflicts_with = "worker")]
    pub(super) mem_per_task: Option<String>,

    /// Idle workers exit after this many seconds, or at once when no task is waiting for a worker
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub(super) idle_timeout: f64,

    /// When every worker is blocked while a CPU is free and no more workers are allowed: wait, or
    /// abort the run (fail)
    #[arg(long, value_name = "wait|fail", default_value = "wait", hide_possible_values = true)]
    pub(super) at_cap: AtCap,

    /// Values are separated by NUL bytes, not newlines
    #[arg(short = '0', long)]
    pub(super) null: bool,

    /// Read values from FILE instead of standard input
    #[arg(short = 'a', long, alias = "argfile", value_name = "FILE")]
    pub(super) arg_file: Option<PathBuf>,

    /// Lines end with CR LF, as on Windows: remove the CR from each value, and a byte order mark
    /// from the first
    #[arg(long, conflicts_with = "null")]
    pub(super) crlf: bool,

    /// Take replacement strings and separators that only GNU parallel has ({1}, ::::) literally
    #[arg(long)]
    pub(super) literal: bool,

    /// The shell that runs scripts [default: $SHELL if that is bash, zsh, dash, ksh or the like,
    /// else sh]
    #[arg(long, value_name = "PATH", conflicts_with = "worker")]
    pub(super) shell: Option<PathBuf>,

    /// Insert values where a shell runs them as code ({} in the script of bash -c)
    #[arg(long)]
    pub(super) unsafe_replace: bool,

    /// Start the tasks that took longest in an earlier run first; tasks missing from JOBLOG come
    /// before them. Reads all input first
    #[arg(
        long,
        value_name = "longest",
        requires = "from",
        conflicts_with = "worker",
        hide_possible_values = true
    )]
    pub(super) order: Option<Order>,

    /// The joblog of that earlier run, written by msup or GNU parallel
    #[arg(long, value_name = "JOBLOG", requires = "order")]
    pub(super) from: Option<PathBuf>,

    /// Show outputs in the order of the input
    #[arg(short = 'k', long, alias = "keeporder")]
    pub(super) keep_order: bool,

    /// The output file of each task ('{.}.png'). The command writes to {out} or $MSUP_OUT, a
    /// temporary file, which is renamed when the command has succeeded
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "worker")]
    pub(super) out: Option<OsString>,

    /// Pass the values to workers that run PROGRAM, built with msup-worker, instead of running a
    /// command per value
    #[arg(long, value_name = "PROGRAM")]
    pub(super) worker: Option<PathBuf>,

    /// Kill a worker that takes longer than this to start (30s, 5m); after three in a row the run
    /// fails [default: no limit]
    #[arg(long, value_name = "TIME")]
    pub(super) start_timeout: Option<String>,

    /// Run a failing task up to N times in all [default: 1]
    #[arg(long, value_name = "N", default_value_t = 1, hide_default_value = true)]
    pub(super) retries: u32,

    /// Delay before a retry, growing from the first to the second value [default: 200ms..30s]
    #[arg(long, value_name = "TIME..TIME")]
    pub(super) backoff: Option<String>,

    /// Quarantine a task, that is, do not run it again, after it has crashed N times [default: 3]
    #[arg(long, value_name = "N")]
    pub(super) crash_limit: Option<u32>,

    /// Stop tasks that take longer than this (30s, 5m), or than N% of the median (200%)
    #[arg(long, value_name = "TIME|N%")]
    pub(super) timeout: Option<String>,

    /// Time between SIGTERM and SIGKILL when a task is stopped [default: 10s]. If given, running
    /// tasks also have this long to finish when the run is stopped
    #[arg(long, value_name = "TIME")]
    pub(super) grace: Option<String>,

    /// Signals that stop a task, each with the milliseconds until the next one, as in GNU parallel
    /// (INT,500,TERM,2000); SIGKILL comes last [default: TERM,GRACE]
    #[arg(long, value_name = "SIGNAL,MS,...")]
    pub(super) termseq: Option<String>,

    /// What to do with processes that a command leaves running in the background: wait for them,
    /// leave them alone (ok), or kill them
    #[arg(long, value_name = "wait|ok|kill", default_value = "wait", hide_possible_values = true)]
    pub(super) leave: LeaveFlag,

    /// How long to wait for such processes before they are stopped and their task fails [default:
    /// 10s]
    #[arg(long, value_name = "TIME")]
    pub(super) leave_timeout: Option<String>,

    /// When to abort the run: never, or now|soon,fail|success|done=N|N%. now stops running tasks,
    /// soon lets them finish. N% is a percentage of all tasks, so all input is read first
    #[arg(
        long,
        aliases = ["halt-on-error", "haltonerror"],
        value_name = "WHEN",
        allow_hyphen_values = true
    )]
    pub(super) halt: Option<String>,

    /// Keep the run's journal in this folder [default: one of its own below ~/.local/state/msup]
    #[arg(long, value_name = "FOLDER", conflicts_with = "no_journal")]
    pub(super) journal: Option<PathBuf>,

    /// Keep no journal: an interrupted run cannot be resumed
    #[arg(long)]
    pub(super) no_journal: bool,

    /// Keep outputs of any size with the journal for msup resume --replay [default: up to 64 KiB
    /// for each task]
    #[arg(long, conflicts_with = "no_journal")]
    pub(super) keep_output: bool,

    /// What a power cut may undo: everything (process), the last second (batch), or only the line
    /// being written (task)
    #[arg(long, value_name = "LEVEL", default_value = "batch", hide_possible_values = true)]
    pub(super) durability: Durability,

    /// Write a line for each finished task to FILE, as GNU parallel does (+FILE: append)
    #[arg(long, alias = "jl", value_name = "FILE")]
    pub(super) joblog: Option<PathBuf>,

    /// Write a summary of the run to FILE as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) summary: Option<PathBuf>,

    /// Print a line about tokens and workers every MS milliseconds
    #[arg(long, value_name = "MS")]
    pub(super) schedtrace: Option<u64>,

    /// Show a progress bar [default: when standard error is a terminal and standard output is a
    /// terminal or a file]
    #[arg(long, alias = "eta")]
    pub(super) bar: bool,

    /// Instead of a bar, print a progress line at this interval [default: 30s]
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "30s")]
    pub(super) progress: Option<String>,

    /// Add CPU time, tokens and workers to the closing report
    #[arg(long)]
    pub(super) stats: bool,

    /// Print no bar and no closing report, only failures that the command cannot have reported
    /// itself: not found, killed, timed out
    #[arg(short, long)]
    pub(super) quiet: bool,

    /// What msup does anyway, for command lines of other tools
    #[arg(
        short = 'r',
        long = "no-run-if-empty",
        aliases = ["norunifempty", "will-cite", "willcite", "no-notice", "nonotice", "nn", "group", "silent", "plain"],
        action = clap::ArgAction::Count,
        hide = true
    )]
    pub(super) anyway: u8,

    #[command(flatten)]
    harmless: other_tools::Harmless,

    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    pub(super) words: Vec<OsString>,
}

impl Args {
    /// Reads a command line, without the program.
    ///
    /// # Errors
    /// What is wrong with it, also where a flag is one of another tool.
    pub(super) fn read(words: impl IntoIterator<Item = OsString>) -> Result<Typed<Args>, Refusal> {
        let words = std::iter::once("msup".into()).chain(words);
        let typed = Typed::of(Args::try_parse_from(words), |why| {
            let typed = unknown(why);
            let known = typed.and_then(other_tools::known);
            // What is nearly a flag of msup's is rather that than the beginning of one of theirs.
            let resembles = why.get(ContextKind::SuggestedArg).is_some();
            let begun = || typed.filter(|_| !resembles).and_then(other_tools::begun);
            known.or_else(begun)
        })?;
        if let Typed::Flags(args) = &typed {
            args.harmless.check()?;
        }
        Ok(typed)
    }
}

/// A command line that is right.
#[derive(Debug)]
pub(super) enum Typed<C> {
    Flags(C),
    /// Help or the version was asked for: the text.
    Help(String),
}

impl<C: Parser> Typed<C> {
    /// Reads the words after this subcommand.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn read(
        subcommand: &str,
        words: impl IntoIterator<Item = OsString>,
    ) -> Result<Typed<C>, Refusal> {
        let words = std::iter::once(subcommand.into()).chain(words);
        Typed::of(C::try_parse_from(words), |_| None)
    }

    /// What clap has read. `better` may know a better line about an error.
    fn of(
        read: Result<C, clap::Error>,
        better: impl FnOnce(&clap::Error) -> Option<String>,
    ) -> Result<Typed<C>, Refusal> {
        match read {
            Ok(flags) => Ok(Typed::Flags(flags)),
            Err(why) => match why.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                    Ok(Typed::Help(why.to_string()))
                }
                _ => Err(better(&why).unwrap_or_else(|| one_line(&why, &C::command())).into()),
            },
        }
    }

    /// The flags, unless help was asked for.
    pub(super) fn flags(self) -> Option<C> {
        match self {
            Typed::Flags(flags) => Some(flags),
            Typed::Help(_) => None,
        }
    }

    /// What is to be done with these flags; help is printed.
    pub(super) fn then(
        self,
        make: impl FnOnce(C) -> Result<Command, Refusal>,
    ) -> Result<Command, Refusal> {
        match self {
            Typed::Flags(flags) => make(flags),
            Typed::Help(text) => Ok(Command::Print(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_after_the_command_are_the_commands() {
        let args = Args::try_parse_from(["msup", "-k", "ls", "-0", "--procs", "{}"]);
        let args = args.expect("valid");
        assert!(args.keep_order && !args.null && args.procs.is_none());
        assert_eq!(args.words, ["ls", "-0", "--procs", "{}"]);
        let args = Args::try_parse_from(["msup", "--", "-k", ":::", "a"]).expect("valid");
        assert_eq!(args.words, ["-k", ":::", "a"]);
    }

    #[test]
    fn an_error_is_one_line() {
        let why = Args::try_parse_from(["msup", "--nonsense"]).expect_err("unknown");
        let line = one_line(&why, &<Args as clap::CommandFactory>::command());
        assert!(line.starts_with("unexpected argument '--nonsense' found"), "{line}");
        assert!(!line.contains('\n'));
    }
}
