//! Control groups of the old kind for the memory of a run: they count it, and can limit it.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

/// Removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Group(PathBuf);

impl Group {
    /// With this limit in bytes, swap space included, if there is one.
    ///
    /// # Errors
    /// It needs root, and a kernel with such groups.
    pub(crate) fn new(limit: Option<u64>) -> io::Result<Group> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("msup-bench-logs-{}-{number}", std::process::id());
        let group = Group(Path::new("/sys/fs/cgroup/memory").join(name));
        fs::create_dir(&group.0)?;
        if let Some(limit) = limit {
            fs::write(group.0.join("memory.limit_in_bytes"), limit.to_string())?;
            let with_swap = group.0.join("memory.memsw.limit_in_bytes");
            if with_swap.exists() {
                fs::write(with_swap, limit.to_string())?;
            }
        }
        Ok(group)
    }

    /// A shell that enters the group, then runs the words that are added to it as a command.
    pub(crate) fn entered(&self) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo 0 >\"$0\" && exec \"$@\""]).arg(self.0.join("cgroup.procs"));
        shell
    }

    /// The memory that its processes have now and that is not part of a file, in bytes. `None` if
    /// the kernel does not tell.
    pub(crate) fn memory(&self) -> Option<u64> {
        let stat = fs::read_to_string(self.0.join("memory.stat")).ok()?;
        let line = stat.lines().find_map(|line| line.strip_prefix("total_rss "))?;
        line.parse().ok()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Processes that were killed with the run may take a moment to leave it.
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A limit on memory.
#[derive(Debug)]
pub(crate) enum Limit {
    /// On that of all processes together.
    Group(Group),
    /// On the addresses of each process, in KiB.
    Addresses(u64),
}

impl Limit {
    /// The best one that can be had here, in bytes.
    pub(crate) fn new(bytes: u64) -> Limit {
        Group::new(Some(bytes)).map_or(Limit::Addresses(bytes >> 10), Limit::Group)
    }

    /// A shell that sets the limit, then runs the words that are added to it as a command.
    pub(crate) fn entered(&self) -> Command {
        match self {
            Limit::Group(group) => group.entered(),
            Limit::Addresses(kib) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", "ulimit -v \"$0\" && exec \"$@\""]).arg(kib.to_string());
                shell
            }
        }
    }

    /// See [`Group::memory`].
    pub(crate) fn memory(&self) -> Option<u64> {
        match self {
            Limit::Group(group) => group.memory(),
            Limit::Addresses(_) => None,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Group(_) => f.write_str("that of a control group, without swap space"),
            Limit::Addresses(_) => {
                f.write_str("ulimit -v, for each process: no control groups here")
            }
        }
    }
}
