//! `msup resume` and `msup retry`: an earlier run's command line, with limits given anew.

use std::ffi::{OsStr, OsString};
use std::io::{Write, stderr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use clap::Parser;

use crate::cli::args::{Args, Typed};
use crate::cli::logs::{Continued, Retried};
use crate::cli::{Command, Refusal, help, plan};
use crate::journal::runs::{self, NoRun, Wanted};
use crate::journal::{Folder, Past, State, take_over};
use crate::os::terminal;
use crate::report::escape;

/// Continue an interrupted run: run its unfinished tasks. msup uses the command line, folder and
/// shell of the first start, and today's environment. Options given here replace those of the first
/// start; all others cannot be changed.
#[derive(Debug, Parser)]
#[command(
    name = "msup resume",
    override_usage = "msup resume [OPTIONS] [RUN]",
    mut_args(help::under_heading)
)]
pub(in crate::cli) struct Resume {
    /// Also print the kept outputs of tasks that had finished
    #[arg(long)]
    replay: bool,

    #[command(flatten)]
    anew: Anew,
}

/// Run failed and quarantined tasks again. Unfinished tasks of an interrupted run are left to msup
/// resume.
#[derive(Debug, Parser)]
#[command(
    name = "msup retry",
    override_usage = "msup retry [--failed|--quarantined] [OPTIONS] [RUN]",
    mut_args(help::under_heading)
)]
pub(in crate::cli) struct Retry {
    /// Only failed tasks
    #[arg(long)]
    failed: bool,

    /// Only quarantined tasks: they crashed too often
    #[arg(long)]
    quarantined: bool,

    #[command(flatten)]
    anew: Anew,
}

/// What may be given anew.
#[derive(Debug, clap::Args)]
struct Anew {
    /// The run: its id (see msup log), or its folder with a '/' (./FOLDER) [default: the newest run
    /// started in the current folder, else the newest of any folder; msup resume considers only
    /// interrupted runs]
    run: Option<PathBuf>,

    /// Number of tokens, that is, of CPUs that tasks may use at once
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    procs: Option<String>,

    /// Largest number of worker processes, and so of tasks in flight
    #[arg(long, value_name = "N")]
    max_workers: Option<u32>,

    /// Run at most N tasks at once: N, N% of the CPUs, +N or -N for N more or fewer than there are
    /// CPUs, 0 for as many as possible. Excludes --procs and --max-workers
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
    jobs: Option<String>,

    /// Limit the total memory of all commands
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,

    /// Hard limit on the data memory of each process of a command
    #[arg(long, value_name = "SIZE")]
    mem_per_task: Option<String>,

    /// With msup resume: read all values again from FILE; finished tasks are skipped
    #[arg(short = 'a', long, value_name = "FILE")]
    arg_file: Option<PathBuf>,

    /// Write a summary of the run to FILE as JSON
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,

    /// Print a line about tokens and workers every MS milliseconds
    #[arg(long, value_name = "MS")]
    schedtrace: Option<u64>,

    /// Show a progress bar even if standard output is a pipe
    #[arg(long, alias = "eta")]
    bar: bool,

    /// Print a progress line at this interval instead of a bar; --progress alone means 30s
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "30s")]
    progress: Option<String>,

    /// Add CPU time, tokens and workers to the closing report
    #[arg(long)]
    stats: bool,

    /// Print no bar and no closing report, only failures that the command cannot report itself
    #[arg(short, long)]
    quiet: bool,
}

/// `msup resume` with these flags.
///
/// # Errors
/// One line that says why nothing can be resumed.
pub(in crate::cli) fn resume(resume: Resume) -> Result<Command, Refusal> {
    let Resume { replay, anew } = resume;
    let (folder, past) = find(&anew, Wanted::Unfinished)?;
    if let Some((status, true)) = past.finished
        && anew.arg_file.is_none()
        && !replay
    {
        return Ok(Command::NothingLeft(describe(&folder, &past), status));
    }
    go_on(anew, folder, past, None, replay)
}

