//! What is left alive of an earlier generation: found by the name of its run in its environment, and ended.

use std::fs;
use std::time::{Duration, Instant};

use msup_protocol::env as names;
use msup_protocol::kin;
use rustix::process::{Pid, PidfdFlags, Signal, getppid, pidfd_open, pidfd_send_signal};

use super::folder::{Busy, Folder, Locks};

/// How long they may take to die.
const DIE_WITHIN: Duration = Duration::from_secs(5);

/// How long a supervisor's lock may outlast it: a killed process keeps its files until its last thread is gone,
/// and a child that it had just forked has them until its exec.
const LET_GO_WITHIN: Duration = Duration::from_secs(2);

/// Locks a run's folder, after ending what of the run is still alive.
///
/// # Errors
/// One line that says who is in the way.
pub(crate) fn take_over(folder: &Folder, run: &str) -> Result<(Locks, usize), String> {
    let name = folder.path().display();
    let (began, mut ended) = (Instant::now(), 0);
    loop {
        match folder.lock() {
            Ok(locks) => return Ok((locks, ended)),
            Err(Busy::Running) if began.elapsed() < LET_GO_WITHIN => pause(),
            Err(Busy::Running) => {
                return Err(format!(
                    "{name}: this run is still going on (its supervisor is alive)"
                ));
            }
            Err(Busy::Error(why)) => return Err(format!("{name}: {why}")),
            Err(Busy::Survivors) if began.elapsed() >= DIE_WITHIN => {
                return Err(format!(
                    "{name}: something of this run is still alive and cannot be ended (look for \
                     {}={run} in /proc/*/environ)",
                    names::RUN
                ));
            }
            Err(Busy::Survivors) => {
                ended += end_all(run);
                pause();
            }
        }
    }
}

fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}

/// Kills every process of the run. Returns how many were told.
fn end_all(run: &str) -> usize {
    let wanted = format!("{}={run}", names::RUN);
    let parent = getppid().map_or(0, Pid::as_raw_pid);
    let own = std::process::id().cast_signed();
    let others = kin::everybody().filter(|kin| !kin.ended && ![own, parent].contains(&kin.pid));
    let marked = |pid: i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    others
        .filter(|kin| {
            // First a descriptor, then the look: so it cannot be somebody who has got the number since.
            let pidfd = Pid::from_raw(kin.pid).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
            let Some(Ok(pidfd)) = pidfd else { return false };
            marked(kin.pid) && pidfd_send_signal(&pidfd, Signal::KILL).is_ok()
        })
        .count()
}
