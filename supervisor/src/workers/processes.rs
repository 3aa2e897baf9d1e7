//! The worker processes: starting them, letting them exit, cleaning up after dead ones.

use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use msup_protocol::audit::Violation;
use msup_protocol::exit::{self, WorkerEnd};
use msup_protocol::packed::WorkerId;
use msup_protocol::park::Futex;
use msup_protocol::process_tree::{self, Kin};
use msup_protocol::segment::Segment;
use msup_protocol::slot::{Counters, Status};

use crate::engine::Event;
use crate::os::cgroup::Groups;
use crate::os::freeze::{Frozen, freeze};
use crate::os::orphans::{Orphanage, Slots};
use crate::os::poller::Poller;
use crate::os::process::{Process, Recipe};

/// A worker that is told to exit at the end of the run is killed after this: it has no task. It has
/// as much longer as it may need to end what it keeps running.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);

/// Workers that need longer than this to end what they keep running are reported.
const REPORTED_AFTER: Duration = Duration::from_secs(1);

/// How long the descendants of a dead worker may take to die before its tokens are given out again.
const ORPHANS_DIE_WITHIN: Duration = Duration::from_millis(50);

/// How long all workers may take to die when an epoch ends.
const END_ALL_WITHIN: Duration = Duration::from_secs(2);

struct Member {
    process: Process,
    settled: bool,
    /// When it is killed, if it is still there then.
    deadline: Option<Instant>,
}

/// What workers have counted, including dead ones.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WorkerCounts {
    pub(crate) fast_exits: u64,
    pub(crate) slow_exits: u64,
    pub(crate) handoffs: u64,
    pub(crate) steals: u64,
    pub(crate) wait_ns: u64,
    pub(crate) pins: u64,
    pub(crate) reclaims: u64,
}

/// Why a worker cannot be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpawnError {
    #[error("no such slot")]
    NoSlot,
    #[error("{}: {why}", program.display())]
    Program {
        program: PathBuf,
        #[source]
        why: io::Error,
    },
}

/// All worker processes.
pub(crate) struct Crew {
    segment: Arc<Segment>,
    recipe: Recipe,
    orphanage: Orphanage,
    groups: Option<Rc<Groups>>,
    /// Workers run commands: they adopt processes below them that lose their parent.
    pub(crate) runs_commands: bool,
    members: Vec<Option<Member>>,
    /// The pids of all members, and of one that is being buried.
    pub(super) pids: HashSet<i32>,
    /// Members whose pidfd became readable.
    noted: Vec<WorkerId>,
    of_the_dead: WorkerCounts,
    /// When workers that still end what they keep running are reported, and whether they were.
    report: Option<(Instant, bool)>,
}

impl Crew {
    pub(crate) fn new(
        segment: Arc<Segment>,
        recipe: Recipe,
        orphanage: Orphanage,
        groups: Option<Rc<Groups>>,
        runs_commands: bool,
        max_workers: u16,
    ) -> Crew {
        let members = (0..max_workers).map(|_| None).collect();
        let of_the_dead = WorkerCounts::default();
        let (pids, noted) = (HashSet::new(), Vec::new());
        Crew {
            segment,
            recipe,
            orphanage,
            groups,
            runs_commands,
            members,
            pids,
            noted,
            of_the_dead,
            report: None,
        }
    }

    /// Starts a worker in a vacant slot.
    ///
    /// # Errors
    /// There is no process. The slot is vacant again, but tasks that a discarded process has
    /// claimed are left to the caller.
    pub(crate) fn spawn(&mut self, worker: WorkerId, poller: &Poller) -> Result<(), SpawnError> {
        let shared = self.segment.shared();
        let slot = shared.line.slot(worker).ok_or(SpawnError::NoSlot)?;
        slot.prepare();
        let started = self.recipe.start(worker, self.groups.as_deref()).and_then(|process| {
            let watched = poller.watch(process.pidfd(), u64::from(worker));
            watched.map(|()| process)
        });
        match started {
            Ok(process) => {
                self.pids.insert(process.pid());
                let member = Member { process, settled: false, deadline: None };
                self.members[usize::from(worker)] = Some(member);
                Ok(())
            }
            Err(why) => {
                // It may have lived for an instant, and claimed a task.
                self.sweep_after(&[worker]);
                self.of_the_dead.reclaims += u64::from(shared.bury(&Futex, worker));
                Err(SpawnError::Program { program: self.recipe.program.clone(), why })
            }
        }
    }

    /// The pid of a worker's process.
    pub(crate) fn pid(&self, worker: WorkerId) -> Option<i32> {
        let member = self.members.get(usize::from(worker))?.as_ref()?;
        Some(member.process.pid())
    }

    /// Whether a worker's process is stopped or hangs in the kernel.
    pub(crate) fn is_stuck(&self, worker: WorkerId) -> bool {
        let member = self.members.get(usize::from(worker)).and_then(Option::as_ref);
        member
            .and_then(|member| process_tree::look_up(member.process.pid()))
            .is_some_and(|kin| kin.stuck)
    }

