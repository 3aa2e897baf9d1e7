//! The plan of a run for `msup xargs`.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Write, stderr};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use super::limits::LineLimits;
use super::options::{Grouping, Options};
use super::usage::XargsError;
use crate::cli::args::{Args, Typed};
use crate::cli::batch_flags::MeasuredCommand;
use crate::cli::command::{Work, worker_beside_us};
use crate::cli::logs::{Keeping, Logs};
use crate::cli::plan::{Outputs, Plan, Reports, Voice, reports, what_if_tasks_fail};
use crate::cli::stopping::GRACE;
use crate::cli::usage::UsageError;
use crate::cli::values::Values;
use crate::cli::{Announced, OutputRoute, Prompt, Refusal, StartConditions, concurrency};
use crate::engine::{Leave, StartRules};
use crate::input::{CommandRoom, Format, List, Separated, Source, WordList};
use crate::os::{limits, streams};
use crate::report::bar::Manner;
use crate::template::{Job, LooksTemplate, Surroundings, Template};

/// Where no command is given.
const DEFAULT: &str = "echo";

/// Makes a plan of what was asked for. Opens the input, and shows the limits if that was asked for.
///
/// # Errors
/// [`XargsError`].
pub(super) fn make(options: Options) -> Result<Plan, XargsError> {
    let line = LineLimits::of_this_system();
    let chars = line.chars(options.chars);
    if options.shows_limits {
        // Where standard error cannot be written nobody reads it.
        let _ = stderr().write_all(line.told(chars).as_bytes());
    }
    let reads_stdin = options.file.as_deref().is_none_or(|path| path == Path::new("-"));
    let list = match &options.file {
        _ if reads_stdin && streams::stdin_was_closed() => {
            return Err(Refusal::from(UsageError::Stdin(streams::closed())).into());
        }
        _ if reads_stdin => List::Stdin,
        None => List::Stdin,
        Some(path) => match File::open(path) {
            Ok(file) => List::File(file, path.clone()),
            Err(why) => return Err(XargsError::File { path: path.clone(), why }),
        },
    };
    let mut command: Vec<Vec<u8>> =
        options.command.iter().cloned().map(OsString::into_vec).collect();
    if command.is_empty() {
        command.push(DEFAULT.into());
    }
    let program = command[0].clone();
    let (words, lines, replaced) = match options.grouping {
        Grouping::Full => (usize::MAX, None, None),
        Grouping::Words(words) => (words, None, None),
        Grouping::Lines(lines) => (usize::MAX, Some(lines), None),
        Grouping::Replaced(string) => (1, None, Some(string)),
    };
    let separated = match (options.delimiter, &replaced) {
        (Some(byte), _) => Separated::By(byte),
        (None, None) => Separated::AtBlanks,
        (None, Some(_)) => Separated::AtNewlines,
    };
    let runs_empty = options.runs_empty && replaced.is_none();
    let must_fit = options.must_fit || lines.is_some() || replaced.is_some();
    let template = Template::plain(command, replaced, options.slot_variable);
    let room = CommandRoom {
        command: Box::new(MeasuredCommand(template.clone())),
        at_most: LineLimits::room(chars),
        must_fit,
    };
    let end = options.end.filter(|_| options.delimiter.is_none());
    let list = WordList { list, separated, end, words, lines, runs_empty, room };
    // A question shows its command.
    let shows_commands = options.shows_commands && !options.asks;
    let voice = Voice::Xargs { program, shows_commands };
    let own_stdin = !reads_stdin;
    let source = Source::Words(Box::new(list));
    let limits = (options.procs, options.asks);
    assemble(source, template, limits, (voice, own_stdin)).map_err(Into::into)
}

/// When a command may start.
fn starts(asks: bool) -> Result<StartConditions, Refusal> {
    let prompt = asks.then(|| Prompt::open(true)).transpose()?;
    let rules = StartRules { asks, ..StartRules::default() };
    Ok(StartConditions { rules, prompt, ..StartConditions::default() })
}

/// The rest of the plan, which is the same for all.
fn assemble(
    source: Source,
    template: Template,
    (procs, asks): (u64, bool),
    (voice, own_stdin): (Voice, bool),
) -> Result<Plan, Refusal> {
    let most = limits::most_workers()?.workers;
    let jobs = procs.min(most).to_string();
    // Of its flags, those that say how many run at once are given, and the usual ones remain.
    let flags = ["--no-journal", "--quiet", "--leave", "ok", "--jobs", &jobs, "--", DEFAULT];
    let Typed::Flags(args) = Args::read(flags.map(OsString::from))? else {
        unreachable!("there is no --help among them")
    };
    let mut failures = what_if_tasks_fail(&args.failing, GRACE)?;
    failures.policy.is_xargs = true;
    (failures.policy.crash_limit, failures.policy.outside_limit) = (1, 1);
    failures.leave = Leave::Alone;
    let mut concurrency = concurrency::of(&args.limits, &args.running)?;
    concurrency.lowered = None;
    concurrency.starts = starts(asks)?;
    let keeping = Keeping::Nowhere;
    let format = Format::separated_by(vec![0]);
    Ok(Plan {
        run_id: keeping.run_id(),
        concurrency,
        work: Work {
            job: Job::Commands(Box::new(template)),
            surroundings: Surroundings::default(),
            worker_program: worker_beside_us()?,
            worker_arguments: Vec::new(),
            memory_per_task: None,
            own_stdin,
            keeps_ignored: true,
        },
        values: Values {
            source,
            format,
            block_file: None,
            room: None,
            longest_first: None,
            needs_total: false,
            shard: None,
            work: String::new(),
        },
        outputs: Outputs {
            keep_order: false,
            files: None,
            looks: LooksTemplate::default(),
            route: OutputRoute::Whole,
            announced: Announced::default(),
            terminal: None,
            durable: false,
            frames: false,
            filing: None,
            tmpdir: None,
        },
        failures,
        reports: Reports {
            voice,
            ..reports(&args.reporting, Manner::Silent, true, keeping.here(), None)
        },
        logs: Logs { keeping, keeps_all_output: false, joblog: None, resuming: None },
        pipeline: None,
    })
}
