//! Process trees: how both guardians (supervisor and worker) find what is left to kill.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

/// One process as `/proc` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kin {
    /// Its id: valid until its parent reaps it.
    pub pid: i32,
    /// Its parent.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// Its session, which is named after the process that made it.
    pub session: i32,
    /// Whether it has exited with all its threads and waits to be reaped.
    pub exited: bool,
    /// Whether it is stopped or in an uninterruptible wait: it makes no progress by itself.
    pub stuck: bool,
    /// The state of its first thread, in the kernel's letter: `R` running or runnable, `S` waiting,
    /// `D` mostly waiting for a disk.
    pub state: char,
    /// The number of its threads.
    pub threads: u32,
    /// CPU time of the children it has reaped and of theirs, in clock ticks.
    pub reaped_ticks: u64,
    /// When it started, in clock ticks since boot: with the pid, its identity.
    pub start: u64,
    /// Bytes of memory it has now, shared memory included.
    pub resident: u64,
}

/// A unique identity of a process: what is named after it can later be recognised as an orphan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its machine since the last boot, from boot id and name: machines may share a folder and
    /// number their process id namespaces alike.
    machine: u64,
    /// The inode of its process id namespace: containers may share a folder, but not their ids.
    namespace: u64,
    pid: i32,
    start: u64,
}

impl Identity {
    /// This process.
    #[must_use]
    pub fn own() -> Identity {
        let pid = rustix::process::getpid().as_raw_pid();
        let (machine, namespace) = (own_machine(), own_namespace());
        Identity { machine, namespace, pid, start: start_time(pid).unwrap_or(0) }
    }

    /// Parses the identity at the front of a name, where a `-` follows it.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Identity> {
        let mut parts = name.split('-');
        let machine = u64::from_str_radix(parts.next()?, 16).ok()?;
        let namespace = u64::from_str_radix(parts.next()?, 16).ok()?;
        let pid = parts.next()?.parse().ok()?;
        let start = parts.next()?.parse().ok()?;
        parts.next().map(|_| Identity { machine, namespace, pid, start })
    }

    /// Whether the process is gone, or has exited and only waits to be reaped; `None` if it cannot
    /// be seen from here.
    #[must_use]
    pub fn is_gone(self) -> Option<bool> {
        let here = self.machine == own_machine() && self.namespace == own_namespace();
        here.then(|| look_up(self.pid).is_none_or(|kin| kin.start != self.start || kin.exited))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}-{}-{}", self.machine, self.namespace, self.pid, self.start)
    }
}

/// A hash of boot id and name: no other machine has the same. Read once.
fn own_machine() -> u64 {
    static OWN: OnceLock<u64> = OnceLock::new();
    *OWN.get_or_init(read_own_machine)
}

