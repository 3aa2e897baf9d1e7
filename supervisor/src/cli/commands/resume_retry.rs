//! `msup resume` and `msup retry`: an earlier run's command line, with limits given anew.

mod error;

use std::ffi::{OsStr, OsString};
use std::io::{Write, stderr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use clap::Parser;
pub(crate) use error::ResumeError;
use msup_protocol::exit;

use crate::cli::args::{Args, Typed};
use crate::cli::logs::{Continued, Retried};
use crate::cli::shared::{Limits, Reporting};
use crate::cli::{Command, MetricsPlace, Refusal, help, pipeline, plan};
use crate::journal::runs::{self, Wanted};
use crate::journal::{Folder, JournalError, Past, ShardFolder, State, take_over};
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
    mut_args(help::under_heading),
    // retry refuses it with a line of its own.
    mut_arg("arg_file", |arg| arg.hide(true)),
    mut_arg("run", |arg| {
        arg.help(
            "The run: its id (see msup log), or its folder with a '/' (./FOLDER) [default: the \
             newest run started in the current folder]. Or a pipeline FILE.toml, with the flags \
             of msup run",
        )
    })
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

/// What may be given anew. Where nothing is given, what was typed at the first start counts: the
/// help names no defaults.
#[derive(Debug, clap::Args)]
#[command(
    mut_arg("procs", |arg| {
        arg.help("Number of tokens, that is, of CPUs that tasks may use at once")
    }),
    mut_arg("max_workers", |arg| {
        arg.help("Largest number of worker processes, and so of tasks in flight")
    }),
    mut_arg("memory", |arg| arg.help("Limit the total memory of all commands")),
    mut_arg("mem_per_task", |arg| {
        arg.help("Hard limit on the data memory of each process of a command")
    }),
    mut_arg("bar", |arg| arg.help("Show a progress bar even if standard output is a pipe")),
    mut_arg("quiet", |arg| {
        arg.help(
            "Print no bar and no closing report, only failures that the command cannot report \
             itself",
        )
    })
)]
struct Anew {
    /// The run: its id (see msup log), or its folder with a '/' (./FOLDER) [default: the newest
    /// interrupted run started in the current folder]
    run: Option<PathBuf>,

    #[command(flatten)]
    limits: Limits,

    /// Read all values again from FILE; finished tasks are skipped
    #[arg(short = 'a', long, value_name = "FILE")]
    arg_file: Option<PathBuf>,

    #[command(flatten)]
    reporting: Reporting,
}

/// `msup resume` with these flags.
///
/// # Errors
/// Nothing can be resumed.
pub(in crate::cli) fn resume(resume: Resume) -> Result<Command, Refusal> {
    let Resume { replay, anew } = resume;
    let (folder, past) = find(&anew, Wanted::Unfinished)?;
    if let Some((status, true)) = past.finished
        && anew.arg_file.is_none()
        && !replay
    {
        return Ok(Command::NothingLeft(describe(&folder, &past), status_of(&past, status)));
    }
    go_on(anew, folder, past, None, replay)
}

/// `msup retry` with these flags.
///
/// # Errors
/// Nothing can be retried.
pub(in crate::cli) fn retry(retry: Retry) -> Result<Command, Refusal> {
    let Retry { failed, quarantined, anew } = retry;
    let both = !failed && !quarantined;
    let (failed, quarantined) = (failed || both, quarantined || both);
    if anew.arg_file.is_some() {
        return Err(ResumeError::RetryWithList.into());
    }
    let (folder, past) = find(&anew, Wanted::Any)?;
    let wanted = |count, state| if count { past.count_unshown_too(state) } else { 0 };
    let is_finished = matches!(past.finished, Some((_, true)));
    let none = wanted(failed, State::Failed) + wanted(quarantined, State::Quarantined) == 0;
    let done = describe(&folder, &past);
    match (none, is_finished) {
        (true, true) => {
            return Ok(Command::NothingLeft(format!("nothing to retry: {done}"), 0));
        }
        (true, false) => return Err(ResumeError::NothingToRetry(done).into()),
        (false, false) if !folder.is_running() => {
            // The run goes on even if this cannot be printed.
            let _ = writeln!(stderr(), "msup: {}", escape::message(&done));
        }
        (false, _) => {}
    }
    go_on(anew, folder, past, Some(Retried { failed, quarantined }), false)
}

