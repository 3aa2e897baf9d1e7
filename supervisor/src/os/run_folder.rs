//! The run's temporary folder, for payloads too large for shared memory, and the removal of folders
//! of dead runs.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, DirEntry, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use msup_protocol::crash;
use msup_protocol::process_tree::Identity;
use rustix::fs::{FlockOperation, OFlags, flock};

use super::files;

/// The lock in each folder: the process that holds it is alive.
const LOCK: &str = "lock";

/// How often the lock of a dead run is tried, and the pause in between: a worker that was being
/// started when its supervisor was killed holds the lock until it executes its program.
const ASKED: u32 = 10;
const ASKED_EVERY: Duration = Duration::from_millis(5);

/// A folder of this run alone, locked while the run is alive and removed when it is over.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
    /// Holds the lock. Closed in workers, so that it is released when this process exits.
    _lock: File,
}

impl RunFolder {
    /// Creates `msup-USER-PROCESS-RANDOM` in this folder, else in `$TMPDIR`, after removing those
    /// of killed runs.
    ///
    /// # Errors
    /// It cannot be created.
    pub(crate) fn create(tmpdir: Option<&Path>) -> io::Result<RunFolder> {
        let (place, prefix) = (place(tmpdir)?, prefix());
        sweep(&place, &prefix);
        loop {
            let path = place.join(format!("{prefix}{}-{}", Identity::own(), files::unguessable()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {}
                Err(why) if why.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(why) => return Err(describe(&place, &why)),
            }
            // CRASH: folder_before_lock. It is named after its process: swept by the next start.
            crash::point("folder_before_lock");
            match begin(&path) {
                Ok(Some(lock)) => return Ok(RunFolder { path, _lock: lock }),
                // Another start has swept it before it was locked.
                Ok(None) => {}
                Err(why) => {
                    let _ = fs::remove_dir_all(&path);
                    return Err(describe(&path, &why));
                }
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The folders of this user's runs in `$TMPDIR` in which there is something of this name.
pub(crate) fn with(name: &OsStr) -> Vec<PathBuf> {
    let (Ok(place), prefix) = (place(None), prefix()) else { return Vec::new() };
    let own = rustix::process::geteuid().as_raw();
    let folders = fs::read_dir(place).into_iter().flatten().flatten().filter(|entry| {
        entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix))
            && entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == own)
    });
    folders.map(|entry| entry.path()).filter(|path| path.join(name).exists()).collect()
}

/// Creates a file in a run's folder. The folder is created again if tasks have removed it.
///
/// # Errors
/// It cannot be created.
pub(crate) fn create_file(path: &Path) -> io::Result<File> {
    let created = match files::create_own(path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => {
            create_folder(path.parent().unwrap_or(path))?;
            files::create_own(path)
        }
        // Only a task of the run can have put it there.
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            files::create_own(path)
        }
        created => created,
    };
    created.map_err(|why| describe(path, &why))
}

/// Creates a folder in a run's folder, which is created again if tasks have removed it.
///
/// # Errors
/// It cannot be created.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The FIFO of the task with this number.
pub(crate) fn fifo(folder: &Path, seq: u64) -> PathBuf {
    folder.join(format!("fifo-{seq}"))
}

/// Adds the folder, and the variable that determines its place, to an error.
pub(crate) fn describe(path: &Path, why: &io::Error) -> io::Error {
    io::Error::new(why.kind(), format!("the run's folder {} (TMPDIR): {why}", path.display()))
}

/// The place of the folders of all runs.
fn place(tmpdir: Option<&Path>) -> io::Result<PathBuf> {
    if let Some(tmpdir) = tmpdir {
        return std::path::absolute(tmpdir);
    }
    let named = std::env::var_os("TMPDIR").filter(|place| !place.is_empty());
    std::path::absolute(named.unwrap_or_else(|| "/tmp".into()))
}

fn prefix() -> String {
    format!("msup-{}-", rustix::process::geteuid().as_raw())
}

/// Locks a folder that was just created; `None` if another start took it for that of a dead run.
fn begin(path: &Path) -> io::Result<Option<File>> {
    let lock = match files::create_own(&path.join(LOCK)) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        lock => lock?,
    };
    let is_ours = is_free(&lock) && lock.metadata()?.nlink() > 0;
    Ok(is_ours.then_some(lock))
}

