//! The table of workers: which are alive, which are starting, and how long each has been idle.

use std::time::Duration;

use msup_protocol::packed::WorkerId;

use super::stall::Stall;
use crate::engine::event::View;
use crate::engine::time::Now;

/// Parked workers that are kept besides the busy ones, once a task has blocked.
const SPARES: u32 = 1;

/// Workers that have been starting for this long are reported, and again each time this has passed.
const REPORTED_AFTER: Duration = Duration::from_secs(10);

/// At most this number of workers is started at once: between two batches the event loop looks at
/// signals and outcomes. Starting a worker takes about 1 ms, but up to 100 ms on a machine that has
/// many times more to do than it can: then signals still wait for less than 1 s.
const STARTED_AT_ONCE: u32 = 8;

/// A failed spawn is retried after this, doubled each time up to the last.
const SPAWN_BACKOFF: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(1)];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Worker {
    /// Since when it has been starting: it has not yet parked or claimed a task.
    starting: Option<Now>,
    /// Starting took longer than `--start-timeout`, and it is being killed.
    overdue: bool,
    /// It was told to exit or is being stopped.
    leaving: bool,
    /// Since when it has been parked, and how many tasks it had claimed then.
    parked: Option<(Now, u64)>,
}

/// The state of a worker when it exited or was killed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gone {
    /// It had not taken up work.
    pub(crate) starting: bool,
    /// Starting took too long, and it was killed.
    pub(crate) overdue: bool,
    /// It had been told to exit.
    pub(crate) leaving: bool,
}

/// All workers of a run.
#[derive(Debug)]
pub(crate) struct Pool {
    workers: Vec<Option<Worker>>,
    idle_timeout: Duration,
    /// Tasks block: keep spares.
    blocking_seen: bool,
    stall: Stall,
    spawn_backoff: Option<(Now, Duration)>,
    /// More workers are to be started than were at the last look.
    starts_more: bool,
    /// A process could not be created.
    has_failed: bool,
    /// When slow starts were last reported.
    reported: Option<Now>,
    /// The most workers at a time, up to the last change.
    peak: u32,
    pub(crate) spawned: u64,
    pub(crate) reaped_idle: u64,
}

impl Pool {
    /// No workers yet, at most `max_workers`.
    pub(crate) fn new(max_workers: u16, idle_timeout: Duration) -> Pool {
        Pool {
            workers: vec![None; usize::from(max_workers)],
            idle_timeout,
            blocking_seen: false,
            stall: Stall::default(),
            spawn_backoff: None,
            starts_more: false,
            has_failed: false,
            reported: None,
            peak: 0,
            spawned: 0,
            reaped_idle: 0,
        }
    }

    /// Chooses the workers to start: as many as there are ready tasks that can be started,
    /// `startable` at most, and have neither a parked nor a starting worker; plus the spares; but
    /// no more than [`STARTED_AT_ONCE`].
    pub(crate) fn choose_to_spawn(
        &mut self,
        view: &View,
        startable: u32,
        now: Now,
    ) -> Vec<WorkerId> {
        self.blocking_seen |= view.blocked > 0;
        self.starts_more = false;
        if self.spawn_backoff.is_some_and(|(until, _)| now < until) {
            return Vec::new();
        }
        let needed = view.ready.min(startable);
        let spare = if self.blocking_seen && needed > 0 { SPARES } else { 0 };
        self.note_peak();
        let there = view.parked.len() as u32 + self.starting();
        let missing = (needed + spare).saturating_sub(there);
        let mut vacant = self.workers.iter().enumerate().filter(|(_, worker)| worker.is_none());
        let at_once = missing.min(STARTED_AT_ONCE) as usize;
        let chosen: Vec<WorkerId> =
            vacant.by_ref().take(at_once).map(|(slot, _)| slot as WorkerId).collect();
        self.starts_more = missing > STARTED_AT_ONCE && vacant.next().is_some();
        for worker in &chosen {
            let fresh =
                Worker { starting: Some(now), overdue: false, leaving: false, parked: None };
            self.workers[usize::from(*worker)] = Some(fresh);
            self.spawned += 1;
        }
        chosen
    }

    /// Whether more workers are to be started than were at the last look.
    pub(crate) fn starts_more(&self) -> bool {
        self.starts_more
    }

    /// The most workers at a time. Those last chosen count once their start has not failed.
    pub(crate) fn peak(&self) -> u32 {
        self.peak.max(self.alive() as u32)
    }

    fn note_peak(&mut self) {
        self.peak = self.peak();
    }

    /// Whether to report a stall: for some time there have been as many workers as allowed, and
    /// none of them was free for a ready task that could be started.
    pub(crate) fn stalls(&mut self, view: &View, startable: u32, now: Now) -> bool {
        let none_free = view.parked.is_empty() && self.starting() == 0;
        let is_exhausted =
            view.ready > 0 && startable > 0 && none_free && self.alive() == self.workers.len();
        self.stall.look(is_exhausted, now)
    }

    /// The number of stalls.
    pub(crate) fn stalls_seen(&self) -> u64 {
        self.stall.count
    }

