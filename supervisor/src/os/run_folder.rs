//! The run's folder, for payloads too large for shared memory, and the sweeping of what dead runs
//! left.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use msup_protocol::crash;
use msup_protocol::kin::Identity;
use rustix::fs::{FlockOperation, flock};

/// A folder of this run alone, locked while the run lives and removed when it is over.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
    /// Holds the lock. Closed in workers, so that it falls with this process.
    _lock: File,
}

impl RunFolder {
    /// Creates `$TMPDIR/msup-UID/PROCESS-NUMBER`, after removing what runs that were killed have left
    /// there.
    ///
    /// # Errors
    /// It cannot be created, or the folder above it is not ours alone.
    pub(crate) fn create() -> io::Result<RunFolder> {
        let uid = rustix::process::getuid().as_raw();
        let base = std::env::temp_dir().join(format!("msup-{uid}"));
        make_private(&base, uid).map_err(|why| describe(&base, &why))?;
        sweep(&base);
        for attempt in 0..100 {
            let path = base.join(format!("{}-{attempt}", Identity::own()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {}
                Err(why) if why.kind() == io::ErrorKind::AlreadyExists => continue,
                // A run that just ended has removed the folder above.
                Err(why) if why.kind() == io::ErrorKind::NotFound => {
                    make_private(&base, uid).map_err(|why| describe(&base, &why))?;
                    continue;
                }
                Err(why) => return Err(describe(&path, &why)),
            }
            // CRASH: folder_before_lock. It is named after its process: swept by the next start.
            crash::point("folder_before_lock");
            // Another start may sweep it before it is locked; then the next name will do.
            if let Some(lock) = lock(&path)
                && lock.metadata().is_ok_and(|meta| meta.nlink() > 0)
            {
                return Ok(RunFolder { path, _lock: lock });
            }
        }
        Err(io::Error::other(format!("cannot create a folder in {}", base.display())))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
        if let Some(base) = self.path.parent() {
            // Only when no other run is there.
            let _ = fs::remove_dir(base);
        }
    }
}

fn describe(path: &Path, why: &io::Error) -> io::Error {
    io::Error::new(why.kind(), format!("the run's folder {} (TMPDIR): {why}", path.display()))
}

/// Others must not be able to put their files where ours are expected.
fn make_private(base: &Path, uid: u32) -> io::Result<()> {
    let meta = loop {
        match DirBuilder::new().mode(0o700).create(base) {
            Err(why) if why.kind() != io::ErrorKind::AlreadyExists => return Err(why),
            _ => {}
        }
        match fs::symlink_metadata(base) {
            // Another run has just ended and removed it.
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            meta => break meta?,
        }
    };
    if meta.is_dir() && meta.uid() == uid && meta.mode() & 0o022 == 0 {
        Ok(())
    } else {
        Err(io::Error::other("it exists and is not a folder of yours alone (remove it)"))
    }
}

fn sweep(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let owner = entry.file_name().to_str().and_then(Identity::of_name);
        // The lock tells what cannot be seen from here: another container's run. For our own it could
        // mislead: a worker that was just being started when its supervisor was killed still has it.
        let orphaned = match owner.and_then(Identity::is_gone) {
            Some(gone) => gone,
            None => lock(&entry.path()).is_some(),
        };
        if orphaned {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn lock(path: &Path) -> Option<File> {
    let folder = File::open(path).ok()?;
    flock(&folder, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(folder)
}
