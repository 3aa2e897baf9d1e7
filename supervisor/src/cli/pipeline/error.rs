//! Why a pipeline cannot run.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::pipeline::BadPipeline;

/// The value that was probably meant.
struct Meant<'a>(Option<&'a [u8]>);

impl fmt::Display for Meant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => write!(f, " (one has {})", value.escape_ascii()),
            None => Ok(()),
        }
    }
}

/// Why a pipeline cannot run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PipelineError {
    #[error("msup run needs a pipeline file: msup run FILE.toml")]
    NoFile,
    #[error("{}: {why}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        why: io::Error,
    },
    #[error("{}: not UTF-8", .0.display())]
    NotText(PathBuf),
    #[error("{}, {why}", path.display())]
    Wrong { path: PathBuf, why: BadPipeline },
    #[error("the current folder: {0}")]
    Here(#[source] io::Error),
    #[error("{flag} {name}: there is no such stage (there are: {known})")]
    NoStage { flag: &'static str, name: String, known: String },
    #[error("{flag} {stage}: {by} leaves this stage out, so it does not run")]
    NotNeeded { flag: &'static str, stage: String, by: &'static str },
    #[error(
        "--force: msup retry runs what has failed; to run a stage whatever has become of it: msup \
         run --force STAGE FILE.toml"
    )]
    ForcedRetry,
    #[error("--only {}: no source has this value{}", item.escape_ascii(), Meant(near.as_deref()))]
    NoItem { item: Vec<u8>, near: Option<Vec<u8>> },
    #[error("{}: the history of this pipeline cannot be used: {why}", path.display())]
    History {
        path: PathBuf,
        #[source]
        why: io::Error,
    },
    #[error(
        "{}: not an msup journal: remove it, and the tasks of the last run are run again",
        .0.display()
    )]
    Journal(PathBuf),
    #[error(
        "--quarantined: a pipeline runs failed and quarantined tasks again alike (msup retry \
         --failed)"
    )]
    Quarantined,
    #[error(
        "a run of this pipeline is still going on (process {0}): wait for it, or stop it (msup ctl \
         drain)"
    )]
    Running(u32),
}
