//! Why a pipeline cannot run.

use std::io;
use std::path::PathBuf;

use crate::pipeline::BadPipeline;

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
    #[error("--force {forced}: --until {until} does not need this stage, so it does not run")]
    NotNeeded { forced: String, until: String },
    #[error("--only {}: no source has this value", .0.escape_ascii())]
    NoItem(Vec<u8>),
    #[error("{}: the history of this pipeline cannot be written: {why}", path.display())]
    History {
        path: PathBuf,
        #[source]
        why: io::Error,
    },
    #[error(
        "--quarantined: a pipeline runs failed and quarantined tasks again alike (msup retry \
         --failed)"
    )]
    Quarantined,
    #[error("a run of this pipeline is still going on (process {0})")]
    Running(u32),
}
