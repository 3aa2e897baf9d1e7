//! Control groups (version 2). What a command starts stays in its worker's group, whatever it does,
//! so the kernel accounts for all of it together, and kills it together.
//!
//! A run has a group below msup's own, and each worker that runs commands has one below that. msup
//! itself stays where it is. No limits are changed. Users who may not create groups, which most may
//! not outside of containers and sessions of their own, run without groups.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use msup_protocol::packed::WorkerId;
use msup_protocol::process_tree::Identity;
use msup_protocol::{crash, env as names};
use rustix::fs::{Access, FlockOperation, access, flock};

use super::membership::{GroupPlace, Membership};
use super::memory::parse_stalled;

/// The groups of runs have this prefix, followed by their process.
const PREFIX: &str = "msup-";

/// How long killed processes of a group may take to disappear.
const GONE_WITHIN: Duration = Duration::from_millis(400);

/// The control groups of a run. Dropping them kills everything in them.
#[derive(Debug)]
pub(crate) struct Groups {
    folder: PathBuf,
    account: File,
    /// Some worker has no group.
    is_partial: Cell<bool>,
    /// Groups that were killed. Processes started in one are killed too, at least up to Linux 6.18:
    /// it must be created again.
    killed: RefCell<HashSet<WorkerId>>,
    /// Shows other containers that this run is alive.
    _lock: File,
}

impl Groups {
    /// Creates a group for this run, after removing those of killed runs.
    ///
    /// # Errors
    /// Why groups cannot be used here.
    pub(crate) fn create() -> io::Result<Groups> {
        if std::env::var_os(names::NO_GROUPS).is_some() {
            return Err(io::Error::other(format!("{} is set", names::NO_GROUPS)));
        }
        let own =
            Membership::own().unified().ok_or_else(|| io::Error::other("not mounted"))?.folder;
        sweep(&own);
        // Moving a process requires write access where the two groups meet.
        access(own.join("cgroup.procs"), Access::WRITE_OK)?;
        let folder = own.join(format!("{PREFIX}{}-0", Identity::own()));
        fs::create_dir(&folder)?;
        // CRASH: group_made. It is named after its process: swept by the next start.
        crash::point("group_made");
        let opened = lock(&folder).and_then(|lock| Ok((open(&folder)?, lock)));
        if opened.is_err() {
            let _ = fs::remove_dir(&folder);
        }
        let (is_partial, killed) = Default::default();
        opened.map(|(account, _lock)| Groups { folder, account, is_partial, killed, _lock })
    }