    /// Chooses the parked workers that have been idle for too long; `no_more`: there is nothing to
    /// wait for.
    pub(crate) fn choose_to_dismiss(
        &mut self,
        view: &View,
        no_more: bool,
        now: Now,
    ) -> Vec<WorkerId> {
        // Both ascend by slot.
        let mut parked = view.parked.iter().peekable();
        for (slot, worker) in self.workers.iter_mut().enumerate() {
            let seen = parked.next_if(|(parked, _)| usize::from(*parked) == slot);
            let Some(worker) = worker else { continue };
            worker.parked = match (seen, worker.parked) {
                (Some((_, tasks)), Some((since, before))) if *tasks == before => {
                    Some((since, before))
                }
                (Some((_, tasks)), _) => Some((now, *tasks)),
                (None, _) => None,
            };
        }
        let patience = if no_more { Duration::ZERO } else { self.idle_timeout };
        let is_idle = |worker: &Worker| {
            let since = worker.parked.filter(|_| !worker.leaving);
            since.is_some_and(|(since, _)| now.saturating_sub(since) >= patience)
        };
        let idle = self.workers.iter().enumerate().rev();
        let idle = idle.filter(|(_, worker)| worker.as_ref().is_some_and(is_idle));
        let dismissed: Vec<WorkerId> =
            idle.map(|(slot, _)| slot as WorkerId).skip(SPARES as usize).collect();
        self.reaped_idle += dismissed.len() as u64;
        dismissed
    }

    pub(crate) fn settled(&mut self, worker: WorkerId) {
        if let Some(Some(worker)) = self.workers.get_mut(usize::from(worker)) {
            (worker.starting, worker.overdue) = (None, false);
        }
        self.spawn_backoff = None;
    }

    /// Marks a worker as leaving; returns whether it was not before.
    pub(crate) fn set_leaving(&mut self, worker: WorkerId) -> bool {
        match self.workers.get_mut(usize::from(worker)) {
            Some(Some(worker)) => !std::mem::replace(&mut worker.leaving, true),
            _ => false,
        }
    }

    /// A worker has exited or was killed.
    pub(crate) fn gone(&mut self, worker: WorkerId) -> Gone {
        self.note_peak();
        self.take(worker)
    }

    fn take(&mut self, worker: WorkerId) -> Gone {
        let slot = self.workers.get_mut(usize::from(worker));
        slot.and_then(Option::take).map_or(Gone::default(), |worker| Gone {
            starting: worker.starting.is_some(),
            overdue: worker.overdue,
            leaving: worker.leaving,
        })
    }

    /// The workers that have been starting for longer than `limit`, each once.
    pub(crate) fn overdue(&mut self, limit: Duration, now: Now) -> Vec<WorkerId> {
        let mut overdue = Vec::new();
        for (slot, worker) in self.workers.iter_mut().enumerate() {
            let Some(worker) = worker else { continue };
            let is_slow = worker.starting.is_some_and(|since| now.saturating_sub(since) >= limit);
            if is_slow && !worker.leaving && !std::mem::replace(&mut worker.overdue, true) {
                overdue.push(slot as WorkerId);
            }
        }
        overdue
    }

    /// The number of slow starters, and the longest starting time, if they are to be reported now.
    pub(crate) fn slow_starts(&mut self, now: Now) -> Option<(usize, Duration)> {
        let starting = self.workers.iter().flatten().filter_map(|worker| worker.starting);
        let times = starting.map(|since| now.saturating_sub(since));
        let slow: Vec<Duration> = times.filter(|time| *time >= REPORTED_AFTER).collect();
        let longest = *slow.iter().max()?;
        let last = self.reported.unwrap_or_default();
        if self.reported.is_some() && now.saturating_sub(last) < REPORTED_AFTER {
            return None;
        }
        self.reported = Some(now);
        Some((slow.len(), longest))
    }

    /// All workers were killed at once, through no fault of theirs.
    pub(crate) fn lose_all(&mut self) {
        self.note_peak();
        self.workers.fill(None);
    }

    /// A process could not be created. Returns whether that is the first time.
    pub(crate) fn spawn_failed(&mut self, worker: WorkerId, now: Now) -> bool {
        self.take(worker);
        self.spawned -= 1;
        self.back_off(now);
        !std::mem::replace(&mut self.has_failed, true)
    }

    /// Starting workers fails: the present number counts as the cap for a while.
    pub(crate) fn back_off(&mut self, now: Now) {
        let [first, last] = SPAWN_BACKOFF;
        let pause = self.spawn_backoff.map_or(first, |(_, pause)| (pause * 2).min(last));
        self.spawn_backoff = Some((now + pause, pause));
    }

    /// Until when no worker is started.
    pub(crate) fn backs_off_until(&self) -> Option<Now> {
        self.spawn_backoff.map(|(until, _)| until)
    }

    /// The workers that are alive.
    pub(crate) fn all(&self) -> Vec<WorkerId> {
        let alive = self.workers.iter().enumerate().filter(|(_, worker)| worker.is_some());
        alive.map(|(slot, _)| slot as WorkerId).collect()
    }

    pub(crate) fn alive(&self) -> usize {
        self.workers.iter().flatten().count()
    }

    /// The number of workers that are starting. A slow one counts: another would be as slow.
    fn starting(&self) -> u32 {
        let starting = self.workers.iter().flatten().filter(|worker| worker.starting.is_some());
        starting.count() as u32
    }
}
