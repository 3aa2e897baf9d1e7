//! What dead workers leave behind: the supervisor is a subreaper, so orphans become its children.

use std::collections::HashSet;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use msup_protocol::env as names;
use msup_protocol::process_tree::{self, Kin};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, getpid};

/// Children this process had before it became msup: a shell that replaced itself by msup may have
/// started what feeds it. They do not belong to the run.
static INHERITED: OnceLock<Vec<Kin>> = OnceLock::new();

/// Slots of workers, as the environment of their commands names them.
#[derive(Clone, Debug)]
pub(crate) struct Slots<'a> {
    pub(crate) run: &'a str,
    /// As users see them, from 1.
    pub(crate) numbers: HashSet<u32>,
}

impl Slots<'_> {
    /// Whether a process was started by a command in another slot of the same run.
    fn is_of_another(&self, pid: i32) -> bool {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let value = |name: &str| {
            let mut entries = environment.split(|byte| *byte == 0);
            entries.find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
        };
        let number = value(names::SLOT).filter(|_| value(names::RUN) == Some(self.run.as_bytes()));
        let number = number.map(|number| std::str::from_utf8(number).ok()?.parse().ok());
        number.is_some_and(|number: Option<u32>| {
            number.is_none_or(|number| !self.numbers.contains(&number))
        })
    }
}

/// The number of looks before nothing is taken to be left.
const LOOKS: u32 = 3;

/// The supervisor as the parent of last resort.
#[derive(Debug)]
pub(crate) struct Orphanage {
    inherited: &'static [Kin],
    /// Left running by tasks of workers that exited as told. They stay until the run is over.
    adopted: Vec<Kin>,
}

/// Kills every process below this one and waits for their deaths, for at most `patience`. Returns
/// how many are left. Before [`Orphanage::open`] there are none.
pub(crate) fn kill_all(patience: Duration) -> usize {
    let orphanage = |inherited| Orphanage { inherited, adopted: Vec::new() };
    INHERITED.get().map_or(0, |inherited| orphanage(inherited).sweep_all(patience))
}

impl Orphanage {
    /// Makes this process the parent of every process below it that loses its parent. Call it
    /// before anything is started.
    ///
    /// # Errors
    /// The system refused.
    pub(crate) fn open() -> nix::Result<Orphanage> {
        prctl::set_child_subreaper(true)?;
        let inherited = INHERITED.get_or_init(|| process_tree::children_of(getpid().as_raw()));
        Ok(Orphanage { inherited, adopted: Vec::new() })
    }

    /// Children that do not belong to the run.
    pub(crate) fn inherited(&self) -> &[Kin] {
        self.inherited
    }

    /// The children that are not in `workers` stay until the run is over.
    pub(crate) fn adopt(&mut self, workers: &HashSet<i32>) {
        let children = self.children_but(workers);
        self.adopted = children.into_iter().filter(|child| !child.exited).collect();
    }

    /// Kills every child that is neither in `workers` nor adopted, and their children in turn, and
    /// waits until they are gone, for at most `patience`.
    pub(crate) fn sweep(&self, workers: &HashSet<i32>, patience: Duration) {
        self.sweep_but(workers, &self.adopted, patience);
    }

    /// As [`Orphanage::sweep`], after the death of the workers in these slots. A child whose
    /// environment names another slot of the same run is left: its worker has exited as told, or
    /// has just died, and that was not seen yet.
    pub(crate) fn sweep_slots(
        &self,
        slots: &Slots<'_>,
        workers: &HashSet<i32>,
        patience: Duration,
    ) {
        self.sweep_while(workers, &self.adopted, patience, |child| !slots.is_of_another(child.pid));
    }

    /// Kills every child of this process that is in the session of a dead task loop. Others may
    /// belong to live loops: orphans below one become children of this process.
    pub(crate) fn sweep_loop(&self, dead: i32, workers: &HashSet<i32>, patience: Duration) {
        let is_its = |child: &Kin| child.session == dead;
        self.kill_all(|| self.children_but(workers).into_iter().filter(is_its).collect(), patience);
    }

    /// Kills every child, including adopted ones, and their children in turn, and waits until they
    /// are gone, for at most `patience`. No worker may be left. Returns how many processes are
    /// left.
    pub(crate) fn sweep_all(&self, patience: Duration) -> usize {
        self.sweep_but(&HashSet::new(), &[], patience)
    }