/// The run that was named, else the newest one; prints which one that is.
fn find(anew: &Anew, wanted: Wanted) -> Result<(Folder, Past), Refusal> {
    if let Some(run) = &anew.run {
        if pipeline::history_of(run).is_some() {
            return Err(ResumeError::OfPipeline(run.clone()).into());
        }
        let folder = runs::named(run)?;
        let past = read(&folder)?;
        return Ok((folder, past));
    }
    let choice = runs::newest(wanted).map_err(|why| match wanted {
        Wanted::Unfinished => {
            Refusal::from(of_pipeline().unwrap_or_else(|| nothing_to_resume(why)))
        }
        Wanted::Any => Refusal::from(why),
    })?;
    let past = read(&choice.folder)?;
    if choice.is_elsewhere {
        if wanted == Wanted::Unfinished
            && let Some(why) = of_pipeline()
        {
            return Err(why.into());
        }
        let (none, command) = match wanted {
            Wanted::Any => ("no run was begun", "msup retry"),
            Wanted::Unfinished if anew.arg_file.is_some() => {
                ("no run was interrupted", "msup resume -a FILE")
            }
            Wanted::Unfinished => ("no run was interrupted", "msup resume"),
        };
        let folder = OsStr::from_bytes(&past.run.folder.0).into();
        let run = past.run.run.to_string();
        return Err(ResumeError::Elsewhere { none, run, folder, command }.into());
    }
    let mut out = stderr().lock();
    // The run goes on even if this cannot be printed.
    for why in &choice.passed_over {
        let _ = writeln!(out, "msup: {}", escape::message(why.to_string()));
    }
    if !anew.reporting.quiet {
        let _ = writeln!(out, "msup: {}", escape::message(announcement(&past, wanted)));
    }
    Ok((choice.folder, past))
}

fn read(folder: &Folder) -> Result<Past, Refusal> {
    if folder.is_empty_run() {
        return Err(ResumeError::EmptyRun(folder.path().to_owned()).into());
    }
    if ShardFolder::has_start(folder) {
        return Err(ResumeError::Shard(folder.path().to_owned()).into());
    }
    Ok(Past::read(folder)?)
}

/// Which run is taken: its command without the values, and what is left of it.
fn announcement(past: &Past, wanted: Wanted) -> String {
    let place = Path::new(OsStr::from_bytes(&past.run.folder.0)).display();
    let words = past.run.arguments.iter().map(|word| OsString::from_vec(word.0.clone()));
    let args = Args::read(words).ok().and_then(Typed::flags);
    let command = args.and_then(|args| plan::typed_command(&args));
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
    match past.tasks_of_list() {
        Some(values) => {
            let total = values + past.added().len() as u64;
            format!(" ({} of {total} tasks left)", total.saturating_sub(finished))
        }
        None => format!(" ({finished} tasks had finished)"),
    }
}

/// What is said where the last run of this folder was one of a pipeline.
fn of_pipeline() -> Option<ResumeError> {
    pipeline::last_file().map(ResumeError::OfPipeline)
}

/// No run is unfinished: says what became of the newest one instead, if it is over.
fn nothing_to_resume(why: JournalError) -> ResumeError {
    let goes_on = matches!(why, JournalError::StillRunning(_));
    let newest = runs::newest(Wanted::Any).ok().filter(|_| !goes_on);
    let past = newest.and_then(|choice| Some((Past::read(&choice.folder).ok()?, choice.folder)));
    let is_over = |past: &Past| past.halted || matches!(past.finished, Some((_, true)));
    ResumeError::NothingToResume(match past.filter(|(past, _)| is_over(past)) {
        Some((past, folder)) => describe(&folder, &past),
        None => why.to_string(),
    })
}

