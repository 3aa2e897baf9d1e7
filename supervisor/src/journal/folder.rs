//! A run's folder on disk, which outlives the run: `journal.jsonl`, the kept input, kept outputs,
//! and two locks.
//!
//! `lock` belongs to the supervisor alone, and records when the last generation began. `generation`
//! is inherited by everything the run starts: as long as a process holds it, something of the run
//! is alive.
//!
//! The journal is created first and removed last: a folder without one holds nothing of msup.

use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use msup_protocol::crash;
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};

use super::reader;
use super::{End, Record, Run};
use crate::os::files;

const JOURNAL: &str = "journal.jsonl";
const INPUTS: &str = "inputs";
const OUTPUTS: &str = "outputs";
const LOCK: &str = "lock";
const GENERATION: &str = "generation";
const IN_FLIGHT: &str = "in-flight";

/// All files of the folder, in the order of removal: as long as there is a journal the others are
/// found.
const FILES: [&str; 6] = [INPUTS, OUTPUTS, IN_FLIGHT, GENERATION, LOCK, JOURNAL];

/// How long a process that only checks a lock may hold it.
const PASSES_WITHIN: Duration = Duration::from_millis(500);

/// How long a supervisor's lock may outlast it: a killed process keeps its files until its last
/// thread is gone, and a child that it had just forked keeps them until its exec.
pub(super) const LET_GO_WITHIN: Duration = Duration::from_secs(2);

/// Descriptors inherited by everything get a number from here on, if possible: far from those that
/// scripts pick for themselves (3 to 9, 99, 200) and shells (10, 63, 255), and not a round number.
const HIGH_FD: RawFd = 739;

/// The last record is no longer than this.
const LAST_RECORD: u64 = 4096;

/// The first record is no longer than this: a command line with each byte escaped.
const FIRST_RECORD: u64 = 32 << 20;

/// What every journal begins with.
const BEGINNING: &[u8] = b"{\"n\":1,";

/// A run's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folder(PathBuf);

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
struct Undo {
    files: Vec<PathBuf>,
    /// Folders that did not exist before, the innermost first.
    folders: Vec<PathBuf>,
}

/// Why a folder cannot be locked.
#[derive(Debug)]
pub(crate) enum Busy {
    /// Its supervisor is alive.
    Running,
    /// Its supervisor is gone, but something it started is not.
    Survivors,
    /// A system error.
    Error(io::Error),
}

