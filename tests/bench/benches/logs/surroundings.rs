//! What a run finds around it: control groups of the old kind that count its memory, limit it, or
//! make the disk slow.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

/// The memory and the disk of one run.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    memory: Option<Group>,
    disk: Option<Group>,
    /// The limit on the addresses of each process, in KiB.
    addresses: Option<u64>,
    pub(crate) has_little_memory: bool,
}

impl Surroundings {
    /// Memory is counted if there can be a group for it.
    pub(crate) fn ample() -> Surroundings {
        Surroundings { memory: Group::new("memory").ok(), ..Surroundings::default() }
    }

    /// The disk that holds `folder` takes at most this many writes in a second.
    ///
    /// # Errors
    /// It needs root, and a kernel with such groups.
    pub(crate) fn with_slow_disk(self, folder: &Path, writes: u32) -> io::Result<Surroundings> {
        let device = fs::metadata(folder)?.dev();
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let group = Group::new("blkio")?;
        let limit = format!("{major}:{minor} {writes}");
        fs::write(group.0.join("blkio.throttle.write_iops_device"), limit)?;
        Ok(Surroundings { disk: Some(group), ..self })
    }

    /// Each process has at most this many bytes of addresses.
    pub(crate) fn with_few_addresses(self, bytes: u64) -> Surroundings {
        Surroundings { addresses: Some(bytes >> 10), has_little_memory: true, ..self }
    }

    /// All processes together have at most this many bytes, swap space included.
    ///
    /// # Errors
    /// It needs root, and a kernel with such groups.
    pub(crate) fn with_little_memory(self, bytes: u64) -> io::Result<Surroundings> {
        let Some(group) = &self.memory else { return Err(io::ErrorKind::Unsupported.into()) };
        fs::write(group.0.join("memory.limit_in_bytes"), bytes.to_string())?;
        let with_swap = group.0.join("memory.memsw.limit_in_bytes");
        if with_swap.exists() {
            fs::write(with_swap, bytes.to_string())?;
        }
        Ok(Surroundings { has_little_memory: true, ..self })
    }

    /// How memory is counted.
    pub(crate) fn memory_is(&self) -> &'static str {
        match &self.memory {
            Some(_) => "that of all processes, as a control group counts it",
            None => "the sum of what each process has resident: no control groups here",
        }
    }

    /// A shell that enters the groups, then runs the words that are added to it as a command.
    pub(crate) fn entered(&self) -> Command {
        let mut script = String::new();
        for group in [&self.memory, &self.disk].into_iter().flatten() {
            script += &format!("echo 0 >{} && ", group.0.join("cgroup.procs").display());
        }
        if let Some(kib) = self.addresses {
            script += &format!("ulimit -v {kib} && ");
        }
        let mut shell = Command::new("sh");
        shell.args(["-c", &(script + "exec \"$@\""), "sh"]);
        shell
    }

    /// The memory that the processes have now and that is not part of a file, in bytes. `None` if
    /// there is no group.
    pub(crate) fn memory(&self) -> Option<u64> {
        let stat = fs::read_to_string(self.memory.as_ref()?.0.join("memory.stat")).ok()?;
        let line = stat.lines().find_map(|line| line.strip_prefix("total_rss "))?;
        line.parse().ok()
    }
}

/// A control group, removed when it is dropped.
#[derive(Debug)]
struct Group(PathBuf);

impl Group {
    /// Below the root of this controller.
    fn new(controller: &str) -> io::Result<Group> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("msup-bench-logs-{}-{number}", std::process::id());
        let folder = Path::new("/sys/fs/cgroup").join(controller).join(name);
        fs::create_dir(&folder)?;
        Ok(Group(folder))
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
