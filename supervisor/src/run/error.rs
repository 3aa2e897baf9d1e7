//! Why a run cannot start or go on.

use std::io;
use std::path::PathBuf;

use msup_protocol::segment::CreateError;
use nix::errno::Errno;

use crate::cli::MetricsPlace;
use crate::journal::JournalError;
use crate::os::threads::ThreadError;
use crate::output::OutputError;
use crate::output::files::error::FileError;
use crate::report::joblog::JoblogError;
use crate::tasks::slots::PublishError;

/// Why a run cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("--summary {}: {why}", path.display())]
    Summary {
        path: PathBuf,
        #[source]
        why: io::Error,
    },
    #[error("--metrics {place}: {why}")]
    Metrics {
        place: MetricsPlace,
        #[source]
        why: io::Error,
    },
    #[error("--results {}: {why}", path.display())]
    Results {
        path: PathBuf,
        #[source]
        why: io::Error,
    },
    /// In the folder that was given.
    #[error("--journal {0}")]
    NamedJournal(#[source] JournalError),
    /// The same of a pipeline, whose journal has a fixed place.
    #[error("the journal of this pipeline: {0}")]
    PipelineJournal(#[source] JournalError),
    #[error("a run of this pipeline is still going on: wait for it, or stop it (msup ctl drain)")]
    PipelineRuns,
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Joblog(#[from] JoblogError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(transparent)]
    Thread(#[from] ThreadError),
    /// The run's folder for payloads; the error names it.
    #[error(transparent)]
    Folder(io::Error),
    #[error(transparent)]
    Segment(CreateError),
    /// A segment that is smaller than it would be without the limit on file sizes.
    #[error(
        "{why}: the limit on file sizes is {limit} bytes (ulimit -f): ask for fewer workers (-j 1)"
    )]
    SmallSegment {
        #[source]
        why: CreateError,
        limit: u64,
    },
    #[error("subreaper: {0}")]
    Subreaper(#[source] Errno),
    /// Something else that the kernel provides.
    #[error("{what}: {why}")]
    System {
        what: &'static str,
        #[source]
        why: io::Error,
    },
}

impl RunError {
    /// Names what a system error is about.
    pub(super) fn of<E: Into<io::Error>>(what: &'static str) -> impl Fn(E) -> RunError {
        move |why| RunError::System { what, why: why.into() }
    }

    /// The same if the run is one of a pipeline (`is_one`): its user has given no --journal.
    pub(super) fn of_pipeline(self, is_one: bool) -> RunError {
        use JournalError::{Busy, JustTaken, Taken};
        match self {
            why if !is_one => why,
            RunError::NamedJournal(Taken(_) | JustTaken(_) | Busy { .. }) => RunError::PipelineRuns,
            RunError::NamedJournal(why) => RunError::PipelineJournal(why),
            why => why,
        }
    }
}

/// Why an attempt cannot be published.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Slot(#[from] PublishError),
}
