//! What is to be seen of a process and all processes below it.

use std::collections::HashMap;
use std::fs;

/// Numbers at one time, or the largest ones of several times.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) processes: u64,
    pub(crate) threads: u64,
    /// Bytes.
    pub(crate) memory: u64,
}

impl Seen {
    /// The larger one of each number.
    pub(crate) fn at_least(self, other: Seen) -> Seen {
        Seen {
            processes: self.processes.max(other.processes),
            threads: self.threads.max(other.threads),
            memory: self.memory.max(other.memory),
        }
    }
}

/// One line of `/proc`.
struct Process {
    pid: i32,
    parent: i32,
    threads: u64,
    resident: u64,
}

/// The process and all below it. The memory is the sum of what each has resident: what they share
/// counts several times.
pub(crate) fn tree(root: i32) -> Seen {
    let mut below: HashMap<i32, Vec<Process>> = HashMap::new();
    let mut next = Vec::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.parse().ok());
        match pid.and_then(look_up) {
            Some(process) if process.pid == root => next.push(process),
            Some(process) => below.entry(process.parent).or_default().push(process),
            None => {}
        }
    }
    let mut seen = Seen::default();
    while let Some(process) = next.pop() {
        seen.processes += 1;
        seen.threads += process.threads;
        seen.memory += process.resident;
        next.extend(below.remove(&process.pid).unwrap_or_default());
    }
    seen
}

fn look_up(pid: i32) -> Option<Process> {
    parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// `PID (COMM) STATE PPID ... THREADS(20th) ... RSS(24th)`; COMM may contain anything, even `)`.
fn parse(pid: i32, stat: &str) -> Option<Process> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |nth: usize| fields.get(nth - 3)?.parse::<u64>().ok();
    let parent = fields.get(1)?.parse().ok()?;
    let resident = number(24)? * rustix::param::page_size() as u64;
    Some(Process { pid, parent, threads: number(20)?, resident })
}
