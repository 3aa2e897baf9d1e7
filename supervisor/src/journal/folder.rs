//! A run's folder on disk, which outlives the run: `journal.jsonl`, the spooled input, and two locks.
//!
//! `lock` is the supervisor's alone. `generation` is inherited by everything the run starts: as long as somebody
//! holds it, something of the run is alive.

use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};

use super::Record;
use super::reader;

const JOURNAL: &str = "journal.jsonl";
const INPUTS: &str = "inputs";
const LOCK: &str = "lock";
const GENERATION: &str = "generation";

/// What everything inherits has a number from here on, if it can.
const HIGH_FD: RawFd = 200;

/// The last record is no longer than this.
const LAST_RECORD: u64 = 4096;

/// So many runs are kept, and all that are not finished.
const KEPT: usize = 500;

/// A run's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folder(PathBuf);

/// The two locks; they fall with this process and, the second, with all that inherited it.
#[derive(Debug)]
pub(crate) struct Locks {
    _own: File,
    _generation: OwnedFd,
}

/// Why a folder cannot be locked.
#[derive(Debug)]
pub(crate) enum Busy {
    /// Its supervisor lives.
    Running,
    /// Its supervisor is gone, but something it started is not.
    Survivors,
    /// The system's words.
    Error(io::Error),
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Busy::Running => f.write_str("another supervisor works in it"),
            Busy::Survivors => f.write_str("something of an earlier run in it is still alive"),
            Busy::Error(why) => why.fmt(f),
        }
    }
}

impl Folder {
    /// Where runs are kept unless somebody says otherwise: `$XDG_STATE_HOME/msup`, by default
    /// `~/.local/state/msup`.
    pub(crate) fn of_all_runs() -> Option<PathBuf> {
        let absolute = |name| {
            let path = PathBuf::from(std::env::var_os(name)?);
            path.is_absolute().then_some(path)
        };
        let state = absolute("XDG_STATE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
        Some(state.join("msup"))
    }

    /// A run's folder, given by its path or by the run's id; `None` is the last run that was begun.
    ///
    /// # Errors
    /// One line that says where nothing was found.
    pub(crate) fn find(run: Option<&Path>) -> Result<Folder, String> {
        let all = Folder::of_all_runs();
        let Some(run) = run else {
            let last = Folder::list().into_iter().next_back();
            let place = all.unwrap_or_default();
            return last.ok_or_else(|| format!("no run in {}", place.display()));
        };
        let candidates = [Some(run.to_owned()), all.map(|all| all.join(run))];
        let mut folders = candidates.into_iter().flatten().map(Folder);
        folders.find(Folder::has_journal).ok_or_else(|| {
            format!(
                "{}: no such run (msup log lists them), nor a folder with a journal",
                run.display()
            )
        })
    }

    /// All runs, the oldest first.
    pub(crate) fn list() -> Vec<Folder> {
        let entries = Folder::of_all_runs().and_then(|all| fs::read_dir(all).ok());
        let folders = entries.into_iter().flatten().flatten().map(|entry| Folder(entry.path()));
        let mut folders: Vec<Folder> = folders.filter(Folder::has_journal).collect();
        // Ids begin with the time.
        folders.sort_by(|one, other| one.0.cmp(&other.0));
        folders
    }

    /// Makes a folder for a new run: this one, or one named after the run where all are.
    ///
    /// # Errors
    /// One line that says what is in the way.
    pub(crate) fn create(path: Option<&Path>, run: &str) -> Result<Folder, String> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => {
                let all = Folder::of_all_runs().ok_or("neither XDG_STATE_HOME nor HOME is set")?;
                all.join(run)
            }
        };
        let name = path.display();
        let folder = Folder(path.clone());
        if folder.has_journal() {
            return Err(format!("{name}: there is a run in it already (msup resume {name})"));
        }
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|why| format!("{name}: {why}"))?;
        Ok(folder)
    }

    pub(crate) fn at(path: PathBuf) -> Folder {
        Folder(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.0.join(JOURNAL)
    }

    /// Values that cannot be read again, each with a NUL byte after it.
    pub(crate) fn inputs(&self) -> PathBuf {
        self.0.join(INPUTS)
    }

    fn has_journal(&self) -> bool {
        self.journal().is_file()
    }

    /// Makes sure that nobody else works in it, and tells everything that is started from now on.
    ///
    /// # Errors
    /// [`Busy`].
    pub(crate) fn lock(&self) -> Result<Locks, Busy> {
        let own = open(&self.0.join(LOCK)).map_err(Busy::Error)?;
        take(&own, Busy::Running)?;
        let generation = open(&self.0.join(GENERATION)).map_err(Busy::Error)?;
        take(&generation, Busy::Survivors)?;
        // Not close-on-exec; and out of the way of scripts that number their own.
        let above = |least| fcntl_dupfd_cloexec(&generation, least);
        let inherited = above(HIGH_FD).or_else(|_| above(0)).and_then(|inherited| {
            fcntl_setfd(&inherited, FdFlags::empty())?;
            Ok(inherited)
        });
        let inherited = inherited.map_err(|errno| Busy::Error(errno.into()))?;
        Ok(Locks { _own: own, _generation: inherited })
    }

    /// Whether its supervisor lives.
    pub(crate) fn is_running(&self) -> bool {
        let Ok(own) = File::open(self.0.join(LOCK)) else { return false };
        matches!(take(&own, Busy::Running), Err(Busy::Running))
    }

    /// Whether nothing of the run is left to do.
    pub(crate) fn is_finished(&self) -> bool {
        let Ok(file) = File::open(self.journal()) else { return false };
        let len = file.metadata().map_or(0, |meta| meta.len());
        let start = len.saturating_sub(LAST_RECORD);
        let mut end = vec![0; (len - start) as usize];
        if file.read_exact_at(&mut end, start).is_err() {
            return false;
        }
        let mut complete = false;
        let read = reader::read(&end[..], |_, record| {
            complete = matches!(record, Record::Finish { complete: true, .. });
        });
        complete && read.is_ok()
    }

    /// Removes it, and what is in it that is ours.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub(crate) fn remove(&self) -> io::Result<()> {
        // As long as there is a journal it is found, and removed the next time.
        for name in [INPUTS, GENERATION, LOCK, JOURNAL] {
            match fs::remove_file(self.0.join(name)) {
                Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
                _ => {}
            }
        }
        // Somebody's own folder may have more in it.
        let _ = fs::remove_dir(&self.0);
        Ok(())
    }

    /// Removes the oldest of the runs that are finished, where there are very many.
    pub(crate) fn prune() {
        let all = Folder::list();
        let superfluous = all.len().saturating_sub(KEPT);
        for folder in all.iter().filter(|folder| folder.is_finished()).take(superfluous) {
            if !folder.is_running() {
                let _ = folder.remove();
            }
        }
    }

    /// Makes what stands in it survive a power cut, as far as its names go.
    pub(crate) fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()?;
        self.0.parent().map_or(Ok(()), |above| File::open(above)?.sync_all())
    }
}