/// What the first record of a journal says about its run.
#[derive(Debug)]
pub(crate) struct Glance {
    /// The first generation.
    pub(crate) run: Run,
    /// When it began, in seconds since 1970.
    pub(crate) began: f64,
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

impl Busy {
    fn may_pass(&self) -> bool {
        match self {
            Busy::Running => true,
            Busy::Survivors => false,
            Busy::Error(why) => why.kind() == io::ErrorKind::NotFound,
        }
    }
}

impl Folder {
    pub(crate) fn at(path: PathBuf) -> Folder {
        Folder(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.0.join(JOURNAL)
    }

    /// The file of values that cannot be read again, each followed by a NUL byte.
    pub(crate) fn inputs(&self) -> PathBuf {
        self.0.join(INPUTS)
    }

    /// The file of kept outputs.
    pub(crate) fn outputs(&self) -> PathBuf {
        self.0.join(OUTPUTS)
    }

    /// The file in which workers note what they take up.
    pub(crate) fn in_flight(&self) -> PathBuf {
        self.0.join(IN_FLIGHT)
    }

    pub(super) fn has_journal(&self) -> bool {
        self.journal().symlink_metadata().is_ok()
    }

    /// Makes the folder for a new run that begins at `order`, and locks it. What is made is removed
    /// again unless the start [succeeds](Locks::keep).
    ///
    /// # Errors
    /// One line that says what is in the way; nothing is left behind.
    pub(crate) fn begin(self, order: u64) -> Result<(Folder, Locks), String> {
        let name = self.0.display();
        let line = |why: &dyn fmt::Display| format!("{name}: {why}");
        if self.has_journal() && !self.is_empty_run() {
            self.open_journal(OFlags::RDONLY)?;
            return Err(format!("{name}: there is a run in it already (msup resume {name})"));
        }
        let (mut undo, began) = (Undo::default(), Instant::now());
        loop {
            make(&self.0, &mut undo.folders).map_err(|why| line(&why))?;
            // CRASH: place_before_journal. An empty folder, which another run removes when it
            // finishes.
            crash::point("place_before_journal");
            match self.occupy(order) {
                Ok(mut locks) if self.is_empty_run() => {
                    undo.files = FILES.map(|name| self.0.join(name)).into();
                    locks.undo = undo;
                    return Ok((self, locks));
                }
                // Another run was faster, and has finished.
                Ok(_) => return Err(line(&"there is a run in it already")),
                // Another process has removed the empty folder while tidying up, or is just
                // checking the lock.
                Err(why) if why.may_pass() && began.elapsed() < PASSES_WITHIN => {
                    thread::sleep(Duration::from_millis(5));
                }
                Err(why) => return Err(line(&why)),
            }
        }
    }

    /// Creates an empty journal and the locks. On failure nothing of that is left.
    fn occupy(&self, order: u64) -> Result<Locks, Busy> {
        files::check_folder(&self.0).map_err(Busy::Error)?;
        let is_new = !self.has_journal();
        if is_new {
            let others = [INPUTS, OUTPUTS, IN_FLIGHT, LOCK, GENERATION];
            let others = others.map(|name| self.0.join(name));
            if let Some(other) = others.iter().find(|path| path.symlink_metadata().is_ok()) {
                let name = other.display();
                let why = format!("{name} is not of a run (choose another folder)");
                return Err(Busy::Error(io::Error::other(why)));
            }
            files::create_own(&self.journal()).map_err(Busy::Error)?;
        }
        let locked = self.lock(order);
        if is_new && matches!(locked, Err(Busy::Error(_))) {
            for name in FILES {
                let _ = fs::remove_file(self.0.join(name));
            }
        }
        locked
    }

    /// Makes sure that no other supervisor works in the folder, and lets everything started from
    /// now on inherit the lock. `order` says when this generation begins.
    ///
    /// # Errors
    /// [`Busy`].
    pub(crate) fn lock(&self, order: u64) -> Result<Locks, Busy> {
        let open = |name| self.open(name, OFlags::RDWR | OFlags::CREATE).map_err(Busy::Error);
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
        let inherited = inherited.map_err(|errno| Busy::Error(errno.into()))?;
        Ok(Locks { undo: Undo::default(), _own: own, _generation: inherited })
    }

    /// Opens one of its files. Errors name the file.
    fn open(&self, name: &str, how: OFlags) -> io::Result<File> {
        let opened = files::open_own(&self.0.join(name), how);
        opened.map_err(|why| io::Error::new(why.kind(), format!("{name}: {why}")))
    }

    /// Opens the journal.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub(crate) fn open_journal(&self, how: OFlags) -> Result<File, String> {
        let path = self.journal();
        files::open_own(&path, how).map_err(|why| format!("{}: {why}", path.display()))
    }

    /// Calls `each` for every task end in the journal, with the time when it was written, in
    /// seconds since 1970.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub(crate) fn each_end(&self, mut each: impl FnMut(f64, End)) -> Result<(), String> {
        let path = self.journal();
        let line = |why: io::Error| format!("{}: {why}", path.display());
        let mut file = self.open_journal(OFlags::RDONLY)?;
        let Some(seed) = reader::seed(BufReader::new(&file)).map_err(line)? else { return Ok(()) };
        file.rewind().map_err(line)?;
        let read = reader::read(BufReader::new(file), &seed, |at, record| {
            if let Record::End(end) = record {
                each(at, end);
            }
        });
        read.map(drop).map_err(line)
    }

