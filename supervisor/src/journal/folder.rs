//! A run's folder on disk, which outlives the run: `journal.jsonl`, the kept input, kept outputs,
//! and two [locks](super::locks).
//!
//! The journal is created first and removed last: a folder without one holds nothing of msup.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, BufReader, Seek};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use msup_protocol::crash;
use msup_protocol::in_flight::InFlight;
use rustix::fs::OFlags;

use super::error::JournalError;
use super::locks::{Busy, GENERATION, LOCK, Locks, Undo};
use super::reader;
use super::{End, Record};
use crate::os::files;
use crate::os::local_socket::CONTROL;

const JOURNAL: &str = "journal.jsonl";
const INPUTS: &str = "inputs";
const OUTPUTS: &str = "outputs";
const IN_FLIGHT: &str = "in-flight";

/// All files of the folder, in the order of removal: as long as there is a journal the others are
/// found.
const FILES: [&str; 7] = [INPUTS, OUTPUTS, IN_FLIGHT, GENERATION, LOCK, CONTROL, JOURNAL];

/// How long a process that only checks a lock may hold it.
const PASSES_WITHIN: Duration = Duration::from_millis(500);

/// A run's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folder(PathBuf);

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
    /// Another run is in it, or it cannot be made or locked; nothing is left behind.
    pub(crate) fn begin(self, order: u64) -> Result<(Folder, Locks), JournalError> {
        if self.has_journal() && !self.is_empty_run() {
            self.open_journal(OFlags::RDONLY)?;
            return Err(JournalError::Taken(self.0));
        }
        let (mut undo, began) = (Undo::default(), Instant::now());
        loop {
            make(&self.0, &mut undo.folders).map_err(JournalError::at(&self.0))?;
            // CRASH: place_before_journal. An empty folder, which `msup clean` removes, and a later
            // run that removes old runs.
            crash::point("place_before_journal");
            match self.occupy(order) {
                Ok(mut locks) if self.is_empty_run() => {
                    undo.files = FILES.map(|name| self.0.join(name)).into();
                    locks.guard(undo);
                    return Ok((self, locks));
                }
                // Another run was faster, and has finished.
                Ok(_) => return Err(JournalError::JustTaken(self.0)),
                // Another process has removed the empty folder while tidying up, or is just
                // checking the lock.
                Err(why) if why.may_pass() && began.elapsed() < PASSES_WITHIN => {
                    thread::sleep(Duration::from_millis(5));
                }
                Err(busy) => return Err(JournalError::Busy { folder: self.0, busy }),
            }
        }
    }

    /// Creates an empty journal and the locks. On failure nothing of that is left.
    fn occupy(&self, order: u64) -> Result<Locks, Busy> {
        files::check_folder(&self.0)?;
        let is_new = !self.has_journal();
        if is_new {
            let others = [INPUTS, OUTPUTS, IN_FLIGHT, LOCK, GENERATION];
            let others = others.map(|name| self.0.join(name));
            if let Some(other) = others.iter().find(|path| path.symlink_metadata().is_ok()) {
                let name = other.display();
                let why = format!("{name} is not of a run (choose another folder)");
                return Err(io::Error::other(why).into());
            }
            files::create_own(&self.journal())?;
        }
        let locked = self.lock(order);
        if is_new && matches!(locked, Err(Busy::Error(_))) {
            for name in FILES {
                let _ = fs::remove_file(self.0.join(name));
            }
        }
        locked
    }

    /// Opens one of its files. Errors name the file.
    pub(super) fn open(&self, name: &str, how: OFlags) -> io::Result<File> {
        let opened = files::open_own(&self.0.join(name), how);
        opened.map_err(|why| io::Error::new(why.kind(), format!("{name}: {why}")))
    }

    /// Opens the journal.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) fn open_journal(&self, how: OFlags) -> Result<File, JournalError> {
        let path = self.journal();
        files::open_own(&path, how).map_err(JournalError::at(&path))
    }

    /// Calls `each` for every task end in the journal, with the time when it was written, in
    /// seconds since 1970, and whether the task's output had been shown.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(crate) fn each_end(
        &self,
        mut each: impl FnMut(f64, End, bool),
    ) -> Result<(), JournalError> {
        self.each_record(|at, record| match record {
            Record::End(end) => each(at, end, true),
            Record::Unshown(end) => each(at, end, false),
            _ => {}
        })
    }

    /// Calls `each` for every record in the journal, with the time when it was written.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(crate) fn each_record(&self, each: impl FnMut(f64, Record)) -> Result<(), JournalError> {
        self.each_intact_record(each).map(drop)
    }

    /// The same. Returns the number of lines that are damaged or missing; `None` if it is empty.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(crate) fn each_intact_record(
        &self,
        each: impl FnMut(f64, Record),
    ) -> Result<Option<u64>, JournalError> {
        let path = self.journal();
        let error = JournalError::at(&path);
        let mut file = self.open_journal(OFlags::RDONLY)?;
        let seed = reader::seed(BufReader::new(&file)).map_err(&error)?;
        let Some(seed) = seed else { return Ok(None) };
        file.rewind().map_err(&error)?;
        let read = reader::read(BufReader::new(file), &seed, each);
        read.map(|condition| Some(condition.damaged)).map_err(error)
    }

    /// The attempts that workers of the last generation have taken up and not finished, by the
    /// numbers of their tasks and their own, as far as that is known.
    pub(crate) fn taken_up(&self, run: &str) -> Option<HashSet<(u64, u32)>> {
        let file = files::open_own(&self.in_flight(), OFlags::RDONLY).ok()?;
        let noted = InFlight::new(file, run.as_bytes()).read().ok()??;
        let open = noted.into_iter().flatten().filter(|entry| !entry.finished);
        Some(open.map(|entry| (entry.seq, entry.attempt)).collect())
    }

    /// Opens the kept values, if there are any.
    ///
    /// # Errors
    /// They cannot be opened.
    pub(crate) fn open_inputs(&self) -> Result<Option<File>, JournalError> {
        open_kept(&self.inputs(), OFlags::RDWR)
    }

    /// Opens the kept outputs, if there are any.
    ///
    /// # Errors
    /// They cannot be opened.
    pub(crate) fn open_outputs(&self) -> Result<Option<File>, JournalError> {
        open_kept(&self.outputs(), OFlags::RDWR | OFlags::APPEND)
    }

    /// Creates the file for kept outputs.
    ///
    /// # Errors
    /// It cannot be created.
    pub(crate) fn create_outputs(&self) -> Result<File, JournalError> {
        let path = self.outputs();
        let opened = files::open_own(&path, OFlags::RDWR | OFlags::APPEND | OFlags::CREATE);
        opened.map_err(JournalError::at(&path))
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

/// Opens a file that only some runs have.
fn open_kept(path: &Path, how: OFlags) -> Result<Option<File>, JournalError> {
    match files::open_own(path, how) {
        Ok(file) => Ok(Some(file)),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(why) => Err(JournalError::at(path)(why)),
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
            let why = folder.clone().begin(1).expect_err("it is taken").to_string();
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
