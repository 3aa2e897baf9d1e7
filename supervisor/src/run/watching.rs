//! Watches attempts: those that exceed their time limit, those whose command left processes
//! running, those that are stopped.

use std::time::Duration;

use msup_protocol::layout::Shared;
use msup_protocol::packed::WorkerId;

use super::Run;
use crate::engine::{Event, Killed, Leave, Step};
use crate::tasks::attempts::{Attempts, Sight};
use crate::tasks::leftovers::Leftovers;
use crate::tasks::stopped::Stopped;
use crate::tasks::stopping::{Place, Stopping};
use crate::workers::processes::Crew;

/// The attempts under way, and those among them that are being stopped.
pub(super) struct Watch {
    pub(super) attempts: Attempts,
    pub(super) stopping: Stopping,
    leftovers: Leftovers,
    stopped: Stopped,
    /// The time limit of attempts.
    pub(super) limit: Option<Duration>,
    /// What becomes of processes that tasks leave running.
    pub(super) leave: Leave,
}

impl Watch {
    /// `spares_workers`: the worker of a stopped attempt goes on with another task.
    pub(super) fn new(
        max_workers: u16,
        steps: Vec<Step>,
        leave: Leave,
        spares_workers: bool,
    ) -> Watch {
        Watch {
            attempts: Attempts::new(max_workers),
            stopping: Stopping::new(steps, spares_workers),
            leftovers: Leftovers::new(leave),
            stopped: Stopped::default(),
            limit: None,
            leave,
        }
    }

    /// For how long a worker has had this attempt, at the time `now` of the clock that leaves
    /// pauses out.
    pub(super) fn age_of(&self, worker: WorkerId, attempt: Sight, now: Duration) -> Duration {
        self.attempts.age_of(worker, attempt, now)
    }

    /// Under `Wait`, processes that tasks leave running are reported when the run is over.
    pub(super) fn note_leaks(&self, events: &mut [Event]) {
        if !matches!(self.leave, Leave::Wait(_)) {
            return;
        }
        for event in events {
            if let Event::Collected { outcome, .. } = event {
                outcome.leaked = false;
            }
        }
    }

    /// All workers are gone.
    pub(super) fn forget(&mut self) {
        self.attempts.forget();
        self.stopping.forget();
    }
}

impl Run {
    /// Leaves out time in which this process could do nothing. Tasks could do nothing either, or
    /// only what was already running.
    pub(super) fn note_standstill(&mut self) {
        if let Some(pause) = self.clock.turn() {
            self.leave_out(pause);
        }
    }

    /// The run stood still for `pause`: no clock of a task counts that.
    pub(super) fn leave_out(&mut self, pause: Duration) {
        self.clock.leave_out(pause);
        self.segments.shared().header.add_pause(pause);
        self.usage.paused(pause);
    }

    /// Stops attempts that exceed their time limit or left processes running for too long, and
    /// continues to stop those being stopped.
    pub(super) fn watch_attempts(&mut self) {
        let now = self.clock.active();
        let shared = self.segments.shared();
        let (watch, crew) = (&mut self.watch, &self.crew);
        let at = |worker| place_of(&shared, crew, worker);
        let stopped = watch.stopped.look(&watch.attempts, at, now);
        if watch.attempts.look_if_due(shared.tasks, now) {
            for (worker, attempt, limit) in self.over_time(now) {
                self.watch.stopping.stop(worker, attempt, Killed::TimedOut(limit), now);
            }
            self.watch_leftovers(now);
        }
        for (slot, pid) in stopped {
            self.tell_stopped(slot, pid);
        }
        let (shared, crew) = (self.segments.shared(), &self.crew);
        let at = |worker| place_of(&shared, crew, worker);
        let is_current = |at: Sight| shared.tasks.sighted(at.slot) == Some(at.seen);
        for worker in self.watch.stopping.go_on(now, at, is_current) {
            crew.kill(worker);
        }
    }

    /// Attempts that exceed their time limits: that of their stage, else that of the run.
    fn over_time(&self, now: Duration) -> Vec<(WorkerId, Sight, Duration)> {
        let of_run = self.watch.limit;
        let shortest = self.queue.shortest_time_limit().into_iter().chain(of_run).min();
        let Some(shortest) = shortest else { return Vec::new() };
        let with_limit = |(worker, attempt): (WorkerId, Sight)| {
            let task = self.engine.task(attempt.slot);
            let limit = task.and_then(|task| self.queue.time_limit_of(task.seq)).or(of_run)?;
            let age = self.watch.attempts.age_of(worker, attempt, now);
            (age >= limit).then_some((worker, attempt, limit))
        };
        self.watch.attempts.older_than(shortest, now).into_iter().filter_map(with_limit).collect()
    }

    fn tell_stopped(&self, slot: u16, pid: i32) {
        let Some(task) = self.engine.task(slot) else { return };
        let seq = task.seq;
        self.shown.say(&format!(
            "task {seq} is stopped (process {pid}): it goes on with kill -CONT {pid}"
        ));
    }

    fn watch_leftovers(&mut self, now: Duration) {
        let segment = self.segments.current();
        let line = segment.shared().line;
        let waits = |worker: &WorkerId| line.slot(*worker).is_some_and(|slot| slot.left() > 0);
        let waiting = (0..segment.sizes().workers as WorkerId).filter(waits);
        let watch = &mut self.watch;
        for (worker, attempt) in watch.leftovers.look(waiting, &watch.attempts, now) {
            let why = match watch.leave {
                Leave::Kill => Killed::Leftovers,
                _ => Killed::LeftRunning(String::new()),
            };
            watch.stopping.stop(worker, attempt, why, now);
        }
        // When the run is stopped they have only the grace.
        if !self.engine.is_stopped()
            && let Some((slots, longest)) = watch.leftovers.report(now)
        {
            let first = slots.first().and_then(|slot| self.engine.task(*slot));
            let first = first.map_or(0, |task| task.seq);
            let others = match slots.len() - 1 {
                0 => String::new(),
                more => format!(" and {more} others"),
            };
            let seconds = longest.as_secs_f64();
            self.shown.say(&format!(
                "task {first}{others} left processes running: waiting for them, at most \
                 {seconds:.0} s more (--leave-timeout)"
            ));
        }
    }

    /// Stops the attempts of these workers, and lets the workers exit.
    pub(super) fn stop_workers(&mut self, workers: &[WorkerId]) {
        let now = self.clock.active();
        let watch = &mut self.watch;
        watch.attempts.look(self.segments.shared().tasks, now);
        for worker in workers {
            match watch.attempts.of(*worker) {
                Some(attempt) => watch.stopping.stop(*worker, attempt, Killed::Stopped, now),
                None => self.crew.dismiss(*worker, true),
            }
        }
    }
}

/// The processes of a worker and its command, as the segment says.
pub(super) fn place_of(shared: &Shared<'_>, crew: &Crew, worker: WorkerId) -> Option<Place> {
    let command = shared.line.slot(worker)?.command().cast_signed();
    Some(Place { worker: crew.pid(worker)?, command })
}
