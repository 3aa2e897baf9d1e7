//! `msup log`: all runs, the tasks of one, or all about one task.

mod listing;
mod task;
mod tasks;

use std::io::{Write, stderr, stdout};
use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};

use super::printed;
pub(super) use listing::command_of;
pub(super) use task::under_way;

use crate::cli::{Refusal, pipeline};
use crate::journal::{Folder, State, runs};
use crate::report::escape;

/// What `--json` prints about tasks and runs, as a JSON Schema.
const SCHEMA: &str = include_str!("../../../../docs/log.schema.json");

/// List all runs, the finished tasks of one run, or all about one task.
#[derive(Debug, Parser)]
#[command(name = "msup log", override_usage = "msup log [OPTIONS] [RUN [SEQ]]")]
pub(crate) struct Log {
    /// The run: its id, its folder with a '/' (./FOLDER), the file of a pipeline, or last: the
    /// newest run started in the current folder, else the newest of any folder
    run: Option<PathBuf>,

    /// All about the task with this number, and its output if that is kept
    seq: Option<u64>,

    /// Only tasks that have failed or are quarantined; without RUN those of the last run
    #[arg(long, conflicts_with_all = ["state", "seq"])]
    failed: bool,

    /// Only tasks in this state
    #[arg(long, value_name = "STATE", conflicts_with = "seq")]
    state: Option<Wanted>,

    /// Only tasks whose cause of failure contains TEXT ("exit 3", "signal 11")
    #[arg(long, value_name = "TEXT", conflicts_with = "seq")]
    cause: Option<String>,

    /// Only the N tasks whose last attempt took longest, longest first; with --attempts the N
    /// longest attempts
    #[arg(long, value_name = "N", conflicts_with_all = ["follow", "seq"])]
    slowest: Option<usize>,

    /// Print all attempts, not only the last one of each task
    #[arg(long, conflicts_with = "seq")]
    attempts: bool,

    /// Print one JSON object per line
    #[arg(long)]
    json: bool,

    /// Print the JSON Schema of what --json prints
    #[arg(long, exclusive = true)]
    schema: bool,

    /// Print the output of task SEQ as it is, and nothing else
    #[arg(long, requires = "seq", conflicts_with = "json")]
    raw: bool,

    /// Keep printing tasks as they finish, until the run is finished or stopped
    #[arg(short, long, conflicts_with = "seq")]
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
        if self.schema {
            return printed(stdout().write_all(SCHEMA.as_bytes()));
        }
        match (&self.run, self.seq) {
            (Some(run), Some(seq)) => task::show(self, &folder_of(Some(run))?, seq),
            (None, _) if !self.is_about_tasks() => listing::show(self.json),
            (run, _) => tasks::show(self, &folder_of(run.as_deref())?),
        }
    }

    /// Whether a flag asks for tasks: without RUN those of the last one.
    fn is_about_tasks(&self) -> bool {
        let asks = self.failed || self.attempts || self.follow;
        asks || self.state.is_some() || self.cause.is_some() || self.slowest.is_some()
    }

    /// Whether tasks in this state are wanted.
    fn wants_state(&self, state: State) -> bool {
        match self.state {
            None if self.failed => state != State::Succeeded,
            None => true,
            Some(Wanted::Succeeded) => state == State::Succeeded,
            Some(Wanted::Failed) => state == State::Failed,
            Some(Wanted::Quarantined) => state == State::Quarantined,
        }
    }
}

/// Says that some lines of a journal are not read.
pub(super) fn say_damaged(folder: &Folder, lines: u64) {
    if lines > 0 {
        let are = if lines == 1 { "line is" } else { "lines are" };
        let journal = escape::message(folder.journal().as_os_str().as_encoded_bytes());
        let _ = writeln!(stderr(), "msup: {journal}: {lines} {are} damaged or missing");
    }
}

/// The folder of a run as typed, or of the last one.
///
/// # Errors
/// There is none, or it cannot be used.
pub(super) fn folder_of(run: Option<&Path>) -> Result<Folder, Refusal> {
    match run.filter(|run| run.as_os_str() != "last") {
        None => match pipeline::last_folder() {
            Some(folder) => Ok(folder),
            None => Ok(runs::newest(runs::Wanted::Any)?.folder),
        },
        Some(run) => match pipeline::history_of(run) {
            Some(folder) => Ok(runs::named(&folder)?),
            None => Ok(runs::named(run)?),
        },
    }
}
