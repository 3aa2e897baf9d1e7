//! Gauges of running commands: the CPUs that each one uses, and whether it could run.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use msup_protocol::packed::WorkerId;

use super::survey::Activity;

/// The weight of the last window in a command's own use.
const NEWEST: f64 = 0.3;
/// The weight of the last answer to whether it could run.
const NEWEST_WANTS: f64 = 0.2;

/// CPU time of a command so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// Of its own process; `None`: it has exited.
    pub(super) own: Option<Duration>,
    pub(super) children: Children,
}

/// CPU time of the processes that a command has started.
#[derive(Clone, Copy, Debug)]
pub(super) enum Children {
    /// Commands start no others.
    None,
    /// What those used that were found.
    Found(Duration),
    /// What the control group of its worker has used: the worker, this command and those before it.
    InGroup(Duration),
}

/// A command has computed since the last window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spell {
    /// CPU time not counted before.
    pub(super) used: Duration,
    /// Seconds since it was last seen to compute.
    pub(super) pause: f64,
}

/// One running command.
#[derive(Clone, Debug)]
pub(super) struct Gauge {
    pub(super) pid: i32,
    /// CPU time counted so far, and that of its own process when last seen.
    counted: Duration,
    own: Duration,
    /// CPUs it uses, smoothed. A new command is presumed to compute.
    pub(super) cpus: f64,
    /// The number of windows in which it was sampled.
    pub(super) windows: u32,
    /// When its CPU clock was last read, and when it last moved.
    looked: Instant,
    moved: Instant,
    /// Bytes of memory when last asked, 0 before.
    resident: u64,
    /// The share of the time in which it could run, had it a CPU, smoothed over the samples.
    pub(super) wants: f64,
    /// Where the control group of its worker is measured: what that had used before this command.
    before: Option<Duration>,
}

impl Gauge {
    pub(super) fn new(pid: i32, now: Instant) -> Gauge {
        Gauge {
            pid,
            counted: Duration::ZERO,
            own: Duration::ZERO,
            cpus: 1.0,
            windows: 0,
            looked: now,
            moved: now,
            resident: 0,
            wants: 0.0,
            before: None,
        }
    }

    /// The clocks were read at the end of a window of length `span`. `None`: they have not moved.
    pub(super) fn sample(
        &mut self,
        reading: Reading,
        span: Duration,
        now: Instant,
    ) -> Option<Spell> {
        let total = self.total(reading);
        let used = total.saturating_sub(self.counted);
        self.counted = self.counted.max(total);
        self.windows += 1;
        self.looked = now;
        self.cpus += NEWEST * (used.as_secs_f64() / span.as_secs_f64().max(1e-9) - self.cpus);
        if used.is_zero() {
            return None;
        }
        let pause = (now - self.moved).as_secs_f64();
        self.moved = now;
        Some(Spell { used, pause })
    }

    /// CPU time of the command and of what it has started.
    fn total(&mut self, reading: Reading) -> Duration {
        // A command that has exited is charged for what it left running, as long as its worker
        // waits for that.
        self.own = reading.own.unwrap_or(self.own);
        match reading.children {
            Children::None => self.own,
            Children::Found(time) => self.own + time,
            Children::InGroup(group) => {
                let before = group.saturating_sub(self.counted.max(self.own));
                group.saturating_sub(*self.before.get_or_insert(before))
            }
        }
    }

    fn note(&mut self, activity: Activity) {
        self.resident = activity.resident;
        self.wants += NEWEST_WANTS * (f64::from(u8::from(activity.is_runnable)) - self.wants);
    }
}

/// What was counted of a command until it finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) cpu: Duration,
    /// When its clock was last read; `None`: its worker has run another command since.
    pub(super) read: Option<Instant>,
}

/// The gauges of all workers' commands.
#[derive(Debug)]
pub(super) struct Gauges {
    by_worker: Vec<Option<Gauge>>,
    /// CPU time counted of commands that have exited, until their outcome comes in.
    past: HashMap<i32, Duration>,
}

impl Gauges {
    pub(super) fn new(workers: u16) -> Gauges {
        Gauges { by_worker: vec![None; usize::from(workers)], past: HashMap::new() }
    }

    /// All workers, with commands and without.
    pub(super) fn workers(&self) -> impl Iterator<Item = WorkerId> + use<> {
        0..self.by_worker.len() as WorkerId
    }

    /// All gauges.
    pub(super) fn each(&self) -> impl Iterator<Item = (WorkerId, &Gauge)> {
        (0..).zip(&self.by_worker).filter_map(|(worker, gauge)| Some((worker, gauge.as_ref()?)))
    }

    /// The gauge of a worker's command, a new one if it is another command than before. `None` if
    /// that is not the worker's child.
    pub(super) fn of(
        &mut self,
        worker: WorkerId,
        command: i32,
        now: Instant,
        is_child: impl FnOnce() -> bool,
    ) -> Option<&mut Gauge> {
        let gauge = &mut self.by_worker[usize::from(worker)];
        if gauge.as_ref().is_none_or(|gauge| gauge.pid != command) {
            if let Some(old) = gauge.take() {
                self.past.insert(old.pid, old.counted);
            }
            *gauge = is_child().then(|| Gauge::new(command, now));
        }
        gauge.as_mut()
    }

    /// A worker's command was asked for its activity.
    pub(super) fn note(&mut self, worker: WorkerId, activity: Activity) {
        if let Some(Some(gauge)) = self.by_worker.get_mut(usize::from(worker)) {
            gauge.note(activity);
        }
    }

    /// A command has finished. `None`: it was never sampled.
    pub(super) fn remove(&mut self, pid: i32) -> Option<Counted> {
        let is_it = |gauge: &&mut Option<Gauge>| gauge.as_ref().is_some_and(|it| it.pid == pid);
        match self.by_worker.iter_mut().find(is_it).and_then(Option::take) {
            Some(gauge) => Some(Counted { cpu: gauge.counted, read: Some(gauge.looked) }),
            None => self.past.remove(&pid).map(|cpu| Counted { cpu, read: None }),
        }
    }

    /// A worker is gone.
    pub(super) fn forget(&mut self, worker: WorkerId) {
        if let Some(gauge) = self.by_worker.get_mut(usize::from(worker)) {
            *gauge = None;
        }
    }

    /// All workers are gone.
    pub(super) fn forget_all(&mut self) {
        self.by_worker.fill(None);
        self.past.clear();
    }

    /// For how long each command sampled now has not computed, in seconds.
    pub(super) fn still(&self, now: Instant) -> Vec<f64> {
        let gauges = self.by_worker.iter().flatten().filter(|gauge| gauge.looked == now);
        gauges.map(|gauge| (now - gauge.moved).as_secs_f64()).collect()
    }

    /// The memory of the commands, as far as they were asked.
    pub(super) fn residents(&self, commands: &[(WorkerId, i32)]) -> Vec<u64> {
        let gauges = commands.iter().filter_map(|(worker, command)| {
            let gauge = self.by_worker.get(usize::from(*worker))?.as_ref()?;
            Some(gauge.resident).filter(|bytes| *bytes > 0 && gauge.pid == *command)
        });
        gauges.collect()
    }
}
