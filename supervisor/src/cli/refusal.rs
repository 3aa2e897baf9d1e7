//! The line that says why msup cannot do what it was asked to do.

use std::io;

use super::commands::resume_retry::ResumeError;
use super::pipeline::PipelineError;
#[cfg(feature = "nats")]
use super::queue::QueueError;
use super::settings::SettingsError;
use super::usage::{BadValue, UsageError};
use crate::journal::JournalError;
use crate::os::limits::TooFewFiles;
use crate::os::programs::ProgramError;
use crate::os::threads::ThreadError;
use crate::report::joblog::JoblogError;
use crate::template::{Foreign, TemplateError};

/// Why msup does nothing: one line that says what is wrong, where, and what to do instead.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// In COMMAND.
    #[error(transparent)]
    Foreign(#[from] Foreign),
    /// The program of COMMAND.
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    TooFewFiles(#[from] TooFewFiles),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Joblog(#[from] JoblogError),
    #[error(transparent)]
    Resume(#[from] ResumeError),
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[cfg(feature = "nats")]
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Thread(#[from] ThreadError),
    /// What is wrong with the values.
    #[error("{0}")]
    Input(#[source] io::Error),
    #[error("standard output: {0}")]
    Stdout(#[source] io::Error),
}

impl Refusal {
    /// Lines of a file that show what is meant.
    pub(crate) fn excerpt(&self) -> Option<String> {
        match self {
            Refusal::Pipeline(PipelineError::Wrong { why, .. }) => why.excerpt(),
            _ => None,
        }
    }
}

impl From<SettingsError> for Refusal {
    fn from(why: SettingsError) -> Refusal {
        Refusal::Usage(why.into())
    }
}

impl From<BadValue> for Refusal {
    fn from(value: BadValue) -> Refusal {
        Refusal::Usage(value.into())
    }
}