    /// Whether a process below this one is alive that is not inherited. No worker may be left.
    pub(crate) fn any_left_running(&self) -> bool {
        // A process whose parent exits at this moment is on no list, but the kernel knows of it.
        if self.reap_adopted(|_| false) == Some(false) {
            return false;
        }
        let is_inherited = |child: &Kin| !child.exited && self.is_inherited(child);
        let is_alone = !process_tree::children_of(getpid().as_raw()).iter().any(is_inherited);
        is_alone || (0..LOOKS).any(|_| !self.left_running().is_empty())
    }

    /// Every living process of the run below this one. No worker may be left.
    pub(crate) fn left_running(&self) -> Vec<Kin> {
        let mut found = self.children_but(&HashSet::new());
        let below: Vec<Kin> =
            found.iter().flat_map(|kin| process_tree::descendants_of(kin.pid)).collect();
        found.extend(below);
        found.retain(|kin| !kin.exited);
        found
    }

    /// Reaps exited children until one of them `is_worker`, which is left: then returns `None`,
    /// else whether any child is left.
    pub(crate) fn reap_adopted(&self, is_worker: impl Fn(i32) -> bool) -> Option<bool> {
        loop {
            let options = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
            match waitid(Id::All, options).map(|status| status.pid().map(Pid::as_raw)) {
                Ok(Some(pid)) if is_worker(pid) => return None,
                Ok(Some(pid)) => {
                    reap(pid);
                }
                Err(nix::errno::Errno::EINTR) => {}
                Ok(None) => return Some(true),
                Err(_) => return Some(false),
            }
        }
    }

    fn sweep_but(&self, workers: &HashSet<i32>, spared: &[Kin], patience: Duration) -> usize {
        self.sweep_while(workers, spared, patience, |_| true)
    }

    fn sweep_while(
        &self,
        workers: &HashSet<i32>,
        spared: &[Kin],
        patience: Duration,
        is_meant: impl Fn(&Kin) -> bool,
    ) -> usize {
        // Orphans in the session of a spared process are spared, too.
        let is_spared = |child: &Kin| {
            spared.iter().any(|one| is_same(one, child) || one.session == child.session)
        };
        let orphans = || -> Vec<Kin> {
            let children = self.children_but(workers).into_iter();
            children.filter(|child| !is_spared(child) && is_meant(child)).collect()
        };
        self.kill_all(orphans, patience)
    }

    /// Kills these, and those that follow them, until there are none, for at most `patience`.
    /// Returns how many are left.
    fn kill_all(&self, orphans: impl Fn() -> Vec<Kin>, patience: Duration) -> usize {
        let started = Instant::now();
        loop {
            let orphans = orphans();
            if orphans.is_empty() || started.elapsed() >= patience {
                return orphans.len();
            }
            for orphan in orphans {
                if orphan.group == orphan.pid {
                    let _ = kill(Pid::from_raw(-orphan.group), Signal::SIGKILL);
                }
                let _ = kill(Pid::from_raw(orphan.pid), Signal::SIGKILL);
            }
            // A killed process needs an instant to exit; then its children become ours.
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Whether a child does not belong to the run: it was there before, or is in this process' own
    /// session. Workers and commands create their own sessions; processes started by a shell that
    /// then replaced itself by msup have not, and their children become ours when they exit.
    fn is_inherited(&self, child: &Kin) -> bool {
        let own = nix::unistd::getsid(None).map_or(0, Pid::as_raw);
        child.session == own || self.inherited.iter().any(|old| is_same(old, child))
    }

    /// The children that are neither workers nor inherited, without those that were reaped just
    /// now.
    fn children_but(&self, workers: &HashSet<i32>) -> Vec<Kin> {
        process_tree::children_but(getpid().as_raw(), |pid| workers.contains(&pid))
            .into_iter()
            .filter(|child| !self.is_inherited(child))
            .filter(|child| !child.exited || !reap(child.pid))
            .collect()
    }
}

fn is_same(one: &Kin, other: &Kin) -> bool {
    (one.pid, one.start) == (other.pid, other.start)
}

/// Reaps this exited child, which is not a worker. Returns whether that succeeded.
fn reap(pid: i32) -> bool {
    let status = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
    !matches!(status, Ok(WaitStatus::StillAlive))
}
