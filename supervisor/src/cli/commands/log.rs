//! `msup log`: all runs, or the tasks of one.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek, SeekFrom, Write, stdout};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use rustix::fs::OFlags;

use super::printed;
use crate::cli::Refusal;
use crate::journal::runs;
use crate::journal::{End, Folder, JournalError, Past, Record, Seed, State, read, seed};
use crate::report::escape;

/// How often the journal of a run that goes on is read.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// List all runs, or the finished tasks of one run.
#[derive(Debug, Parser)]
#[command(name = "msup log", override_usage = "msup log [OPTIONS] [RUN]")]
pub(crate) struct Log {
    /// The run: its id, its folder with a '/' (./FOLDER), or last: the newest run started in the
    /// current folder, else the newest of any folder
    run: Option<PathBuf>,

    /// Only tasks in this state
    #[arg(long, value_name = "STATE")]
    state: Option<Wanted>,

    /// Only tasks whose cause of failure contains TEXT ("exit 3", "signal 11")
    #[arg(long, value_name = "TEXT")]
    cause: Option<String>,

    /// Only the N tasks that took longest, longest first
    #[arg(long, value_name = "N", conflicts_with = "follow")]
    slowest: Option<usize>,

    /// Print one JSON object per line
    #[arg(long)]
    json: bool,

    /// Keep printing tasks as they finish, until the run is finished or stopped
    #[arg(short, long)]
    follow: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Wanted {
    Succeeded,
    Failed,
    Quarantined,
}

impl Log {
    /// Prints what was asked for.
    ///
    /// # Errors
    /// The run cannot be read, or standard output cannot be written.
    pub(crate) fn run(&self) -> Result<(), Refusal> {
        match &self.run {
            None => list(self.json),
            Some(run) => {
                let folder = match run.as_os_str() == "last" {
                    true => runs::newest(runs::Wanted::Any)?.folder,
                    false => runs::named(run)?,
                };
                tasks(self, &folder)
            }
        }
    }
}

/// All runs, the oldest first.
fn list(json: bool) -> Result<(), Refusal> {
    runs::check_place()?;
    let mut out = BufWriter::new(stdout().lock());
    for folder in runs::list() {
        let line = match Past::read(&folder) {
            _ if folder.is_empty_run() => empty_line(&folder, json),
            Ok(past) if json => json_of(&past, &folder),
            Ok(past) => line_of(&past, &folder),
            Err(why) => escape::message(why.to_string()),
        };
        if let Err(why) = writeln!(out, "{line}") {
            return printed(Err(why));
        }
    }
    printed(out.flush())
}

/// The line of a run that was cut off before anything was journaled.
fn empty_line(folder: &Folder, json: bool) -> String {
    let run = folder.path().file_name().unwrap_or_default();
    if json {
        let run = run.display().to_string();
        return json_line(
            &serde_json::json!({ "run": run, "folder": folder.path(), "state": "empty" }),
        );
    }
    format!("{}  empty", escape::value(run.as_bytes()))
}

fn json_line(fields: &serde_json::Value) -> String {
    let mut line = Vec::new();
    // Writing into memory cannot fail.
    let _ = escape::json(&mut line, fields);
    String::from_utf8_lossy(&line).into_owned()
}

fn line_of(past: &Past, folder: &Folder) -> String {
    let [succeeded, failed, quarantined] = counts(past);
    let command =
        past.run.arguments.iter().map(|word| escape::value(&word.0)).collect::<Vec<_>>().join(" ");
    format!(
        "{}  {}  {succeeded} succeeded, {failed} failed, {quarantined} quarantined  {command}",
        past.run.run,
        state_of(past, folder)
    )
}

fn json_of(past: &Past, folder: &Folder) -> String {
    let [succeeded, failed, quarantined] = counts(past);
    json_line(&serde_json::json!({
        "run": past.run.run,
        "folder": folder.path(),
        "began": past.began,
        "state": state_of(past, folder),
        "generations": past.generations,
        "arguments": past.run.arguments,
        "succeeded": succeeded,
        "failed": failed,
        "quarantined": quarantined,
    }))
}

fn counts(past: &Past) -> [u64; 3] {
    [State::Succeeded, State::Failed, State::Quarantined].map(|state| past.count(state))
}

fn state_of(past: &Past, folder: &Folder) -> &'static str {
    match past.finished {
        Some((_, true)) => "finished",
        _ if folder.is_running() => "running",
        _ if past.halted => "halted",
        _ => "cut-off",
    }
}

