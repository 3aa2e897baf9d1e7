//! The flags as typed.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;
use clap::error::{ContextKind, ErrorKind};

use super::batch_flags::BatchFlags;
use super::choices::Order;
use super::general::GeneralFlags;
use super::gnu::GnuFlags;
use super::input_flags::InputFlags;
use super::list_flags::ListFlags;
use super::output_flags::OutputFlags;
use super::pipe_flags::PipeFlags;
use super::place_flags::PlaceFlags;
use super::resuming::ResumingFlags;
use super::shard::ShardFlags;
use super::shared::{Failing, Limits, Reporting, Runners};
use super::start_flags::StartFlags;
use super::string_flags::StringFlags;
use super::usage::UsageError;
use super::wrong_line::{one_line, unknown};
use super::{Command, Refusal, gnu_asked, help, optional_values, other_tools, topics};
use crate::journal::Durability;

/// Run COMMAND once per input value, with as many processes at once as keep the CPUs busy.
#[derive(Debug, Parser)]
#[command(
    name = "msup",
    version,
    override_usage = help::USAGE,
    help_template = help::TEMPLATE,
    after_help = help::AFTER,
    disable_help_flag = true,
    // As in GNU parallel, the last one counts: variables and files give flags, too.
    args_override_self = true,
    mut_args(help::under_heading)
)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) limits: Limits,

    #[command(flatten)]
    pub(super) reading: GnuFlags,

    #[command(flatten)]
    pub(super) input: InputFlags,

    #[command(flatten)]
    pub(super) blocks: PipeFlags,

    #[command(flatten)]
    pub(super) batches: BatchFlags,

    #[command(flatten)]
    pub(super) lists: ListFlags,

    #[command(flatten)]
    pub(super) shard: ShardFlags,

    #[command(flatten)]
    pub(super) strings: StringFlags,

    #[command(flatten)]
    pub(super) starting: StartFlags,

    #[command(flatten)]
    pub(super) places: PlaceFlags,

    #[command(flatten)]
    pub(super) running: Runners,

    /// Show the commands that would be run, one a line, and run none
    #[arg(long, aliases = ["dryrun", "dr"])]
    pub(super) dry_run: bool,

    /// Start the tasks that took longest in an earlier run first. Tasks that are not in JOBLOG come
    /// before them. msup reads all input before it starts a task
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

    #[command(flatten)]
    pub(super) output: OutputFlags,

    /// COMMAND is a program that keeps running: it reads the values from its standard input, one
    /// per line (-0: each ends with a NUL byte), and answers each with a line of JSON
    #[arg(
        long,
        conflicts_with_all = ["worker", "out", "order", "unsafe_replace"]
    )]
    pub(super) worker_stdio: bool,

    #[command(flatten)]
    pub(super) failing: Failing,

    /// Keep the run's journal in this folder [default: a new one below ~/.local/state/msup]
    #[arg(long, value_name = "FOLDER", conflicts_with = "no_journal")]
    pub(super) journal: Option<PathBuf>,

    /// Keep no journal: an interrupted run cannot be resumed
    #[arg(long)]
    pub(super) no_journal: bool,

    /// Keep outputs of any size with the journal, for msup resume --replay [default: up to 64 KiB
    /// of each task]
    #[arg(long, conflicts_with = "no_journal")]
    pub(super) keep_output: bool,

    /// How much of the journal a power cut may lose: any part (process), about the last second
    /// (batch), or only the record being written (task). Tasks whose records are lost run again
    #[arg(long, value_name = "LEVEL", default_value = "batch", hide_possible_values = true)]
    pub(super) durability: Durability,

    /// Write a line for each finished task to FILE, in GNU parallel's format (+FILE: append)
    #[arg(long, alias = "jl", value_name = "FILE")]
    pub(super) joblog: Option<PathBuf>,

    #[command(flatten)]
    pub(super) resuming: ResumingFlags,

    #[command(flatten)]
    pub(super) reporting: Reporting,

    #[command(flatten)]
    pub(super) general: GeneralFlags,

    /// What msup does anyway, for command lines of other tools
    #[arg(
        long = "will-cite",
        aliases = ["willcite", "no-notice", "nonotice", "nn", "group", "silent"],
        action = clap::ArgAction::Count,
        hide = true
    )]
    pub(super) anyway: u8,

    #[command(flatten)]
    harmless: other_tools::Harmless,

    /// The command and its arguments. A single word with shell syntax is a script. Without COMMAND,
    /// each line of the input is a command
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    pub(super) words: Vec<OsString>,
}