    /// Tells a worker to exit when it has no task. At the end of the run it can have none, and is
    /// killed if it stays.
    pub(crate) fn dismiss(&mut self, worker: WorkerId, at_the_end: bool) {
        let shared = self.segment.shared();
        if let Some(slot) = shared.line.slot(worker) {
            slot.tell_to_leave();
            shared.line.wake(&Futex, worker);
        }
        if at_the_end {
            self.set_deadline(worker, LEAVE_WITHIN.saturating_add(self.recipe.ends_within));
            self.report.get_or_insert((Instant::now() + REPORTED_AFTER, false));
        }
    }

    /// The number of workers that still end what they keep running at the end of the run, once, if
    /// that takes them long.
    pub(crate) fn slow_to_leave(&mut self) -> Option<usize> {
        let (due, is_told) = self.report.as_mut()?;
        let is_due = !*is_told && *due <= Instant::now() && !self.recipe.ends_within.is_zero();
        let left = self.members.iter().flatten().count();
        *is_told |= is_due;
        Some(left).filter(|left| is_due && *left > 0)
    }

    /// Kills a worker.
    pub(crate) fn kill(&self, worker: WorkerId) {
        if let Some(Some(member)) = self.members.get(usize::from(worker)) {
            member.process.kill();
        }
    }

    /// Reaps adopted processes that have exited. Returns whether none that has exited is left.
    pub(crate) fn reap_adopted(&self) -> bool {
        self.orphanage.reap_adopted(|pid| self.pids.contains(&pid)).is_some()
    }

    /// Whether a process that a task has left running lives. Valid when no worker is left.
    pub(crate) fn any_left_running(&self) -> bool {
        self.orphanage.any_left_running()
    }

    /// The living processes that dead workers' tasks have left running. Valid when no worker is
    /// left.
    pub(crate) fn left_running(&self) -> Vec<Kin> {
        self.orphanage.left_running()
    }

    /// Kills the workers that were told to exit at the end of the run.
    pub(crate) fn hurry(&mut self) {
        for member in self.members.iter_mut().flatten() {
            if member.deadline.take().is_some() {
                member.process.kill();
            }
        }
    }

    /// Kills the workers whose time is up.
    pub(crate) fn escalate(&mut self) {
        let now = Instant::now();
        for member in self.members.iter_mut().flatten() {
            if member.deadline.is_some_and(|deadline| deadline <= now) {
                member.deadline = None;
                member.process.kill();
            }
        }
    }

    /// Notes the workers whose pidfds are readable.
    pub(crate) fn note(&mut self, workers: impl Iterator<Item = WorkerId>) {
        self.noted.extend(workers);
    }

    /// Reports workers that have parked or claimed a task for the first time.
    pub(crate) fn settle(&mut self, events: &mut Vec<Event>) {
        let shared = self.segment.shared();
        for (worker, member) in self.members.iter_mut().enumerate() {
            let Some(member) = member.as_mut().filter(|member| !member.settled) else { continue };
            let worker = worker as WorkerId;
            let works = shared.line.slot(worker).is_some_and(|slot| {
                slot.status() == Status::Attached && slot.counters.tasks.load(Ordering::Relaxed) > 0
            });
            if works || shared.line.is_parked(worker) {
                member.settled = true;
                events.push(Event::WorkerSettled(worker));
            }
        }
    }

    /// The noted workers that have really exited.
    pub(crate) fn ended(&mut self) -> Vec<(WorkerId, WorkerEnd)> {
        let noted = std::mem::take(&mut self.noted);
        let ended = noted.into_iter().filter_map(|worker| {
            let member = self.members.get(usize::from(worker))?.as_ref()?;
            Some((worker, member.process.ended()?))
        });
        ended.collect()
    }

    /// Kills what the commands of dead workers have left, for all of these together: thousands of
    /// workers may be killed at once, and each search looks at everything that is left. Call it
    /// before they are buried.
    pub(crate) fn sweep_before_burial(&self, ended: &[(WorkerId, WorkerEnd)]) {
        let left = ended.iter().filter(|(_, end)| self.runs_commands && is_unplanned(*end));
        let left: Vec<WorkerId> = left.map(|(worker, _)| *worker).collect();
        left.iter().for_each(|worker| self.kill_group(*worker));
        if !left.is_empty() {
            self.sweep_after(&left);
        }
    }

