//! Why a task cannot make its file (`--out`).

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::template::OutFileError;

/// A file or folder whose content may not survive a power cut. Several tasks may share it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot be synced to disk: {0}")]
pub(crate) struct Unsynced(#[source] Arc<io::Error>);

impl From<io::Error> for Unsynced {
    fn from(why: io::Error) -> Unsynced {
        Unsynced(Arc::new(why))
    }
}

/// Why a task cannot make its file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error(transparent)]
    Path(#[from] OutFileError),
    #[error("{}: not run: task {first} already makes this file (--out)", path.display())]
    Taken { path: PathBuf, first: u64 },
    #[error("{}: {why} (--out)", folder.display())]
    Folder {
        folder: PathBuf,
        #[source]
        why: io::Error,
    },
    #[error("{}: {why}", folder.display())]
    FolderUnsynced {
        folder: PathBuf,
        #[source]
        why: Unsynced,
    },
    /// There is no temporary file.
    #[error("it has not written its output file ({{out}}, $MSUP_OUT; in task loops ctx.out())")]
    NotWritten,
    #[error("its output file: {0}")]
    Unreadable(#[source] io::Error),
    #[error("what it has made is no regular file: a task makes one file, and no folder")]
    NoFile,
    #[error("its output file {0}")]
    Unsynced(#[source] Unsynced),
    /// It cannot be renamed to this path.
    #[error("{}: {why}", target.display())]
    NotRenamed {
        target: PathBuf,
        #[source]
        why: io::Error,
    },
    #[error("the journal was lost")]
    JournalLost,
}