    /// Starts a worker in a group of its own, by `start`.
    ///
    /// # Errors
    /// There cannot be such a group, or nothing started in it.
    pub(crate) fn enter<T>(
        &self,
        worker: WorkerId,
        start: impl FnOnce(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.is_partial.get() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let folder = self.folder.join(worker.to_string());
        if self.killed.borrow_mut().remove(&worker) {
            // A killed process may hang in the kernel: then there is no group.
            fs::remove_dir(&folder)?;
        }
        match fs::create_dir(&folder) {
            // The group of an earlier worker that exited normally.
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {}
            made => made?,
        }
        start(File::open(folder)?.as_fd())
    }

    /// There are workers without a group, and there will be more.
    pub(crate) fn give_up(&self) {
        self.is_partial.set(true);
    }

    /// Whether there are workers without a group.
    pub(crate) fn is_partial(&self) -> bool {
        self.is_partial.get()
    }

    /// CPU time of all processes that were ever in the groups, up to the last tick of the kernel.
    pub(crate) fn cpu_time(&self) -> Option<Duration> {
        let mut text = [0; 256];
        let len = self.account.read_at(&mut text, 0).ok()?;
        parse_cpu_time(std::str::from_utf8(&text[..len]).ok()?)
    }

    /// Microseconds in which all processes in the groups that could have run waited for memory;
    /// `None` where the kernel does not account for it.
    pub(crate) fn stalled(&self) -> Option<u64> {
        parse_stalled(&fs::read_to_string(self.folder.join("memory.pressure")).ok()?)
    }

    /// The same for one worker's group.
    pub(crate) fn cpu_time_of(&self, worker: WorkerId) -> Option<Duration> {
        parse_cpu_time(&fs::read_to_string(self.file(worker, "cpu.stat")).ok()?)
    }

    /// The processes in a worker's group, including the worker.
    pub(crate) fn members(&self, worker: WorkerId) -> Vec<i32> {
        let list = fs::read_to_string(self.file(worker, "cgroup.procs")).unwrap_or_default();
        list.lines().filter_map(|pid| pid.parse().ok()).collect()
    }

    /// Kills everything in a worker's group.
    pub(crate) fn kill(&self, worker: WorkerId) {
        // This fails if there is no group.
        if fs::write(self.file(worker, "cgroup.kill"), "1").is_ok() {
            self.killed.borrow_mut().insert(worker);
        }
    }

    fn file(&self, worker: WorkerId, name: &str) -> PathBuf {
        self.folder.join(worker.to_string()).join(name)
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}

/// The CPU account of a run's group, if the group can be used.
fn open(folder: &Path) -> io::Result<File> {
    if !folder.join("cgroup.kill").exists() {
        return Err(io::Error::other("this kernel cannot kill a whole group"));
    }
    File::open(folder.join("cpu.stat"))
}

/// Kills and removes what dead runs have left in a group.
fn sweep(own: &Path) {
    for entry in fs::read_dir(own).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        match name.and_then(Identity::of_name).map(Identity::is_gone) {
            Some(Some(true)) => remove(&entry.path()),
            // A run of another container: it is gone if its lock is free and its group is empty.
            // Nothing is killed.
            Some(None) if is_empty(&entry.path()) && lock(&entry.path()).is_ok() => {
                is_removed(&entry.path());
            }
            _ => {}
        }
    }
}

/// Whether no process is in a group or below it.
fn is_empty(folder: &Path) -> bool {
    let events = fs::read_to_string(folder.join("cgroup.events")).unwrap_or_default();
    events.lines().any(|line| line == "populated 0")
}

/// Takes the lock of a run's group, which is released when its supervisor exits.
fn lock(folder: &Path) -> io::Result<File> {
    let folder = File::open(folder)?;
    flock(&folder, FlockOperation::NonBlockingLockExclusive)?;
    Ok(folder)
}

/// Removes a run's group and those below it, after killing the processes in them.
fn remove(folder: &Path) {
    let began = Instant::now();
    while !is_removed(folder) && began.elapsed() < GONE_WITHIN {
        let _ = fs::write(folder.join("cgroup.kill"), "1");
        thread::sleep(Duration::from_micros(200));
    }
}

/// Removes a group and those below it, and returns whether it is gone.
fn is_removed(folder: &Path) -> bool {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            is_removed(&entry.path());
        }
    }
    fs::remove_dir(folder).is_ok() || !folder.exists()
}

/// `usage_usec MICROSECONDS` on its own line.
fn parse_cpu_time(stat: &str) -> Option<Duration> {
    let line = stat.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    line.parse().ok().map(Duration::from_micros)
}

/// The smallest limit on processes of the control groups that this process is in, if there is one.
pub(super) fn most_processes() -> Option<u64> {
    let membership = Membership::own();
    let places = [membership.with("pids"), membership.unified()];
    let limits = places.iter().flatten().flat_map(GroupPlace::upwards);
    let limits = limits.map(|folder| folder.join("pids.max"));
    limits.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok()).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_understood() {
        let stat = "usage_usec 276731\nuser_usec 276000\nsystem_usec 731\nnice_usec 0\n";
        assert_eq!(parse_cpu_time(stat), Some(Duration::from_micros(276_731)));
        assert_eq!(parse_cpu_time("user_usec 1\n"), None);
    }
}