/// Takes a lock, if it is free.
fn is_free(lock: &File) -> bool {
    flock(lock, FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// Removes the folders of dead runs.
fn sweep(place: &Path, prefix: &str) {
    let own = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(prefix)) else { continue };
        // Only folders of this user, and no links.
        if entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == own) {
            sweep_one(&entry, Identity::of_name(rest).map(Identity::is_gone));
        }
    }
}

/// `is_gone`: whether its process is gone; `Some(None)` if that cannot be seen from here, `None` if
/// the name has no identity.
fn sweep_one(entry: &DirEntry, is_gone: Option<Option<bool>>) {
    let path = entry.path();
    // An unseen machine or container may use the same numbers, so the lock is always tried.
    let is_seen_gone = match is_gone {
        None | Some(Some(false)) => return,
        Some(is_gone) => is_gone == Some(true),
    };
    match files::open_own(&path.join(LOCK), OFlags::RDWR) {
        Ok(lock) => {
            let asked = if is_seen_gone { ASKED } else { 1 };
            let is_free = (0..asked).any(|time| {
                if time > 0 {
                    thread::sleep(ASKED_EVERY);
                }
                is_free(&lock)
            });
            if is_free {
                let _ = fs::remove_dir_all(&path);
            }
        }
        // It was killed before it created one, or a task has removed it.
        Err(_) if is_seen_gone => drop(fs::remove_dir_all(&path)),
        // Only if it is empty; a run that has just created it creates another one.
        Err(_) => drop(fs::remove_dir(&path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run's folder with this name, and its lock if it has one.
    fn folder(place: &Path, name: &str, has_lock: bool) -> (PathBuf, Option<File>) {
        let path = place.join(name);
        fs::create_dir_all(path.join("1")).expect("writable");
        (path.clone(), has_lock.then(|| begin(&path).expect("writable").expect("it is free")))
    }

    /// This process, or one like it with other numbers.
    fn name(at: usize, number: &str) -> String {
        let own = Identity::own().to_string();
        let mut parts: Vec<&str> = own.split('-').collect();
        parts[at] = number;
        format!("p-{}-0", parts.join("-"))
    }

    #[test]
    fn the_lock_decides_whatever_process_the_folder_is_named_after() {
        let [machine, namespace, start] = [0, 1, 3];
        let place = tempfile::tempdir().expect("a folder");
        for (at, what) in
            [(machine, "another machine"), (namespace, "a container"), (start, "gone")]
        {
            let (path, lock) = folder(place.path(), &name(at, "7"), true);
            sweep(place.path(), "p-");
            assert!(path.exists(), "{what}: its lock is held");
            drop(lock);
            // A child that another test has just forked holds it until it executes its program.
            while path.exists() {
                sweep(place.path(), "p-");
                std::thread::yield_now();
            }
            let (path, _) = folder(place.path(), &name(at, "7"), false);
            sweep(place.path(), "p-");
            assert_eq!(path.exists(), at != start, "{what}: there is no lock, but something else");
        }
    }

    #[test]
    fn what_is_alive_or_no_runs_is_left() {
        let place = tempfile::tempdir().expect("a folder");
        let own = format!("p-{}-0", Identity::own());
        for name in [own.as_str(), "p-mine", "other-1-2-3-4-5"] {
            let (path, lock) = folder(place.path(), name, true);
            drop(lock);
            sweep(place.path(), "p-");
            assert!(path.exists(), "{name}");
        }
        let target = place.path().join("target");
        fs::create_dir(&target).expect("writable");
        std::os::unix::fs::symlink(&target, place.path().join(name(3, "7"))).expect("writable");
        sweep(place.path(), "p-");
        assert!(target.exists());
    }

    #[test]
    fn a_file_is_created_though_tasks_were_there() {
        let place = tempfile::tempdir().expect("a folder");
        let path = place.path().join("run/1/file");
        create_file(&path).expect("made with the folders above");
        fs::remove_file(&path).expect("there");
        std::os::unix::fs::symlink("/dev/zero", &path).expect("writable");
        create_file(&path).expect("what was there is replaced");
        assert!(fs::symlink_metadata(&path).expect("there").is_file());
    }
}