/// The exit status of a finished run: that of its tasks, not of a generation that was stopped when
/// all was done, or could not show an output again.
fn status_of(past: &Past, status: u8) -> u8 {
    match status {
        0..=exit::MORE_FAILURES => status,
        _ => exit::for_failures(past.count(State::Failed) + past.count(State::Quarantined)),
    }
}

fn describe(folder: &Folder, past: &Past) -> String {
    let [succeeded, failed, quarantined] = [State::Succeeded, State::Failed, State::Quarantined]
        .map(|state| past.count_unshown_too(state));
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
    mut anew: Anew,
    folder: Folder,
    past: Past,
    retried: Option<Retried>,
    replays: bool,
) -> Result<Command, Refusal> {
    let words = past.run.arguments.iter().map(|word| OsString::from_vec(word.0.clone()));
    let no_run = || ResumeError::NoCommandLine(folder.path().to_owned());
    let mut args = Args::read(words)?.flags().ok_or_else(no_run)?;
    let is_live = args.output.is_shown_live();
    if replays && is_live {
        return Err(ResumeError::ShownLive(folder.path().to_owned()).into());
    }
    let is_filed = args.output.filing.is_asked();
    if replays && is_filed {
        return Err(ResumeError::InFiles(folder.path().to_owned()).into());
    }
    if replays || retried.is_none() && !is_live && !is_filed {
        check_outputs(&folder, &past, replays)?;
    }
    // Paths are relative to the present folder, not to that of the run.
    let absolute = |path: PathBuf| match path.as_os_str() == "-" {
        true => Ok(path),
        false => std::path::absolute(&path).map_err(|why| ResumeError::Path { path, why }),
    };
    let arg_file = anew.arg_file.map(absolute).transpose()?;
    anew.reporting.summary = anew.reporting.summary.map(absolute).transpose()?;
    if let Some(MetricsPlace::File(path)) = anew.reporting.metrics.take() {
        anew.reporting.metrics = Some(MetricsPlace::File(absolute(path)?));
    }
    let folder = Folder::at(absolute(folder.path().to_owned())?);
    args.limits.replace(anew.limits);
    args.reporting.add(anew.reporting);
    let run = past.run.run.clone();
    let (locks, ended) = take_over(&folder, &run)?;
    // Until now its supervisor may have written to the journal. From here on no other process does.
    let past = if past.is_as_read(&folder) { past } else { read(&folder)? };
    let place = OsString::from_vec(past.run.folder.0.clone());
    let here = std::env::current_dir().unwrap_or_default();
    std::env::set_current_dir(&place)
        .map_err(|why| ResumeError::WorkingFolder { folder: place.into(), why })?;
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

/// Checks that outputs can be shown again, if that was asked for. Otherwise prints a line if
/// standard output is an empty file, which will lack the outputs that were shown before.
fn check_outputs(folder: &Folder, past: &Past, replays: bool) -> Result<(), Refusal> {
    let kept = folder.open_outputs()?;
    if replays {
        let none = || ResumeError::NotKept(folder.path().to_owned()).into();
        return kept.map(drop).ok_or_else(none);
    }
    let finished: u64 = [State::Succeeded, State::Failed, State::Quarantined]
        .map(|state| past.count(state))
        .into_iter()
        .sum();
    // If no outputs were kept, it is unknown whether anything was shown.
    let has_shown = kept.is_none_or(|file| file.metadata().is_ok_and(|meta| meta.len() > 0));
    if finished > 0 && has_shown && terminal::output_is_empty_file() {
        let tasks = if finished == 1 { "task" } else { "tasks" };
        let text = format!(
            "standard output is an empty file and will lack the outputs of {finished} finished \
             {tasks}; msup resume --replay prints these again"
        );
        // The run goes on even if this cannot be printed.
        let _ = writeln!(stderr(), "msup: {}", escape::message(text));
    }
    Ok(())
}
