//! What dead workers leave behind: the supervisor is a subreaper, so it becomes our child.

use std::time::{Duration, Instant};

use msup_protocol::kin;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};

/// Makes this process the parent of whatever loses its parent below it.
///
/// # Errors
/// The system refused.
pub(crate) fn adopt() -> nix::Result<()> {
    prctl::set_child_subreaper(true)
}

/// Ends every child that is not in `workers`, and theirs in turn, and waits for their end, for at most
/// `patience`. Returns how many are left.
pub(crate) fn sweep(workers: &[i32], patience: Duration) -> usize {
    let started = Instant::now();
    let me = getpid().as_raw();
    loop {
        let orphans: Vec<kin::Kin> = kin::children_of(me)
            .into_iter()
            .filter(|child| !workers.contains(&child.pid))
            .filter(|child| !child.ended || !reap(child.pid))
            .collect();
        if orphans.is_empty() || started.elapsed() >= patience {
            return orphans.len();
        }
        for orphan in orphans {
            if orphan.group == orphan.pid {
                let _ = kill(Pid::from_raw(-orphan.group), Signal::SIGKILL);
            }
            let _ = kill(Pid::from_raw(orphan.pid), Signal::SIGKILL);
        }
        // A killed process needs an instant to end; then its children become ours.
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Whether this ended child could be reaped. It was not one of the workers.
fn reap(pid: i32) -> bool {
    let status = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
    !matches!(status, Ok(WaitStatus::StillAlive))
}
