//! Watches attempts: those that exceed their time limit, those whose command left processes
//! running, those that are stopped.

use std::time::{Duration, Instant};

use msup_protocol::layout::Shared;
use msup_protocol::packed::WorkerId;

use super::{LOOK_AT_LEAST, Run, STOOD_STILL};
use crate::engine::{Killed, Leave};
use crate::tasks::stopping::Place;
use crate::workers::processes::Crew;

impl Run {
    /// Time since the run began, without the time in which everything stood still.
    pub(super) fn active(&self) -> Duration {
        self.began.elapsed().saturating_sub(self.stood_still)
    }

    /// Leaves out time in which this process could do nothing, although it had asked to be woken:
    /// it was stopped, or frozen with its container. Tasks could do nothing either, or only what
    /// was already running.
    pub(super) fn note_standstill(&mut self) {
        let now = Instant::now();
        let took = now - std::mem::replace(&mut self.last_turn, now);
        if took >= LOOK_AT_LEAST + STOOD_STILL {
            self.leave_out(took - LOOK_AT_LEAST);
        }
    }

    /// The run stood still for `pause`: no clock of a task counts that.
    pub(super) fn leave_out(&mut self, pause: Duration) {
        self.stood_still += pause;
        self.segment.shared().header.add_pause(pause);
        if let Some(meter) = &mut self.meter {
            meter.paused(pause);
        }
    }

    /// Stops attempts that exceed their time limit or left processes running for too long, and
    /// continues to stop those being stopped.
    pub(super) fn watch_attempts(&mut self) {
        let (now, segment) = (self.active(), std::sync::Arc::clone(&self.segment));
        let shared = segment.shared();
        let crew = &self.crew;
        let at = |worker| place_of(&shared, crew, worker);
        let stopped = self.stopped.look(&self.attempts, at, now);
        if self.attempts.look_if_due(shared.tasks, now) {
            let limit = self.timeout.into_iter();
            for (worker, attempt) in limit.flat_map(|limit| self.attempts.older_than(limit, now)) {
                self.stopping.stop(worker, attempt, Killed::TimedOut, now);
            }
            self.watch_leftovers(now);
        }
        for (slot, pid) in stopped {
            self.tell_stopped(slot, pid);
        }
        let crew = &self.crew;
        for worker in self.stopping.go_on(now, |worker| place_of(&shared, crew, worker)) {
            self.crew.kill(worker);
        }
    }

    fn tell_stopped(&self, slot: u16, pid: i32) {
        let Some(task) = self.engine.task(slot) else { return };
        let seq = task.seq;
        self.say(&format!(
            "task {seq} is stopped (process {pid}): it goes on with kill -CONT {pid}"
        ));
    }

    fn watch_leftovers(&mut self, now: Duration) {
        let segment = std::sync::Arc::clone(&self.segment);
        let line = segment.shared().line;
        let waits = |worker: &WorkerId| line.slot(*worker).is_some_and(|slot| slot.left() > 0);
        let waiting = (0..self.segment.sizes().workers as WorkerId).filter(waits);
        for (worker, attempt) in self.leftovers.look(waiting, &self.attempts, now) {
            let why = match self.leave {
                Leave::Kill => Killed::Leftovers,
                _ => Killed::LeftRunning(String::new()),
            };
            self.stopping.stop(worker, attempt, why, now);
        }
        // When the run is stopped they have only the grace.
        if !self.engine.is_stopped()
            && let Some((slots, longest)) = self.leftovers.report(now)
        {
            let first = slots.first().and_then(|slot| self.engine.task(*slot));
            let first = first.map_or(0, |task| task.seq);
            let others = match slots.len() - 1 {
                0 => String::new(),
                more => format!(" and {more} others"),
            };
            let seconds = longest.as_secs_f64();
            self.say(&format!(
                "task {first}{others} left processes running: waiting for them, at most {seconds:.0} s more \
                 (--leave-timeout)"
            ));
        }
    }

    /// Stops the attempts of these workers, and lets the workers exit.
    pub(super) fn stop_workers(&mut self, workers: &[WorkerId]) {
        let now = self.active();
        self.attempts.look(self.segment.shared().tasks, now);
        for worker in workers {
            match self.attempts.of(*worker) {
                Some(attempt) => self.stopping.stop(*worker, attempt, Killed::Stopped, now),
                None => self.crew.dismiss(*worker, true),
            }
        }
    }
}

/// The processes of a worker and its command, as the segment says.
fn place_of(shared: &Shared<'_>, crew: &Crew, worker: WorkerId) -> Option<Place> {
    let command = shared.line.slot(worker)?.command().cast_signed();
    Some(Place { worker: crew.pid(worker)?, command })
}