fn tasks(log: &Log, folder: &Folder) -> Result<(), Refusal> {
    let path = folder.journal();
    let error = JournalError::at(&path);
    let mut file = folder.open_journal(OFlags::RDONLY)?;
    let seed = seed(BufReader::new(&file)).map_err(&error)?;
    let seed = seed.ok_or_else(|| JournalError::NoJournal(path.clone()))?;
    file.rewind().map_err(&error)?;
    let mut out = BufWriter::new(stdout().lock());
    // With --follow each end is printed as it comes.
    let last = if log.follow { None } else { Some(last_ends(&file, &seed).map_err(&error)?) };
    let (mut at, mut slowest, mut printing, mut number) = (0, Vec::new(), Ok(()), 0);
    loop {
        // This is asked first: what the run writes until it is over is read below.
        let goes_on = log.follow && folder.is_running();
        file.seek(SeekFrom::Start(at)).map_err(&error)?;
        let condition = read(BufReader::new(&file), &seed, |_, record| {
            let Record::End(end) = record else { return };
            number += 1;
            // Of a task that was run again, only the last end counts.
            let is_past = last.as_ref().is_some_and(|last| !last.contains(&number));
            if is_past || !log.wants(&end) || printing.is_err() {
                return;
            }
            if log.slowest.is_some() {
                slowest.push(end);
            } else {
                printing = log.show(&end, &mut out);
            }
        });
        at += condition.map_err(&error)?.whole;
        printing = printing.and_then(|()| out.flush());
        if !goes_on || printing.is_err() {
            break;
        }
        thread::sleep(LOOK_EVERY);
    }
    slowest.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
    for end in slowest.iter().take(log.slowest.unwrap_or(0)) {
        printing = printing.and_then(|()| log.show(end, &mut out));
    }
    printed(printing.and_then(|()| out.flush()))
}

/// A task. Its number alone is not enough: if the list was changed between two generations, another
/// task may have it.
type Task = (u64, Vec<u8>);

fn task_of(end: &End) -> Task {
    (end.seq, end.value.0.clone())
}

/// The last end of each task: its number among all ends of the journal, from 1.
fn last_ends(journal: &File, seed: &Seed) -> io::Result<HashSet<u64>> {
    let (mut last, mut number) = (HashMap::<Task, u64>::new(), 0);
    read(BufReader::new(journal), seed, |_, record| match record {
        Record::End(end) => {
            number += 1;
            last.insert(task_of(&end), number);
        }
        Record::Moved { seq, value, to } => {
            if let Some(number) = last.remove(&(seq, value.0.clone())) {
                last.insert((to, value.0), number);
            }
        }
        _ => {}
    })?;
    Ok(last.into_values().collect())
}

impl Log {
    fn wants(&self, end: &End) -> bool {
        let state = match self.state {
            None => end.state,
            Some(Wanted::Succeeded) => State::Succeeded,
            Some(Wanted::Failed) => State::Failed,
            Some(Wanted::Quarantined) => State::Quarantined,
        };
        let cause = end.cause.as_deref().unwrap_or_default();
        end.state == state && self.cause.as_deref().is_none_or(|wanted| cause.contains(wanted))
    }

    fn show(&self, end: &End, out: &mut impl Write) -> io::Result<()> {
        if self.json {
            escape::json(out, end)?;
            return writeln!(out);
        }
        let End { seq, attempt, seconds, .. } = end;
        let how = match (end.state, &end.cause) {
            (State::Succeeded, _) => "succeeded".to_owned(),
            (State::Failed, cause) => format!("failed: {}", shown(cause.as_deref())),
            (State::Quarantined, cause) => format!("quarantined: {}", shown(cause.as_deref())),
        };
        let value = escape::value(&end.value.0);
        writeln!(out, "{seq}\t{how}\tattempt {attempt}\t{seconds:.3} s\t{value}")
    }
}

fn shown(cause: Option<&str>) -> String {
    escape::cause(cause.unwrap_or("?"))
}