impl Args {
    /// Reads a command line, without the program.
    ///
    /// # Errors
    /// What is wrong with it, also where a flag is one of another tool.
    pub(super) fn read(words: impl IntoIterator<Item = OsString>) -> Result<Typed<Args>, Refusal> {
        let words: Vec<OsString> = words.into_iter().collect();
        let is_gnu = words.first().is_some_and(|word| word == "--gnu");
        let all = optional_values::written_out(words.clone(), is_gnu);
        let all = std::iter::once("msup".into()).chain(all);
        let mut typed = Typed::of(parse::<Args>(all), |why| {
            let typed = unknown(why);
            let known = typed.and_then(other_tools::known);
            // A word that is nearly a flag of msup is taken for that, not for the beginning of a
            // flag of another tool.
            let resembles = why.get(ContextKind::SuggestedArg).is_some();
            let begun = || typed.filter(|_| !resembles).and_then(other_tools::begun);
            known.or_else(begun)
        })?;
        if let Typed::Flags(args) = &typed
            && args.general.brief
        {
            return Ok(Typed::Help(topics::brief()));
        }
        if let Typed::Flags(args) = &mut typed {
            args.reading.typed = words;
            if !args.reading.gnu {
                args.reading.asked.refuse()?;
            }
            if args.reading.gnu {
                // Its -q quotes, and it says nothing of itself.
                let is_quiet = std::mem::replace(&mut args.reporting.quiet, true);
                args.reading.quotes = is_quiet || args.reading.asked.quote;
            }
        }
        match typed {
            Typed::Help(text) if is_gnu && text.starts_with(VERSION_LINE) => {
                Ok(Typed::Help(gnu_asked::version()))
            }
            typed => Ok(typed),
        }
    }
}

/// What the line with the version begins with.
const VERSION_LINE: &str = concat!("msup ", env!("CARGO_PKG_VERSION"));

/// Reads words, the program's name first. A negative number behind a flag that has a value is that,
/// and not a flag: it is refused under the name of the flag before it.
fn parse<C: Parser>(words: impl IntoIterator<Item = OsString>) -> Result<C, clap::Error> {
    let command = C::command().mut_args(|arg| {
        let has_value = arg.get_action().takes_values() && !arg.is_positional();
        if has_value && !arg.is_require_equals_set() {
            arg.allow_negative_numbers(true)
        } else {
            arg
        }
    });
    let mut found = command.try_get_matches_from(words)?;
    C::from_arg_matches_mut(&mut found)
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
        Typed::of(parse(words), |_| None)
    }

    /// What clap has read. `better` may know a better line about an error.
    fn of(
        read: Result<C, clap::Error>,
        better: impl FnOnce(&clap::Error) -> Option<UsageError>,
    ) -> Result<Typed<C>, Refusal> {
        match read {
            Ok(flags) => Ok(Typed::Flags(flags)),
            Err(why) => match why.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                    Ok(Typed::Help(why.to_string()))
                }
                _ => {
                    let line = || UsageError::Clap(one_line(&why, &C::command()));
                    Err(better(&why).unwrap_or_else(line).into())
                }
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
}

impl<C> Typed<C> {
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
        assert!(args.output.keep_order && !args.input.null && args.limits.procs.is_none());
        assert_eq!(args.words, ["ls", "-0", "--procs", "{}"]);
        let args = Args::try_parse_from(["msup", "--", "-k", ":::", "a"]).expect("valid");
        assert_eq!(args.words, ["-k", ":::", "a"]);
    }

    #[test]
    fn an_error_is_one_line() {
        let line = |words: &[&str]| {
            let why = Args::try_parse_from(words).expect_err("wrong");
            one_line(&why, &<Args as clap::CommandFactory>::command())
        };
        let unknown = line(&["msup", "--nonsense"]);
        assert!(unknown.starts_with("unexpected argument '--nonsense' found"), "{unknown}");
        assert!(!unknown.contains('\n'));
        let empty = line(&["msup", "--journal", ""]);
        assert!(empty.starts_with("a value is required for '--journal <FOLDER>'"), "{empty}");
    }
}
