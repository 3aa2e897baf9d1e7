//! Ctrl-Z: stops everything that a run has started, then this process.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use msup_protocol::process_tree::{self, Kin};
use nix::sys::signal::{Signal as Raised, raise};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process that starts others faster than they can be stopped is given up after this number of
/// looks.
const LOOKS_AT_MOST: u32 = 100;

/// The processes that we have stopped. Without descriptors: there may be more processes than those
/// that a process may have.
#[derive(Debug, Default)]
pub(crate) struct Frozen(Vec<Kin>);

/// Stops every process below this one, except those below one of `spared` and those already
/// stopped.
pub(crate) fn freeze(spared: &[Kin]) -> Frozen {
    let own = std::process::id().cast_signed();
    let (mut frozen, mut known) = (Vec::new(), HashSet::new());
    for _ in 0..LOOKS_AT_MOST {
        let all: Vec<Kin> = process_tree::all_processes().collect();
        let new = below(own, &all, spared).into_iter().filter(|kin| {
            let stands_still = kin.exited || matches!(kin.state, 'T' | 't');
            known.insert((kin.pid, kin.start)) && !stands_still
        });
        let new: Vec<Kin> = new.filter(|kin| signal(kin, Signal::STOP)).collect();
        if new.is_empty() {
            break;
        }
        // Processes that they had just started are seen with the next look.
        frozen.extend(new);
    }
    Frozen(frozen)
}

/// Stops this process until it gets SIGCONT. Returns how long that took.
pub(crate) fn stand_still() -> Duration {
    let began = Instant::now();
    // Raised for this thread: it has happened when this returns.
    let _ = raise(Raised::SIGSTOP);
    began.elapsed()
}

impl Frozen {
    pub(crate) fn thaw(self) {
        for kin in &self.0 {
            // It may have been killed meanwhile.
            let _ = signal(kin, Signal::CONT);
        }
    }
}

fn below(ancestor: i32, all: &[Kin], spared: &[Kin]) -> Vec<Kin> {
    let is_spared =
        |kin: &Kin| spared.iter().any(|one| (one.pid, one.start) == (kin.pid, kin.start));
    let mut children: HashMap<i32, Vec<Kin>> = HashMap::new();
    for kin in all.iter().filter(|kin| !is_spared(kin)) {
        children.entry(kin.parent).or_default().push(*kin);
    }
    let mut found: Vec<Kin> = Vec::new();
    let mut parents = vec![ancestor];
    while let Some(parent) = parents.pop() {
        // Taken out: each process is found once, whatever `/proc` showed while it changed.
        let children = children.remove(&parent).unwrap_or_default();
        parents.extend(children.iter().map(|child| child.pid));
        found.extend(children);
    }
    found
}

/// Sends a signal to this process, if it is still there. Returns whether it is.
fn signal(kin: &Kin, signal: Signal) -> bool {
    let Some(pid) = Pid::from_raw(kin.pid) else { return false };
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
    // Now the pid cannot be reused any more; the start time shows whether it was before.
    let is_same = process_tree::start_time(kin.pid) == Some(kin.start);
    is_same && pidfd_send_signal(&pidfd, signal).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_below_but_not_below_the_spared() {
        let init = process_tree::look_up(1).expect("init");
        let kin = |pid, parent| Kin { pid, parent, start: 1, ..init };
        let all = [kin(2, 1), kin(3, 2), kin(4, 3), kin(5, 2), kin(6, 5), kin(7, 1)];
        let mut pids: Vec<i32> = below(2, &all, &[kin(5, 2)]).iter().map(|kin| kin.pid).collect();
        pids.sort();
        assert_eq!(pids, [3, 4]);
    }

    #[test]
    fn what_stands_still_goes_on() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
        let pid = child.id().cast_signed();
        let others: Vec<Kin> = process_tree::children_of(std::process::id().cast_signed())
            .into_iter()
            .filter(|kin| kin.pid != pid)
            .collect();
        let state = || process_tree::look_up(pid).map(|kin| kin.state);
        let wait_for = |wanted: &[char]| {
            while !state().is_some_and(|state| wanted.contains(&state)) {
                std::thread::yield_now();
            }
        };
        let frozen = freeze(&others);
        wait_for(&['T']);
        frozen.thaw();
        wait_for(&['S', 'R', 'D']);
        child.kill().expect("ours");
        child.wait().expect("ours");
    }
}
