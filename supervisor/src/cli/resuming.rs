//! `--resume`, `--resume-failed` and `--retry-failed`: what an earlier run has done, as its joblog
//! or its results tell, is not done again.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::filing::{FiledTo, FilingPlan};
use super::logged::{self, LoggedJobs, NumberedCommands};
use super::usage::UsageError;
use crate::template::Job;

#[derive(Debug, clap::Args)]
pub(super) struct ResumingFlags {
    /// Skip the tasks that are in the joblog (--joblog) or have results (--results FOLDER), as GNU
    /// parallel does. An interrupted run of msup is continued by msup resume
    #[arg(long, conflicts_with_all = ["worker", "worker_stdio"])]
    resume: bool,

    /// The same, but run again those that failed
    #[arg(
        long,
        alias = "resumefailed",
        conflicts_with_all = ["worker", "worker_stdio", "resume"]
    )]
    resume_failed: bool,

    /// Run the commands of the joblog that failed again; no COMMAND and no values are needed
    #[arg(
        long,
        alias = "retryfailed",
        conflicts_with_all = ["worker", "worker_stdio", "resume", "resume_failed"]
    )]
    retry_failed: bool,
}

/// What tells which tasks are not run.
#[derive(Debug)]
pub(crate) struct ResumingPlan {
    /// The lines of a joblog.
    pub(crate) logged: Option<LoggedJobs>,
    /// The files of results.
    pub(crate) by_results: bool,
}

impl ResumingFlags {
    /// What the flags ask for, if they are given.
    ///
    /// # Errors
    /// Nothing tells what has run, or the joblog cannot be read.
    pub(super) fn plan(
        &self,
        joblog: Option<&Path>,
        results: Option<&FilingPlan>,
        is_gnu: bool,
        job: &Job,
    ) -> Result<Option<ResumingPlan>, UsageError> {
        let Some(flag) = self.given() else { return Ok(None) };
        let has_places = results.is_some_and(|filing| matches!(filing.results, FiledTo::Places(_)));
        let has_table =
            results.is_some_and(|filing| matches!(filing.results, FiledTo::Table { .. }));
        let by_results = self.resume && has_places;
        let Some(typed) = joblog else {
            return match (has_places, has_table) {
                // As there: results do not tell which tasks have failed, so all of them run.
                (true, _) => Ok(Some(ResumingPlan { logged: None, by_results })),
                (_, true) => Err(UsageError::ResumesByTable(flag)),
                _ if is_gnu => Err(UsageError::NothingToResumeFrom(flag)),
                _ => Err(UsageError::ResumesOtherwise(flag)),
            };
        };
        let Job::Commands(template) = job else { return Ok(None) };
        let (path, keeps_failed) = (named(typed), self.resume);
        let logged = LoggedJobs::read(&path, template.outline(), keeps_failed);
        let logged = Some(logged.map_err(UsageError::Logged)?);
        Ok(Some(ResumingPlan { logged, by_results }))
    }

    /// The commands of the joblog with the numbers of their tasks, if they are to be run again.
    ///
    /// # Errors
    /// There is no joblog, or it cannot be read.
    pub(super) fn commands(
        &self,
        joblog: Option<&Path>,
    ) -> Result<Option<NumberedCommands>, UsageError> {
        if !self.retry_failed {
            return Ok(None);
        }
        let path = named(joblog.ok_or(UsageError::NothingToRetryFrom)?);
        if !path.exists() {
            return Err(UsageError::NoLog(path));
        }
        logged::commands(&path).map(Some)
    }

    /// The flag that is given.
    fn given(&self) -> Option<&'static str> {
        match (self.resume, self.resume_failed, self.retry_failed) {
            (true, ..) => Some("--resume"),
            (_, true, _) => Some("--resume-failed"),
            (.., true) => Some("--retry-failed"),
            _ => None,
        }
    }
}

/// The file of a joblog as typed.
pub(super) fn named(typed: &Path) -> PathBuf {
    let text = typed.as_os_str().as_bytes();
    OsStr::from_bytes(text.strip_prefix(b"+").unwrap_or(text)).into()
}