    /// Opens the kept values, if there are any.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub(crate) fn open_inputs(&self) -> Result<Option<File>, String> {
        let path = self.inputs();
        match files::open_own(&path, OFlags::RDWR) {
            Ok(file) => Ok(Some(file)),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(format!("{}: {why}", path.display())),
        }
    }

    /// Opens the kept outputs, if there are any.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub(crate) fn open_outputs(&self) -> Result<Option<File>, String> {
        let path = self.outputs();
        match files::open_own(&path, OFlags::RDWR | OFlags::APPEND) {
            Ok(file) => Ok(Some(file)),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(format!("{}: {why}", path.display())),
        }
    }

    /// Creates the file for kept outputs.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub(crate) fn create_outputs(&self) -> Result<File, String> {
        let path = self.outputs();
        let opened = files::open_own(&path, OFlags::RDWR | OFlags::APPEND | OFlags::CREATE);
        opened.map_err(|why| format!("{}: {why}", path.display()))
    }

    /// When its last generation began, as recorded in `lock`: in milliseconds since 1970, and later
    /// than every generation before it.
    pub(super) fn order(&self) -> Option<u64> {
        let mut text = String::new();
        self.open(LOCK, OFlags::RDONLY).ok()?.take(32).read_to_string(&mut text).ok()?;
        text.trim().parse().ok()
    }

    /// The content of the first record; `None` for a run that was killed before it was written.
    ///
    /// # Errors
    /// One line that says what is wrong with the journal.
    pub(crate) fn glance(&self) -> Result<Option<Glance>, String> {
        let name = self.journal();
        let line = |why: &dyn fmt::Display| format!("{}: {why}", name.display());
        let mut first = Vec::new();
        let file = BufReader::new(self.open_journal(OFlags::RDONLY)?).take(FIRST_RECORD);
        { file }.read_until(b'\n', &mut first).map_err(|why| line(&why))?;
        if is_torn_beginning(&first) {
            return Ok(None);
        }
        let mut glance = None;
        let no_journal = || line(&"not an msup journal");
        let seed = reader::seed(&first[..]).map_err(|why| line(&why))?.ok_or_else(no_journal)?;
        let read = reader::read(&first[..], &seed, |began, record| {
            if let Record::Run(run) = record {
                glance = Some(Glance { run, began });
            }
        });
        read.map_err(|why| line(&why))?;
        glance.map(Some).ok_or_else(no_journal)
    }

    /// Whether there is a journal with nothing in it.
    pub(crate) fn is_empty_run(&self) -> bool {
        matches!(self.glance(), Ok(None))
    }

    /// Whether its supervisor is alive.
    pub(crate) fn is_running(&self) -> bool {
        let Ok(own) = self.open(LOCK, OFlags::RDONLY) else { return false };
        matches!(take(&own, Busy::Running), Err(Busy::Running))
    }

    /// Whether nothing of the run is left to do.
    pub(crate) fn is_finished(&self) -> bool {
        self.last_generation().is_some_and(|(complete, _)| complete)
    }

    /// Whether nothing is left to do, or --halt has left the rest.
    pub(crate) fn is_over(&self) -> bool {
        self.last_generation().is_some_and(|(complete, halted)| complete || halted)
    }

    /// Whether the last generation has left nothing to do, and whether it was halted; `None` if it
    /// was cut off.
    fn last_generation(&self) -> Option<(bool, bool)> {
        let file = self.open_journal(OFlags::RDONLY).ok()?;
        let seed = reader::seed(BufReader::new(&file)).ok()??;
        let len = file.metadata().map_or(0, |meta| meta.len());
        let start = len.saturating_sub(LAST_RECORD);
        let mut end = vec![0; (len - start) as usize];
        file.read_exact_at(&mut end, start).ok()?;
        let mut last = None;
        let read = reader::read(&end[..], &seed, |_, record| {
            last = match record {
                Record::Finish { complete, halted, .. } => Some((complete, halted)),
                _ => None,
            };
        });
        last.filter(|_| read.is_ok())
    }

    /// Removes the folder and our files in it.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub(crate) fn remove(&self) -> io::Result<()> {
        for name in FILES {
            match fs::remove_file(self.0.join(name)) {
                Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
                _ => {}
            }
        }
        // A user's own folder may have more in it.
        let _ = fs::remove_dir(&self.0);
        Ok(())
    }

    /// Makes the names of the files in it survive a power cut.
    pub(crate) fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()?;
        // The folder's own name is in the folder above.
        self.0.parent().map_or(Ok(()), |above| File::open(above)?.sync_all())
    }
}

