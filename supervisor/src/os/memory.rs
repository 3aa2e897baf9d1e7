//! Memory: how much is available, whether all processes wait for it, and how many were killed for
//! lack of it.

use std::fs;
use std::path::{Path, PathBuf};

use super::membership::{GroupPlace, Membership};

/// The memory of this machine, and the control groups that limit this process.
#[derive(Debug)]
pub(crate) struct Memory {
    groups: Vec<Group>,
}

/// A control group with a memory limit: the files that describe it.
#[derive(Debug)]
struct Group {
    folder: PathBuf,
    names: [&'static str; 2],
    /// The part of its use that can be reclaimed: file pages that were not used lately.
    inactive: &'static str,
}

impl Memory {
    pub(crate) fn open() -> Memory {
        let membership = Membership::own();
        Memory { groups: Group::all(membership.with("memory"), membership.unified()) }
    }

    /// Bytes that are available without taking them from a process.
    pub(crate) fn available(&self) -> Option<u64> {
        let machine = fs::read_to_string("/proc/meminfo").ok()?;
        let machine = field(&machine, "MemAvailable:").map(|kib| kib << 10);
        machine.into_iter().chain(self.groups.iter().filter_map(Group::available)).min()
    }

    /// Whether control groups limit this process.
    pub(crate) fn is_limited(&self) -> bool {
        !self.groups.is_empty()
    }
}

/// Microseconds since boot in which every process of the machine that could have run waited for
/// memory; `None` where the kernel does not account for it.
pub(crate) fn stalled() -> Option<u64> {
    parse_stalled(&fs::read_to_string("/proc/pressure/memory").ok()?)
}

/// The number of processes that the kernel has killed since boot for lack of memory, in any group.
pub(crate) fn kills() -> Option<u64> {
    field(&fs::read_to_string("/proc/vmstat").ok()?, "oom_kill")
}

impl Group {
    /// The memory-limited ones among these groups of version 1 and 2, and those above them.
    fn all(old: Option<GroupPlace>, new: Option<GroupPlace>) -> Vec<Group> {
        let names = ["memory.limit_in_bytes", "memory.usage_in_bytes"];
        let old = old.map(|place| (place, names, "total_inactive_file"));
        let new = new.map(|place| (place, ["memory.max", "memory.current"], "inactive_file"));
        let groups = old.into_iter().chain(new).flat_map(|(place, names, inactive)| {
            let folders: Vec<PathBuf> = place.upwards().map(Path::to_owned).collect();
            folders.into_iter().map(move |folder| Group { folder, names, inactive })
        });
        groups.filter(|group| group.available().is_some()).collect()
    }

    fn available(&self) -> Option<u64> {
        // Version 1 expresses "no limit" by a number that no machine has.
        const NO_LIMIT: u64 = 1 << 60;
        let [limit, used] = self.names.map(|name| {
            fs::read_to_string(self.folder.join(name)).ok()?.trim().parse::<u64>().ok()
        });
        let limit = limit.filter(|limit| *limit < NO_LIMIT)?;
        let stat = fs::read_to_string(self.folder.join("memory.stat")).ok()?;
        let inactive = field(&stat, self.inactive).unwrap_or(0);
        Some(limit.saturating_sub(used?.saturating_sub(inactive)))
    }
}

/// `NAME NUMBER` or `NAME: NUMBER kB` on its own line.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| *word == name)?;
        words.next()?.parse().ok()
    })
}

/// `full avg10=0.00 avg60=0.00 avg300=0.00 total=MICROSECONDS`
pub(crate) fn parse_stalled(text: &str) -> Option<u64> {
    let full = text.lines().find(|line| line.starts_with("full "))?;
    full.rsplit_once("total=")?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_understood() {
        assert_eq!(
            field("MemFree:  7 kB\nMemAvailable:   24000 kB\n", "MemAvailable:"),
            Some(24000)
        );
        assert_eq!(field("oom_kill_other 3\noom_kill 2\n", "oom_kill"), Some(2));
        let text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n\
                    full avg10=1.50 avg60=0.00 avg300=0.00 total=12345\n";
        assert_eq!(parse_stalled(text), Some(12345));
        assert_eq!(parse_stalled(""), None);
    }

    #[test]
    fn this_machine_tells() {
        assert!(Memory::open().available().is_some_and(|bytes| bytes > 1 << 20));
    }

    /// A folder that looks like a group stands for one: its limit counts, minus the use that cannot
    /// be reclaimed.
    #[test]
    fn a_limit_is_what_it_leaves() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = [
            ("memory.max", "1000\n"),
            ("memory.current", "700\n"),
            ("memory.stat", "anon 500\ninactive_file 150\n"),
        ];
        for (name, text) in files {
            fs::write(folder.path().join(name), text).expect("written");
        }
        let names = ["memory.max", "memory.current"];
        let group = Group { folder: folder.path().into(), names, inactive: "inactive_file" };
        assert_eq!(group.available(), Some(450));
        fs::write(folder.path().join("memory.max"), "max\n").expect("written");
        assert_eq!(group.available(), None, "no limit");
    }
}