/// `msup retry` with these flags.
///
/// # Errors
/// One line that says why nothing can be retried.
pub(in crate::cli) fn retry(retry: Retry) -> Result<Command, Refusal> {
    let Retry { failed, quarantined, anew } = retry;
    let both = !failed && !quarantined;
    let (failed, quarantined) = (failed || both, quarantined || both);
    if anew.arg_file.is_some() {
        return Err(String::from("-a: retry takes the values from the journal").into());
    }
    let (folder, past) = find(&anew, Wanted::Any)?;
    let wanted = |count, state| if count { past.count(state) } else { 0 };
    let is_finished = matches!(past.finished, Some((_, true)));
    let none = wanted(failed, State::Failed) + wanted(quarantined, State::Quarantined) == 0;
    let done = describe(&folder, &past);
    match (none, is_finished) {
        (true, true) => {
            return Ok(Command::NothingLeft(format!("nothing to retry: {done}"), 0));
        }
        (true, false) => return Err(format!("nothing to retry: {done}").into()),
        (false, false) if !folder.is_running() => {
            // When nobody hears it, it is done all the same.
            let _ = writeln!(stderr(), "msup: {}", escape::message(&done));
        }
        (false, _) => {}
    }
    go_on(anew, folder, past, Some(Retried { failed, quarantined }), false)
}

/// The run that was named, or the newest; which that is, is said.
fn find(anew: &Anew, wanted: Wanted) -> Result<(Folder, Past), Refusal> {
    if let Some(run) = &anew.run {
        let folder = runs::named(run)?;
        let past = read(&folder)?;
        return Ok((folder, past));
    }
    let choice = runs::newest(wanted).map_err(|none| match wanted {
        Wanted::Unfinished => nothing_to_resume(none),
        Wanted::Any => none.why,
    })?;
    let past = read(&choice.folder)?;
    let mut out = stderr().lock();
    // When nobody hears it, it is done all the same.
    for why in &choice.passed_over {
        let _ = writeln!(out, "msup: {}", escape::message(why));
    }
    if !anew.quiet {
        let _ = writeln!(out, "msup: {}", escape::message(says(&past, wanted)));
    }
    Ok((choice.folder, past))
}

fn read(folder: &Folder) -> Result<Past, Refusal> {
    if folder.is_empty_run() {
        let name = folder.path().display();
        let why = "this run is empty: it was interrupted before any task started (start it again)";
        return Err(format!("{name}: {why}").into());
    }
    Ok(Past::read(folder)?)
}

/// Which run is taken: its command without the values, and what is left of it.
fn says(past: &Past, wanted: Wanted) -> String {
    let place = Path::new(OsStr::from_bytes(&past.run.folder.0)).display();
    let words = past.run.arguments.iter().map(|word| OsString::from_vec(word.0.clone()));
    let args = Args::read(words).ok().and_then(Typed::flags);
    let command = args.and_then(|args| plan::typed_command(&args.words));
    let command =
        command.map_or(String::new(), |words| format!(": {}", String::from_utf8_lossy(&words)));
    let (verb, left) = match wanted {
        Wanted::Any => ("retrying", String::new()),
        Wanted::Unfinished => ("resuming", left_of(past)),
    };
    format!("{verb} run {} of {place}{command}{left}", past.run.run)
}

/// How many tasks are left, where the journal says how many there are.
fn left_of(past: &Past) -> String {
    let counts =
        [State::Succeeded, State::Failed, State::Quarantined].map(|state| past.count(state));
    let finished: u64 = counts.into_iter().sum();
    match past.inputs {
        Some(total) => format!(" ({} of {total} tasks left)", total.saturating_sub(finished)),
        None => format!(" ({finished} tasks had finished)"),
    }
}

/// There is none that is unfinished; perhaps the newest one tells what was meant.
fn nothing_to_resume(none: NoRun) -> String {
    let newest = runs::newest(Wanted::Any).ok().filter(|_| !none.goes_on);
    let past = newest.and_then(|choice| Some((Past::read(&choice.folder).ok()?, choice.folder)));
    match past
        .filter(|(past, _)| past.halted || past.finished.is_some_and(|(_, complete)| complete))
    {
        Some((past, folder)) => format!("nothing to resume: {}", describe(&folder, &past)),
        None => format!("nothing to resume: {}", none.why),
    }
}

