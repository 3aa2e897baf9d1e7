//! What is wrong with a command line about a queue, or with the queue.

use std::path::PathBuf;

use msup_cluster::{AddressError, ClusterError};

/// Why a queue cannot be used: one line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueueError {
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A flag that a list for a queue cannot have.
    #[error("--{0}: msup submit does not take it: the tasks run on other machines, in any order")]
    Flag(String),
    /// `--keep-order` and the like without `--wait`.
    #[error("--{0} needs --wait: without it, msup submit returns at once (see msup collect)")]
    NeedsWait(&'static str),
    #[error("--worker-stdio: msup submit does not take it: use --worker or a COMMAND")]
    Stdio,
    #[error("tasks {first} and {second} would make the same file: {}", path.display())]
    SameFile { first: u64, second: u64, path: PathBuf },
    #[error("--summary {}: {why}", path.display())]
    Summary {
        path: PathBuf,
        #[source]
        why: std::io::Error,
    },
    #[error("the job has no command: it was made by another release")]
    NoCommand,
    #[error("the working folder: {0}")]
    Folder(#[source] std::io::Error),
    #[error("neither XDG_STATE_HOME nor HOME is set: a node keeps results there (see the guide)")]
    NoHome,
}
