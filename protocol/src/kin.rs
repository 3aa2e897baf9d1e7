//! The processes below a process: how both guardians (supervisor and worker) find what is left to end.

use std::fs;

/// One process as `/proc` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kin {
    /// Its id: valid while its parent has not reaped it.
    pub pid: i32,
    /// Its parent.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// Whether it has ended and waits to be reaped.
    pub ended: bool,
    /// When it started, in clock ticks since boot: with the pid, its identity.
    pub start: u64,
}

/// What `/proc/PID/stat` says of a process; `None` when there is none.
#[must_use]
pub fn look_up(pid: i32) -> Option<Kin> {
    parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// When a process started; `None` when there is none.
#[must_use]
pub fn start_time(pid: i32) -> Option<u64> {
    look_up(pid).map(|kin| kin.start)
}

/// The children of a process, ended ones that nobody has reaped included. Reads `/proc/PID/task/*/
/// children` where the kernel has it, else all of `/proc`.
#[must_use]
pub fn children_of(parent: i32) -> Vec<Kin> {
    listed_children(parent).unwrap_or_else(|| {
        all_pids().filter_map(look_up).filter(|kin| kin.parent == parent).collect()
    })
}

fn listed_children(parent: i32) -> Option<Vec<Kin>> {
    let mut children = Vec::new();
    for task in fs::read_dir(format!("/proc/{parent}/task")).ok()? {
        let list = fs::read_to_string(task.ok()?.path().join("children")).ok()?;
        children.extend(list.split_whitespace().filter_map(|pid| look_up(pid.parse().ok()?)));
    }
    Some(children)
}

fn all_pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// `PID (COMM) STATE PPID PGRP ... STARTTIME(22nd)`; COMM may hold anything, `)` included.
fn parse(stat: &[u8]) -> Option<Kin> {
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let pid_end = stat.iter().position(|byte| *byte == b' ')?;
    let pid = std::str::from_utf8(&stat[..pid_end]).ok()?.parse().ok()?;
    let rest = std::str::from_utf8(stat.get(close + 2..)?).ok()?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let start = fields.nth(16)?.parse().ok()?;
    Some(Kin { pid, parent, group, ended: matches!(state, "Z" | "X"), start })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let stat = b"42 (a) R (b) S 7 40 40 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 987654 1 1\n";
        let kin = Kin { pid: 42, parent: 7, group: 40, ended: false, start: 987_654 };
        assert_eq!(parse(stat), Some(kin));
        assert_eq!(parse(b"42 (torn"), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn a_child_is_found_until_it_is_reaped() {
        let me = std::process::id() as i32;
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
        let pid = child.id() as i32;
        let found = |pid| children_of(me).into_iter().find(|kin| kin.pid == pid);
        let kin = found(pid).expect("alive");
        assert_eq!((kin.parent, kin.ended), (me, false));
        assert_eq!(start_time(pid), Some(kin.start));
        child.kill().expect("ours");
        child.wait().expect("ours");
        assert_eq!(found(pid), None);
    }
}