fn describe(folder: &Folder, past: &Past) -> String {
    let [succeeded, failed, quarantined] =
        [State::Succeeded, State::Failed, State::Quarantined].map(|state| past.count(state));
    let name = folder.path().display();
    let here = std::env::current_dir().unwrap_or_default();
    let others = runs::name_for_commands(folder, Wanted::Unfinished, &here);
    let halted = format!("halted (the others: msup resume {})", others.display());
    let state = match past.finished {
        Some((_, true)) => "finished",
        _ if folder.is_running() => "still running",
        _ if past.halted => &halted,
        _ => "not finished (msup resume runs what is left)",
    };
    let is = if past.halted { "was" } else { "is" };
    let mut text = format!("{name}: this run {is} {state}: {succeeded} succeeded");
    for (count, what) in [(failed, "failed"), (quarantined, "quarantined")] {
        if count > 0 {
            text += &format!(", {count} {what} (msup retry --{what})");
        }
    }
    text
}

fn go_on(
    anew: Anew,
    folder: Folder,
    past: Past,
    retried: Option<Retried>,
    replays: bool,
) -> Result<Command, Refusal> {
    if replays || retried.is_none() {
        check_outputs(&folder, &past, replays)?;
    }
    // Relative to here, not to the folder of the run.
    let absolute = |path: PathBuf| match path.as_os_str() == "-" {
        true => Ok(path),
        false => std::path::absolute(&path).map_err(|why| format!("{}: {why}", path.display())),
    };
    let (arg_file, summary) =
        (anew.arg_file.map(absolute).transpose()?, anew.summary.map(absolute).transpose()?);
    let folder = Folder::at(absolute(folder.path().to_owned())?);
    let words = past.run.arguments.iter().map(|word| OsString::from_vec(word.0.clone()));
    let no_run = || format!("{}: not the command line of a run", folder.path().display());
    let mut args = Args::read(words)?.flags().ok_or_else(no_run)?;
    if anew.jobs.is_some() || anew.procs.is_some() || anew.max_workers.is_some() {
        (args.jobs, args.procs, args.max_workers) = (anew.jobs, anew.procs, anew.max_workers);
    }
    args.memory = anew.memory.or(args.memory);
    args.mem_per_task = anew.mem_per_task.or(args.mem_per_task);
    args.summary = summary.or(args.summary);
    args.schedtrace = anew.schedtrace.or(args.schedtrace);
    args.stats |= anew.stats;
    args.progress = anew.progress.or(args.progress);
    (args.bar, args.quiet) = (args.bar || anew.bar, args.quiet || anew.quiet);
    let run = past.run.run.clone();
    let (locks, ended) = take_over(&folder, &run)?;
    // Until now it may have been written to. This process is alone with it from here on.
    let past = if past.is_as_read(&folder) { past } else { read(&folder)? };
    let place = OsString::from_vec(past.run.folder.0.clone());
    let here = std::env::current_dir().unwrap_or_default();
    std::env::set_current_dir(&place).map_err(|why| {
        let place = Path::new(&place).display();
        format!("{place}: the folder in which the run was begun: {why}")
    })?;
    let (cut_off, missing) = (false, 0);
    let continued = Continued {
        folder,
        locks,
        past,
        retried,
        ended,
        replays,
        arg_file,
        cut_off,
        missing,
        here,
    };
    Ok(Command::Run(Box::new(plan::make(args, Some(continued))?)))
}

/// Whether outputs can be shown again, if they shall; else says so where a file is about to be
/// filled that has lost those that were shown before.
fn check_outputs(folder: &Folder, past: &Past, replays: bool) -> Result<(), String> {
    let kept = folder.open_outputs()?;
    if replays {
        let none = || {
            let name = folder.path().display();
            format!("--replay: {name}: the outputs of this run were not kept")
        };
        return kept.map(drop).ok_or_else(none);
    }
    let finished: u64 = [State::Succeeded, State::Failed, State::Quarantined]
        .map(|state| past.count(state))
        .into_iter()
        .sum();
    // Where nothing was kept nobody knows whether anything was shown.
    let has_shown = kept.is_none_or(|file| file.metadata().is_ok_and(|meta| meta.len() > 0));
    if finished > 0 && has_shown && terminal::output_is_empty_file() {
        let tasks = if finished == 1 { "task" } else { "tasks" };
        let text = format!(
            "standard output is an empty file and will lack the outputs of {finished} finished {tasks}; \
             msup resume --replay prints these again"
        );
        // When nobody hears it, it is done all the same.
        let _ = writeln!(stderr(), "msup: {}", escape::message(text));
    }
    Ok(())
}