impl Locks {
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

/// Creates a folder and those above it, for this user alone, and adds the created ones to `made`,
/// the innermost first.
fn make(path: &Path, made: &mut Vec<PathBuf>) -> io::Result<()> {
    let missing: Vec<&Path> = path
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        .collect();
    for folder in missing.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(folder) {
            Ok(()) => made.insert(0, folder.to_owned()),
            // Another run has just created it.
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
            Err(why) => return Err(why),
        }
    }
    Ok(())
}

/// Whether this is what remains of a first record whose write was interrupted, possibly by a power
/// cut.
fn is_torn_beginning(content: &[u8]) -> bool {
    let is_line = content.ends_with(b"\n");
    let begins = content.starts_with(BEGINNING) || BEGINNING.starts_with(content);
    !is_line && (begins || content.iter().all(|byte| *byte == 0))
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
        let folder = Folder::at(place.path().join("run"));
        let (folder, mut locks) = folder.begin(7).expect("writable");
        locks.keep();
        assert!(matches!(folder.lock(8), Err(Busy::Running)));
        assert_eq!(folder.order(), Some(7));
        drop(locks);
        eventually(|| folder.lock(9).is_ok());
        assert_eq!(folder.order(), Some(9));
    }

    #[test]
    fn what_was_started_keeps_the_generation() {
        let place = tempfile::tempdir().expect("a folder");
        let (folder, mut locks) = Folder::at(place.path().to_owned()).begin(7).expect("writable");
        locks.keep();
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("there is cat");
        drop(locks);
        eventually(|| matches!(folder.lock(8), Err(Busy::Survivors)));
        drop(child.stdin.take());
        child.wait().expect("it was started");
        eventually(|| folder.lock(8).is_ok());
    }

    /// Other tests start processes now, and each has our locks until it executes its program.
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
    fn a_second_run_is_refused_where_one_is() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = Folder::at(place.path().to_owned());
        for content in [&b"{\"n\":1,\"t\":1}\n"[..], b"hello", b"{\"n\":1\nx", b"\n"] {
            fs::write(folder.journal(), content).expect("writable");
            let why = folder.clone().begin(1).expect_err("it is taken");
            assert!(why.contains("there is a run in it already"), "{why}");
            assert_eq!(fs::read(folder.journal()).expect("readable"), content);
        }
    }

    #[test]
    fn a_failed_start_leaves_nothing_and_takes_nothing_away() {
        let place = tempfile::tempdir().expect("a folder");
        let above = place.path().join("new");
        let (_, locks) = Folder::at(above.join("er/run")).begin(1).expect("writable");
        drop(locks);
        assert!(!above.exists());
        // Where the first record was torn.
        for torn in [&b""[..], b"{\"n", b"{\"n\":1,\"t\":17", &[0; 100]] {
            let folder = Folder::at(place.path().to_owned());
            fs::write(folder.journal(), torn).expect("writable");
            fs::write(place.path().join("mine"), b"").expect("writable");
            drop(folder.begin(1).expect("it is an empty run"));
            let left = fs::read_dir(place.path()).expect("readable");
            let left: Vec<_> = left.flatten().map(|entry| entry.file_name()).collect();
            assert_eq!(left, ["mine"]);
        }
    }
}
