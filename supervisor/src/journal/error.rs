//! Why a run's folder or its journal cannot be used.

use std::io;
use std::path::{Path, PathBuf};

use msup_protocol::env as names;

use super::SCHEMA;
use super::locks::Busy;
use crate::os::threads::ThreadError;
use crate::shard::Shard;

/// Why a run's folder or its journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    /// A file or folder of a run cannot be opened, read or written.
    #[error("{}: {why}", path.display())]
    File {
        path: PathBuf,
        #[source]
        why: io::Error,
    },
    #[error("{}: not an msup journal", .0.display())]
    NoJournal(PathBuf),
    #[error(
        "{}: written by a later release (schema {schema}, this one knows {SCHEMA}): use that",
        journal.display()
    )]
    Later { journal: PathBuf, schema: u32 },
    /// A new run cannot begin in this folder.
    #[error("{run}: there is a run in it already (msup resume {run})", run = .0.display())]
    Taken(PathBuf),
    /// The same, where the other run has begun and finished at this moment.
    #[error("{}: there is a run in it already", .0.display())]
    JustTaken(PathBuf),
    #[error("{}: {busy}", folder.display())]
    Busy {
        folder: PathBuf,
        #[source]
        busy: Busy,
    },
    /// A run that was to be taken over.
    #[error("{}: this run is still running (its supervisor is alive)", .0.display())]
    Alive(PathBuf),
    #[error(
        "{}: something of this run is still alive and cannot be killed (look for {}={run} in \
         /proc/*/environ)",
        folder.display(),
        names::RUN
    )]
    Survivors { folder: PathBuf, run: String },
    /// A run that was to be chosen or removed.
    #[error("{}: this run is still running", .0.display())]
    StillRunning(PathBuf),
    #[error("no run in {}", .0.display())]
    NoRuns(PathBuf),
    #[error(
        "'{id}': no run has this id (msup log lists them; ./{id} is a folder)",
        id = .0.display()
    )]
    NoId(PathBuf),
    #[error("{}: no such run: it is no folder with a journal", .0.display())]
    NoSuchFolder(PathBuf),
    #[error(
        "{id}: no such run in {place} (msup log lists them; a folder has a '/': ./{id})",
        id = id.display(),
        place = place.display()
    )]
    NoSuchRun { id: PathBuf, place: PathBuf },
    /// A run that cannot be judged when one is chosen.
    #[error("{0} (passed over)")]
    PassedOver(#[source] Box<JournalError>),
    /// The folder of all runs, and the variable that determines it.
    #[error("{}: {why} ({variable})", path.display())]
    Place {
        path: PathBuf,
        #[source]
        why: io::Error,
        variable: &'static str,
    },
    #[error("neither XDG_STATE_HOME nor HOME is set")]
    NoPlace,
    #[error("{}: no such folder", .0.display())]
    NoHome(PathBuf),
    #[error("the working folder: {0}")]
    WorkingFolder(#[source] io::Error),
    #[error("{}: no space left on the disk", .0.display())]
    NoSpace(PathBuf),
    #[error("{}: {why}", folder.display())]
    Lost { folder: PathBuf, why: String },
    /// What happened to files of tasks cannot be recorded.
    #[error("no space left for the journal")]
    NoSpaceToSettle,
    #[error("the journal: {0}")]
    CannotSettle(String),
    #[error("the journal: {0}")]
    Unsynced(#[source] io::Error),
    #[error("{}: cannot tell whether it was put in its place: {why}", temporary.display())]
    Undecided {
        temporary: PathBuf,
        #[source]
        why: io::Error,
    },
    #[error(
        "{}: the shards of this folder are of {there}, this one is {here}: give it another folder",
        folder.display()
    )]
    OtherShards { folder: PathBuf, there: u64, here: Shard },
    #[error(
        "{}: this shard was started with another command, or in another folder ({}): repeat \
        its command line, or give another --journal",
        folder.display(), other.display()
    )]
    OtherWork { folder: PathBuf, other: PathBuf },
    #[error("{}: no journals of shards (the FOLDER of --shard I/N --journal FOLDER)", .0.display())]
    NoShards(PathBuf),
    #[error(
        "{}: this journal is of another command, folder or number of shards than the others",
        .0.display()
    )]
    MixedShards(PathBuf),
    #[error(
        "{}: this shard has read another list than {}: shards that are collected need the same",
        folder.display(), other.display()
    )]
    OtherList { folder: PathBuf, other: PathBuf },
    #[error("msup {0} has begun these shards, and this release cannot read its command line")]
    OtherRelease(String),
    #[error("{}: no outputs were kept", .0.display())]
    NoOutputs(PathBuf),
    #[error(transparent)]
    Thread(#[from] ThreadError),
}

impl JournalError {
    /// Names the file or folder of a system error.
    pub(crate) fn at(path: &Path) -> impl Fn(io::Error) -> JournalError {
        |why| JournalError::File { path: path.to_owned(), why }
    }
}