fn read_own_machine() -> u64 {
    let boot = fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let name = fs::read("/proc/sys/kernel/hostname").unwrap_or_default();
    // FNV-1a: the same in every release, unlike the standard library's.
    let bytes = boot.iter().chain(&name);
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn own_namespace() -> u64 {
    fs::metadata("/proc/self/ns/pid").map_or(0, |meta| meta.ino())
}

/// What `/proc/PID/stat` says about a process; `None` if there is none.
#[must_use]
pub fn look_up(pid: i32) -> Option<Kin> {
    parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// When a process started; `None` if there is none.
#[must_use]
pub fn start_time(pid: i32) -> Option<u64> {
    look_up(pid).map(|kin| kin.start)
}

/// The children of a process, including those that have exited and are not reaped. Reads
/// `/proc/PID/task/*/children` if the kernel has it, else all of `/proc`.
#[must_use]
pub fn children_of(parent: i32) -> Vec<Kin> {
    children_but(parent, |_| false)
}

/// As [`children_of`], without those whose pids are `known`: they are not even looked up, which
/// costs some 10 µs each.
#[must_use]
pub fn children_but(parent: i32, known: impl Fn(i32) -> bool) -> Vec<Kin> {
    listed_children(parent, &known).unwrap_or_else(|| {
        let others = all_pids().filter(|pid| !known(*pid)).filter_map(look_up);
        others.filter(|kin| kin.parent == parent).collect()
    })
}

/// All processes below a process, parents before children. One that starts meanwhile may be missed.
#[must_use]
pub fn descendants_of(root: i32) -> Vec<Kin> {
    // Read all at once if the kernel does not list children.
    let children_of = (!lists_children()).then(|| {
        let mut children: HashMap<i32, Vec<Kin>> = HashMap::new();
        all_processes().for_each(|kin| children.entry(kin.parent).or_default().push(kin));
        children
    });
    let children = |parent| match &children_of {
        Some(all) => all.get(&parent).cloned().unwrap_or_default(),
        None => listed_children(parent, &|_| false).unwrap_or_default(),
    };
    let mut found = children(root);
    let mut next = 0;
    while let Some(kin) = found.get(next) {
        let below = children(kin.pid);
        found.extend(below);
        next += 1;
    }
    found
}

/// The name of a process' program; empty if there is no such process.
#[must_use]
pub fn name_of(pid: i32) -> String {
    let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    String::from_utf8_lossy(name.trim_ascii_end()).into_owned()
}

/// Whether this kernel lists the children of a process.
#[must_use]
pub fn lists_children() -> bool {
    // Not read: a supervisor may have thousands of children.
    fs::exists("/proc/thread-self/children").unwrap_or(false)
}

fn listed_children(parent: i32, known: &impl Fn(i32) -> bool) -> Option<Vec<Kin>> {
    let mut children = Vec::new();
    for task in fs::read_dir(format!("/proc/{parent}/task")).ok()? {
        let list = fs::read_to_string(task.ok()?.path().join("children")).ok()?;
        let pids = list.split_whitespace().filter_map(|pid| pid.parse().ok());
        children.extend(pids.filter(|pid| !known(*pid)).filter_map(look_up));
    }
    Some(children)
}

fn all_pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// Every process.
pub fn all_processes() -> impl Iterator<Item = Kin> {
    all_pids().filter_map(look_up)
}

/// `PID (COMM) STATE PPID PGRP SESSION ... CUTIME(16th) CSTIME ... THREADS(20th) ...`
/// `STARTTIME(22nd) VSIZE RSS(24th)`; COMM may contain anything, even `)`.
fn parse(stat: &[u8]) -> Option<Kin> {
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let pid_end = stat.iter().position(|byte| *byte == b' ')?;
    let pid = std::str::from_utf8(&stat[..pid_end]).ok()?.parse().ok()?;
    let rest = std::str::from_utf8(stat.get(close + 2..)?).ok()?;
    let mut fields = rest.split(' ');
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let session = fields.next()?.parse().ok()?;
    let reaped: u64 = fields.nth(9)?.parse().ok()?;
    let reaped_ticks = reaped + fields.next()?.parse::<u64>().ok()?;
    let threads: u32 = fields.nth(2)?.parse().ok()?;
    let start = fields.nth(1)?.parse().ok()?;
    let pages: u64 = fields.nth(1)?.parse().ok()?;
    let resident = pages * rustix::param::page_size() as u64;
    // If the first thread has exited, the process is shown as a zombie even while other threads
    // live.
    let exited = matches!(state, 'Z' | 'X') && threads <= 1;
    let stuck = matches!(state, 'T' | 't' | 'D');
    Some(Kin {
        pid,
        parent,
        group,
        session,
        exited,
        stuck,
        state,
        threads,
        reaped_ticks,
        start,
        resident,
    })
}

impl Kin {
    /// Whether one of its threads runs or waits for a CPU. Reads the state of all but the first.
    #[must_use]
    pub fn is_runnable(&self) -> bool {
        self.state == 'R' || self.threads > 1 && other_threads(self.pid).any(|kin| kin.state == 'R')
    }
}

/// The threads of a process but for the first.
fn other_threads(pid: i32) -> impl Iterator<Item = Kin> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    let threads = threads
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter(move |thread| *thread != pid);
    threads
        .filter_map(move |thread| parse(&fs::read(format!("/proc/{pid}/task/{thread}/stat")).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As in most programs that compute in a pool of threads.
    #[test]
    fn a_process_runs_if_one_of_its_threads_does() {
        use std::sync::atomic::{AtomicBool, Ordering};
        let stopped = AtomicBool::new(false);
        let pid = rustix::process::getpid().as_raw_pid();
        let waiting = |kin: &Kin| Kin { state: 'S', ..*kin };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stopped.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
            let own = look_up(pid).expect("this process");
            assert!(own.threads > 1);
            // The thread may not have begun yet.
            while !waiting(&own).is_runnable() {}
            stopped.store(true, Ordering::Relaxed);
        });
        let alone = Kin { state: 'S', threads: 1, ..look_up(pid).expect("this process") };
        assert!(!alone.is_runnable(), "no other thread is looked at");
    }

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let stat = b"42 (a) R (b) S 7 40 39 0 -1 4194304 1 0 0 0 0 0 3 4 20 0 1 0 987654 1 2 3\n";
        let kin = Kin {
            pid: 42,
            parent: 7,
            group: 40,
            session: 39,
            exited: false,
            stuck: false,
            state: 'S',
            threads: 1,
            reaped_ticks: 7,
            start: 987_654,
            resident: 2 * rustix::param::page_size() as u64,
        };
        assert_eq!(parse(stat), Some(kin));
        let threads = b"42 (a) Z 7 40 39 0 -1 4194304 1 0 0 0 0 0 3 4 20 0 3 0 987654 1 2 3\n";
        assert_eq!(parse(threads).map(|kin| kin.exited), Some(false), "two threads live");
        assert_eq!(parse(b"42 (torn"), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn an_identity_survives_its_name() {
        let own = Identity::own();
        let name = format!("{own}-something");
        assert_eq!(Identity::of_name(&name), Some(own));
        assert_eq!(own.is_gone(), Some(false));
        let other = Identity { start: own.start + 1, ..own };
        assert_eq!(other.is_gone(), Some(true), "the same number, but another process");
        let elsewhere = Identity { namespace: own.namespace + 1, ..own };
        assert_eq!(elsewhere.is_gone(), None);
        let other_machine = Identity { machine: own.machine ^ 1, start: own.start + 1, ..own };
        assert_eq!(other_machine.is_gone(), None, "its namespaces have the same numbers");
        for bad in ["", "a-b-c-d-e", "1-2", "1-2-3", "1-2-3-4"] {
            assert_eq!(Identity::of_name(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn descendants_are_found_in_their_sessions() {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "sleep 60 & setsid sleep 60 & wait"])
            .spawn()
            .expect("sh");
        let (me, root) = (std::process::id() as i32, child.id() as i32);
        let own = look_up(me).expect("alive").session;
        let in_session = |inside: bool| {
            let below = descendants_of(me).into_iter().filter(|kin| kin.parent == root);
            below.filter(|kin| (kin.session == own) == inside).collect::<Vec<_>>()
        };
        while in_session(true).len() != 1 || in_session(false).len() != 1 {
            std::thread::yield_now();
        }
        let daemon = in_session(false)[0];
        assert_eq!(daemon.session, daemon.pid);
        // The program that made the session replaces itself.
        while name_of(daemon.pid) != "sleep" {
            std::thread::yield_now();
        }
        for kin in descendants_of(root) {
            let pid = rustix::process::Pid::from_raw(kin.pid).expect("a number");
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("ours");
        }
        child.wait().expect("ours");
        assert_eq!(name_of(0), "");
    }

    #[test]
    fn a_child_is_found_until_it_is_reaped() {
        let me = std::process::id() as i32;
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
        let pid = child.id() as i32;
        let found = |pid| children_of(me).into_iter().find(|kin| kin.pid == pid);
        let kin = found(pid).expect("alive");
        assert_eq!((kin.parent, kin.exited), (me, false));
        assert!(children_but(me, |known| known == pid).iter().all(|kin| kin.pid != pid));
        assert_eq!(start_time(pid), Some(kin.start));
        child.kill().expect("ours");
        child.wait().expect("ours");
        assert_eq!(found(pid), None);
    }
}
