//! Why a run cannot be resumed or retried.

use std::io;
use std::path::PathBuf;

/// Why a run cannot be resumed or retried.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResumeError {
    #[error(
        "{}: one start of a shard: start the same command line again (--shard I/N --journal \
        FOLDER), which goes on after all of them; msup collect FOLDER prints it",
        .0.display()
    )]
    Shard(PathBuf),
    #[error(
        "{}: this run is empty: it was interrupted before any task started (start it again)",
        .0.display()
    )]
    EmptyRun(PathBuf),
    /// What became of the run that may have been meant, or why there is none.
    #[error(
        "nothing to resume: the last run of this folder was one of a pipeline: msup run {} runs \
         what is left",
        .0.display()
    )]
    OfPipeline(PathBuf),
    #[error("nothing to resume: {0}")]
    NothingToResume(String),
    /// The state of the run.
    #[error("nothing to retry: {0}")]
    NothingToRetry(String),
    #[error("-a: retry takes the values from the journal")]
    RetryWithList,
    /// What is said before: there is none here.
    #[error(
        "{none} in this folder. The newest one is {run}, of {}: name it to run its tasks \
         ({command} {run})",
        folder.display()
    )]
    Elsewhere { none: &'static str, run: String, folder: PathBuf, command: &'static str },
    #[error("{}: not the command line of a run", .0.display())]
    NoCommandLine(PathBuf),
    /// A path that was given has no absolute form.
    #[error("{}: {why}", path.display())]
    Path {
        path: PathBuf,
        #[source]
        why: io::Error,
    },
    #[error("{}: the folder in which the run was begun: {why}", folder.display())]
    WorkingFolder {
        folder: PathBuf,
        #[source]
        why: io::Error,
    },
    #[error("--replay: {}: the outputs of this run were not kept", .0.display())]
    NotKept(PathBuf),
    #[error(
        "--replay: {}: outputs that are shown while tasks run (--lb, -u) are not kept: leave it \
         out",
        .0.display()
    )]
    ShownLive(PathBuf),
    #[error("--replay: {}: the outputs of this run are in files: leave it out", .0.display())]
    InFiles(PathBuf),
    #[error(
        "{}: the values of this run were kept here and are gone: give them with -a FILE",
        .0.display()
    )]
    ValuesGone(PathBuf),
}
