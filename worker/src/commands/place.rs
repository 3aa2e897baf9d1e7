//! Where a command runs: its folder, made before it starts and removed when it was for it alone.

use std::ffi::{CString, OsStr};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use msup_protocol::codec::{Folder, Place, Verdict};

/// The folder of a command, and its nice level, as its process needs them.
#[derive(Default)]
pub(super) struct Prepared {
    /// `None`: the worker's own.
    pub(super) folder: Option<CString>,
    pub(super) nice: Option<i8>,
    /// It was made for this command alone.
    is_temporary: bool,
}

impl Prepared {
    /// Makes the folder, if it is to be made.
    ///
    /// # Errors
    /// The verdict on the task.
    pub(super) fn of(place: &Place) -> Result<Prepared, Verdict> {
        let (path, is_temporary) = match &place.folder {
            Folder::OfWorker => return Ok(Prepared { nice: place.nice, ..Prepared::default() }),
            Folder::Given(path) | Folder::Made(path) => (path, false),
            Folder::Temporary(path) => (path, true),
        };
        let made = match &place.folder {
            Folder::Made(_) | Folder::Temporary(_) => {
                fs::create_dir_all(Path::new(OsStr::from_bytes(path)))
            }
            Folder::OfWorker | Folder::Given(_) => Ok(()),
        };
        let folder = made.and_then(|()| CString::new(path.as_slice()).map_err(io::Error::from));
        let folder = folder.map_err(|why| {
            let errno = why.raw_os_error().unwrap_or(libc::EINVAL);
            Verdict::CannotStart(errno, explain(path, &why))
        })?;
        Ok(Prepared { folder: Some(folder), nice: place.nice, is_temporary })
    }

    /// Why the command could not enter its folder.
    pub(super) fn explain(&self, why: &io::Error) -> String {
        explain(self.folder.as_ref().map_or(&[], |folder| folder.to_bytes()), why)
    }

    /// The command has finished.
    pub(super) fn remove(self) {
        if let Some(folder) = self.folder.filter(|_| self.is_temporary) {
            // What is left goes with the run's folder, also if the worker is killed before this.
            let _ = fs::remove_dir_all(Path::new(OsStr::from_bytes(folder.to_bytes())));
        }
    }
}

fn explain(folder: &[u8], why: &io::Error) -> String {
    let folder = String::from_utf8_lossy(folder);
    match why.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            format!("{folder}: it is no folder (--wd)")
        }
        io::ErrorKind::NotFound => format!("{folder}: no such folder (--wd)"),
        _ => format!("{folder}: {why} (--wd)"),
    }
}
