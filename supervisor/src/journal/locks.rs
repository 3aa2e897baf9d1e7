//! The two locks of a run's folder.
//!
//! `lock` belongs to the supervisor alone, and records when the last generation began. `generation`
//! is inherited by everything the run starts: as long as a process holds it, something of the run
//! is alive.

use std::fs::{self, File};
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};

use super::folder::Folder;

pub(super) const LOCK: &str = "lock";
pub(super) const GENERATION: &str = "generation";

/// How long a supervisor's lock may outlast it: a killed process keeps its files until its last
/// thread is gone, and a child that it had just forked keeps them until its exec.
pub(super) const LET_GO_WITHIN: Duration = Duration::from_secs(2);

/// Descriptors inherited by everything get a number from here on, if possible: far from those that
/// scripts pick for themselves (3 to 9, 99, 200) and shells (10, 63, 255), and not a round number.
const HIGH_FD: RawFd = 739;

/// The two locks; this process releases them when it exits, the second one only once all that
/// inherited it have exited.
#[derive(Debug)]
pub(crate) struct Locks {
    /// First, so that it is dropped while no other run can be in the folder.
    undo: Undo,
    _own: File,
    _generation: OwnedFd,
}

/// Removes what a start has made when it is dropped, which means that the start has failed.
#[derive(Debug, Default)]
pub(super) struct Undo {
    pub(super) files: Vec<PathBuf>,
    /// Folders that did not exist before, the innermost first.
    pub(super) folders: Vec<PathBuf>,
}

/// Why a folder cannot be locked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Busy {
    /// Its supervisor is alive.
    #[error("another supervisor works in it")]
    Running,
    /// Its supervisor is gone, but something it started is not.
    #[error("something of an earlier run in it is still alive")]
    Survivors,
    /// A system error.
    #[error(transparent)]
    Error(#[from] io::Error),
}

impl Busy {
    /// Whether it may be different at the next attempt.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Busy::Running => true,
            Busy::Survivors => false,
            Busy::Error(why) => why.kind() == io::ErrorKind::NotFound,
        }
    }
}

impl Folder {
    /// Makes sure that no other supervisor works in the folder, and lets everything started from
    /// now on inherit the lock. `order` says when this generation begins.
    ///
    /// # Errors
    /// [`Busy`].
    pub(crate) fn lock(&self, order: u64) -> Result<Locks, Busy> {
        let open = |name| self.open(name, OFlags::RDWR | OFlags::CREATE);
        let own = open(LOCK)?;
        take(&own, Busy::Running)?;
        let generation = open(GENERATION)?;
        take(&generation, Busy::Survivors)?;
        // It only says which of several runs is the newest: it may fail.
        let _ = own.set_len(0).and_then(|()| own.write_all_at(format!("{order}\n").as_bytes(), 0));
        // Not close-on-exec, and not a number that scripts pick for themselves.
        let above = |least| fcntl_dupfd_cloexec(&generation, least);
        let inherited = above(HIGH_FD).or_else(|_| above(0)).and_then(|inherited| {
            fcntl_setfd(&inherited, FdFlags::empty())?;
            Ok(inherited)
        });
        let inherited = inherited.map_err(io::Error::from)?;
        Ok(Locks { undo: Undo::default(), _own: own, _generation: inherited })
    }

    /// When its last generation began, as recorded in `lock`: in milliseconds since 1970, and later
    /// than every generation before it.
    pub(crate) fn order(&self) -> Option<u64> {
        let mut text = [0; 32];
        let len = self.open(LOCK, OFlags::RDONLY).ok()?.read_at(&mut text, 0).ok()?;
        std::str::from_utf8(&text[..len]).ok()?.trim().parse().ok()
    }

    /// Whether its supervisor is alive.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.is_locked(), Ok(true))
    }

    /// Whether its supervisor is certainly not alive, if it has run on this machine.
    pub(crate) fn is_left(&self) -> bool {
        matches!(self.is_locked(), Ok(false))
    }

    /// # Errors
    /// It cannot be told.
    fn is_locked(&self) -> io::Result<bool> {
        let own = self.open(LOCK, OFlags::RDONLY)?;
        // Over NFS an exclusive lock needs a file that is open for writing.
        match flock(&own, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(false),
            Err(Errno::WOULDBLOCK) => Ok(true),
            Err(why) => Err(why.into()),
        }
    }
}

impl Locks {
    /// A start that fails from now on removes this.
    pub(super) fn guard(&mut self, undo: Undo) {
        self.undo = undo;
    }

    /// The start has succeeded: what it made stays.
    pub(crate) fn keep(&mut self) {
        self.undo.files.clear();
        self.undo.folders.clear();
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        for file in &self.files {
            let _ = fs::remove_file(file);
        }
        for folder in &self.folders {
            let _ = fs::remove_dir(folder);
        }
    }
}

fn take(file: &File, taken: Busy) -> Result<(), Busy> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(()),
        Err(Errno::WOULDBLOCK) => Err(taken),
        Err(errno) => Err(Busy::Error(errno.into())),
    }
}
