//! Survivors of an earlier generation: processes that have the id of its run in their environment.
//! They are found and killed.

use std::collections::HashSet;
use std::fs;
use std::time::{Duration, Instant};

use msup_protocol::env as names;
use msup_protocol::process_tree::{self, Kin};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::error::JournalError;
use super::folder::Folder;
use super::locks::{Busy, LET_GO_WITHIN, Locks};
use super::runs;

/// How long they may take to die.
const DIE_WITHIN: Duration = Duration::from_secs(5);

/// Locks a run's folder, after killing what is still alive of the run. The inherited lock reveals
/// most survivors; processes that have closed it are found only by their environment, so all
/// environments are always searched.
///
/// # Errors
/// The run is still running, something of it cannot be killed, or the folder cannot be locked.
pub(crate) fn take_over(folder: &Folder, run: &str) -> Result<(Locks, usize), JournalError> {
    let path = || folder.path().to_owned();
    let (began, order) = (Instant::now(), runs::next_order());
    let mut survivors = Survivors::of(run);
    let mut locks = None;
    loop {
        match locks.take().map_or_else(|| folder.lock(order), Ok) {
            Ok(taken) => locks = Some(taken),
            Err(Busy::Running) if began.elapsed() < LET_GO_WITHIN => {
                pause();
                continue;
            }
            Err(Busy::Running) => return Err(JournalError::Alive(path())),
            Err(Busy::Error(why)) => return Err(JournalError::File { path: path(), why }),
            Err(Busy::Survivors) => {}
        }
        let are_left = survivors.kill();
        if let Some(locks) = locks.take_if(|_| !are_left) {
            return Ok((locks, survivors.killed.len()));
        }
        if began.elapsed() >= DIE_WITHIN {
            return Err(JournalError::Survivors { folder: path(), run: run.to_owned() });
        }
        pause();
    }
}

fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}

/// The processes of a run that have it in their environment.
struct Survivors {
    /// The variable that marks them.
    mark: Vec<u8>,
    /// This process and those above it: a shell that a task has opened may resume the run.
    spared: Vec<i32>,
    killed: HashSet<(i32, u64)>,
}

impl Survivors {
    fn of(run: &str) -> Survivors {
        let own = std::process::id().cast_signed();
        let above =
            |pid: &i32| process_tree::look_up(*pid).map(|kin| kin.parent).filter(|pid| *pid > 0);
        let spared = std::iter::successors(Some(own), above).collect();
        let mark = format!("{}={run}", names::RUN).into_bytes();
        Survivors { mark, spared, killed: HashSet::new() }
    }

    /// Kills all that are there now. Returns whether there were any: they may have started others.
    fn kill(&mut self) -> bool {
        let mut are_left = false;
        for kin in process_tree::all_processes()
            .filter(|kin| !kin.exited && !self.spared.contains(&kin.pid))
        {
            if self.kill_one(kin) {
                self.killed.insert((kin.pid, kin.start));
                are_left = true;
            }
        }
        are_left
    }

    fn kill_one(&self, kin: Kin) -> bool {
        // The pidfd is opened before the environment is read: so the signal cannot hit a later
        // process with the same pid.
        let pidfd = Pid::from_raw(kin.pid).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
        let Some(Ok(pidfd)) = pidfd else { return false };
        let environment = fs::read(format!("/proc/{}/environ", kin.pid)).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == self.mark)
            && pidfd_send_signal(&pidfd, Signal::KILL).is_ok()
    }
}
