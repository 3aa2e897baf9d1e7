//! What dead workers leave behind: the supervisor is a subreaper, so it becomes our child.

use std::time::{Duration, Instant};

use msup_protocol::kin;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};

/// The supervisor as the parent of last resort.
#[derive(Debug)]
pub(crate) struct Orphanage {
    /// Children this process had before it became msup: a shell that replaced itself by msup may have
    /// started what feeds us. They are none of ours.
    inherited: Vec<kin::Kin>,
}

impl Orphanage {
    /// Makes this process the parent of whatever loses its parent below it. Call it before anything
    /// is started.
    ///
    /// # Errors
    /// The system refused.
    pub(crate) fn open() -> nix::Result<Orphanage> {
        prctl::set_child_subreaper(true)?;
        Ok(Orphanage { inherited: kin::children_of(getpid().as_raw()) })
    }

    /// Children that are none of ours.
    pub(crate) fn inherited(&self) -> &[kin::Kin] {
        &self.inherited
    }

    /// Ends every child that is not in `workers`, and theirs in turn, and waits for their end, for at
    /// most `patience`. Returns how many are left.
    pub(crate) fn sweep(&self, workers: &[i32], patience: Duration) -> usize {
        let started = Instant::now();
        loop {
            let orphans = self.orphans(workers);
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

    /// The children that are neither workers nor inherited, those that could be reaped left out.
    fn orphans(&self, workers: &[i32]) -> Vec<kin::Kin> {
        let is_inherited = |child: &kin::Kin| {
            self.inherited.iter().any(|old| (old.pid, old.start) == (child.pid, child.start))
        };
        kin::children_of(getpid().as_raw())
            .into_iter()
            .filter(|child| !workers.contains(&child.pid) && !is_inherited(child))
            .filter(|child| !child.ended || !reap(child.pid))
            .collect()
    }
}

/// Whether this ended child could be reaped. It was not one of the workers.
fn reap(pid: i32) -> bool {
    let status = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
    !matches!(status, Ok(WaitStatus::StillAlive))
}