/// Takes off the torn end of a spool: a value without its NUL byte was never run. How many values are left.
///
/// # Errors
/// It cannot be read or changed.
pub(crate) fn mend_inputs(path: &Path) -> io::Result<u64> {
    let file = File::options().read(true).write(true).open(path)?;
    let (mut values, mut whole, mut at) = (0, 0, 0);
    let mut block = vec![0; 1 << 20];
    loop {
        let len = file.read_at(&mut block, at)?;
        if len == 0 {
            break;
        }
        let block = &block[..len];
        values += block.iter().filter(|byte| **byte == 0).count() as u64;
        if let Some(last) = block.iter().rposition(|byte| *byte == 0) {
            whole = at + last as u64 + 1;
        }
        at += len as u64;
    }
    if whole < at {
        file.set_len(whole)?;
    }
    Ok(values)
}

fn open(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).read(true).write(true).open(path)
}

fn take(file: &File, taken: Busy) -> Result<(), Busy> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(taken),
        Err(errno) => Err(Busy::Error(errno.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_once() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = Folder::create(Some(&place.path().join("run")), "id").expect("writable");
        let locks = folder.lock().expect("nobody has it");
        assert!(matches!(folder.lock(), Err(Busy::Running)));
        drop(locks);
        eventually(|| folder.lock().is_ok());
    }

    #[test]
    fn what_was_started_keeps_the_generation() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = Folder::create(Some(place.path()), "id").expect("writable");
        let locks = folder.lock().expect("nobody has it");
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("there is cat");
        drop(locks);
        eventually(|| matches!(folder.lock(), Err(Busy::Survivors)));
        drop(child.stdin.take());
        child.wait().expect("it was started");
        eventually(|| folder.lock().is_ok());
    }

    /// Other tests start processes just now, and each has our locks until it executes its program.
    fn eventually(condition: impl Fn() -> bool) {
        for _ in 0..3000 {
            if condition() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("it did not come to that");
    }

    #[test]
    fn a_torn_value_is_taken_off_the_spool() {
        let place = tempfile::tempdir().expect("a folder");
        let path = place.path().join("inputs");
        let long = [vec![b'x'; 2_000_000], vec![0], vec![b'y'; 1_100_000]].concat();
        for (content, whole, values) in [
            (&b""[..], 0, 0),
            (b"a", 0, 0),
            (b"a\0", 2, 1),
            (b"a\0\0bc", 3, 2),
            (&long, 2_000_001, 1),
        ] {
            fs::write(&path, content).expect("writable");
            assert_eq!(mend_inputs(&path).expect("a file"), values);
            assert_eq!(fs::read(&path).expect("readable"), &content[..whole]);
        }
    }

    #[test]
    fn a_second_run_is_refused_where_one_is() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = Folder::create(Some(place.path()), "id").expect("writable");
        fs::write(folder.journal(), b"").expect("writable");
        let why = Folder::create(Some(place.path()), "id").expect_err("it is taken");
        assert!(why.contains("there is a run in it already"), "{why}");
    }
}
