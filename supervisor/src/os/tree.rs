//! Signals to process trees: to a whole process group where possible, else to each process.

use std::collections::BTreeSet;

use msup_protocol::process_tree::{self, Kin};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};

/// Sends a signal to each of these processes once. A group that is not in `spared` gets it as a
/// whole, including members that were started just now: a group never extends beyond its session,
/// and so never beyond the process tree.
pub(crate) fn signal(targets: &[Kin], spared: &[i32], signal: Signal) {
    let mut groups = BTreeSet::new();
    for target in targets.iter().filter(|target| !target.exited) {
        if spared.contains(&target.group) {
            signal_one(target, signal);
        } else if !groups.contains(&target.group) && is_still(target) {
            groups.insert(target.group);
            // It may have exited just now.
            let _ = killpg(Pid::from_raw(target.group), signal);
        }
    }
}

/// Whether this process still has its pid, and is in its group.
fn is_still(target: &Kin) -> bool {
    let now = process_tree::look_up(target.pid);
    now.is_some_and(|now| (now.start, now.group) == (target.start, target.group))
}

fn signal_one(target: &Kin, signal: Signal) {
    let Some(pid) = rustix::process::Pid::from_raw(target.pid) else { return };
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    // From here on the pid cannot be reused.
    if process_tree::start_time(target.pid) == Some(target.start)
        && let Some(signal) = rustix::process::Signal::from_named_raw(signal as i32)
    {
        let _ = pidfd_send_signal(&pidfd, signal);
    }
}