    /// Reclaims a dead worker's tokens and releases its process, after everything it left behind
    /// has been killed, of a task loop now, of commands before: nothing of it must run alongside
    /// the next owner of its token.
    pub(crate) fn bury(&mut self, ended: (WorkerId, WorkerEnd)) -> (WorkerId, WorkerEnd) {
        let (worker, end) = ended;
        let Some(member) = self.members[usize::from(worker)].take() else { return ended };
        match end {
            WorkerEnd::Exited(exit::SUCCESS) => {}
            // What its tasks left running is no fault: it stays until the run is over.
            WorkerEnd::Exited(exit::WORKER_LEFT_PROCESSES) => {
                self.orphanage.adopt(&self.pids);
            }
            // See `sweep_before_burial()`.
            _ if self.runs_commands => {}
            _ => {
                let dead = member.process.pid();
                self.orphanage.sweep_loop(dead, &self.pids, ORPHANS_DIE_WITHIN);
            }
        }
        let shared = self.segment.shared();
        self.of_the_dead.reclaims += u64::from(shared.bury(&Futex, worker));
        if let Some(slot) = shared.line.slot(worker) {
            self.of_the_dead.add(&slot.counters);
        }
        self.pids.remove(&member.process.pid());
        member.process.reap();
        (worker, end)
    }

    /// Freezes all workers and everything they have started.
    pub(crate) fn freeze(&self) -> Frozen {
        freeze(self.orphanage.inherited())
    }

    /// Kills what is left when no worker is. Returns the number that could not be killed.
    pub(crate) fn sweep(&self, patience: Duration) -> usize {
        self.orphanage.sweep_all(patience)
    }

    /// Kills all workers and everything they had started: the segment they share cannot be trusted.
    pub(crate) fn end_all(&mut self) {
        for (worker, member) in self.members.iter().enumerate() {
            if let Some(member) = member {
                member.process.kill();
                self.kill_group(worker as WorkerId);
            }
        }
        let members: Vec<Member> = self.members.iter_mut().filter_map(Option::take).collect();
        let began = Instant::now();
        while members.iter().any(|member| member.process.ended().is_none())
            && began.elapsed() < END_ALL_WITHIN
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        for member in members {
            // One that hangs in the kernel no longer shares anything with the others.
            member.process.reap();
        }
        self.pids.clear();
        self.noted.clear();
        self.orphanage.sweep(&HashSet::new(), END_ALL_WITHIN);
    }

    /// Whether the segment is shorter than it was made: workers that access the missing part are
    /// killed by SIGBUS, and new ones cannot attach.
    pub(crate) fn lost_segment(&self) -> Option<Violation> {
        let len = rustix::fs::fstat(&self.recipe.segment).ok()?.st_size.cast_unsigned();
        (len < self.segment.bytes()).then(|| Violation::cut(len))
    }

    /// From now on workers get this segment.
    pub(crate) fn renew(&mut self, segment: Arc<Segment>, fd: OwnedFd, folder: PathBuf) {
        self.segment = segment;
        self.recipe.segment = fd;
        self.recipe.folder = folder;
    }

    /// What all workers have counted so far.
    pub(crate) fn counted(&self) -> WorkerCounts {
        let shared = self.segment.shared();
        let mut counted = self.of_the_dead;
        for (worker, _) in self.members.iter().enumerate().filter(|(_, member)| member.is_some()) {
            if let Some(slot) = shared.line.slot(worker as WorkerId) {
                counted.add(&slot.counters);
            }
        }
        counted
    }

    /// Kills everything that a worker has started, where the worker has a control group.
    fn kill_group(&self, worker: WorkerId) {
        if let Some(groups) = &self.groups {
            groups.kill(worker);
        }
    }

    /// Kills what dead workers have left.
    fn sweep_after(&self, dead: &[WorkerId]) {
        let numbers = dead.iter().map(|worker| u32::from(*worker) + 1).collect();
        let slots = Slots { run: &self.recipe.run_id, numbers };
        self.orphanage.sweep_slots(&slots, &self.pids, ORPHANS_DIE_WITHIN);
    }

    fn set_deadline(&mut self, worker: WorkerId, within: Duration) {
        if let Some(Some(member)) = self.members.get_mut(usize::from(worker)) {
            let deadline = Instant::now().checked_add(within);
            member.deadline = [member.deadline, deadline].into_iter().flatten().min();
        }
    }
}

/// Whether a worker did not exit as it was told to.
fn is_unplanned(end: WorkerEnd) -> bool {
    !matches!(end, WorkerEnd::Exited(exit::SUCCESS | exit::WORKER_LEFT_PROCESSES))
}

impl WorkerCounts {
    fn add(&mut self, counters: &Counters) {
        for (sum, counter) in [
            (&mut self.fast_exits, &counters.fast_exits),
            (&mut self.slow_exits, &counters.slow_exits),
            (&mut self.handoffs, &counters.handoffs),
            (&mut self.steals, &counters.steals),
            (&mut self.wait_ns, &counters.wait_ns),
            (&mut self.pins, &counters.pins),
        ] {
            // Whatever value is there: it must not crash the supervisor.
            *sum = sum.saturating_add(counter.load(Ordering::Relaxed));
        }
    }
}
