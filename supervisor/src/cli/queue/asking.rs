//! `msup status`, `msup cancel`, and `msup collect` of an address.

use std::io::{self, Write, stderr};
use std::path::PathBuf;

use clap::Parser;
use msup_cluster::{JobState, cancel, collect, status};

use super::QueueError;
use super::flags::JobAddress;
use super::results::{ShownResults, WantedResults};
use crate::cli::Refusal;
use crate::report::escape;

/// Show how a job is doing: how many tasks have finished, wait, and are with nodes.
#[derive(Debug, Parser)]
#[command(name = "msup status", override_usage = "msup status [OPTIONS] URL")]
pub(crate) struct Status {
    #[command(flatten)]
    job: JobAddress,
}

/// Print the outputs of all finished tasks of a job in the order of the input. The exit status is
/// that of a run on one machine, or 1 if the job is not done.
#[derive(Debug, Parser)]
#[command(name = "msup collect", override_usage = "msup collect [OPTIONS] URL")]
pub(crate) struct CollectQueue {
    #[command(flatten)]
    job: JobAddress,

    /// Write a line per finished task to FILE, in the format of GNU parallel
    #[arg(long, value_name = "FILE")]
    joblog: Option<PathBuf>,

    /// Write a summary of the job to FILE as JSON
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
}

/// Stop a job: what runs is stopped, and what waits is taken out of the queue. Results stay.
#[derive(Debug, Parser)]
#[command(name = "msup cancel", override_usage = "msup cancel [--delete] [OPTIONS] URL")]
pub(crate) struct Cancel {
    /// Remove the job with its results, also one that is done
    #[arg(long)]
    delete: bool,

    #[command(flatten)]
    job: JobAddress,
}

impl Status {
    /// # Errors
    /// [`Refusal`].
    pub(super) fn run(&self) -> Result<u8, Refusal> {
        let login = self.job.login()?;
        let state = status(&login).map_err(QueueError::from)?;
        let mut out = io::stdout();
        let written = out.write_all(told(&state).as_bytes()).and_then(|()| out.flush());
        written.map_err(Refusal::Stdout).map(|()| 0)
    }
}

/// How a job is doing, in lines.
fn told(state: &JobState) -> String {
    let JobState { meta, finished, waiting, running, is_cancelled } = state;
    let mut text = format!("{finished} of {} tasks have finished", meta.total);
    if *waiting + *running > 0 {
        text += &format!(", {waiting} wait, {running} are with nodes");
    }
    if state.is_done() {
        text += ": the job is done";
    }
    text.push('\n');
    if *is_cancelled {
        text += "the job was cancelled\n";
    } else if state.missing() > 0 {
        let n = state.missing();
        text += &format!("{n} tasks are not submitted: submit the same job again\n");
    }
    text
}

impl CollectQueue {
    /// # Errors
    /// [`Refusal`].
    pub(super) fn run(self) -> Result<u8, Refusal> {
        let login = self.job.login()?;
        let mut shown =
            ShownResults::begin(&login, WantedResults::in_order(self.joblog, self.summary))?;
        let reading = collect(&login, |arrived| shown.take(arrived));
        shown.finish(reading)
    }
}

impl Cancel {
    /// # Errors
    /// [`Refusal`].
    pub(super) fn run(&self) -> Result<u8, Refusal> {
        let login = self.job.login()?;
        let before = cancel(&login, self.delete).map_err(QueueError::from)?;
        let job = login.address.job();
        let text = match (self.delete, before.is_done()) {
            (true, _) => format!("job {job} is removed"),
            (false, true) => format!("job {job} was done: --delete removes its results"),
            (false, false) => {
                let (finished, total) = (before.finished, before.meta.total);
                format!("job {job} is cancelled: {finished} of {total} tasks had finished")
            }
        };
        let _ = writeln!(stderr(), "msup: {}", escape::message(text));
        Ok(0)
    }
}
