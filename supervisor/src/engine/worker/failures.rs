//! Workers that are lost one by one, or cannot be started.

use msup_protocol::exit::{self, WorkerEnd};
use msup_protocol::packed::WorkerId;

use super::pool::Gone;
use crate::engine::task::outcome::Ruling;
use crate::engine::time::Now;
use crate::engine::{Effect, Engine};

impl Engine {
    pub(in crate::engine) fn on_worker_gone(
        &mut self,
        worker: WorkerId,
        ruling: Ruling,
        end: WorkerEnd,
        claimed: Vec<(u16, Ruling)>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Gone { starting, overdue, leaving } = self.pool.gone(worker);
        let is_stopped = |(_, ruling): &(u16, Ruling)| {
            matches!(ruling, Ruling::Stopped(_) | Ruling::Failed(_) | Ruling::Final(_))
        };
        // A task loop may exit by itself between two tasks, so that a new process goes on.
        let was_idle = !starting && claimed.is_empty();
        let retires = was_idle && end == WorkerEnd::Exited(exit::SUCCESS);
        if !leaving && !retires && !claimed.iter().any(is_stopped) {
            self.tally.lost_workers += 1;
        }
        for (slot, ruling) in claimed {
            let Some(record) = self.ledger.remove(slot) else { continue };
            self.tally.attempts += 1;
            self.on_failure(record, slot, ruling, None, now, effects);
        }
        if starting && !leaving {
            self.pool.back_off(now);
            let program = &self.limits.worker_program;
            let hopeless = match ruling {
                _ if overdue => self.startup.was_slow(program),
                Ruling::Crashed(_) => self.startup.exited(program, end),
                _ => {
                    let limit = self.limits.policy.outside_limit;
                    self.startup.was_killed(program, end, limit, now)
                }
            };
            if let Some(why) = hopeless {
                self.fail(why, effects);
            }
        } else if was_idle && !leaving && !retires && matches!(ruling, Ruling::Crashed(_)) {
            self.pool.back_off(now);
            if let Some(why) = self.startup.crashed_idle(&self.limits.worker_program, end) {
                self.fail(why, effects);
            }
        }
    }

    /// Kills workers that take longer to start than `--start-timeout`, if set, and reports slow
    /// ones.
    pub(in crate::engine) fn watch_starts(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if let Some(limit) = self.limits.policy.start_timeout {
            effects.extend(self.pool.overdue(limit, now).into_iter().map(Effect::Kill));
        }
        if let Some((n, longest)) = self.pool.slow_starts(now) {
            let (program, seconds) = (&self.limits.worker_program, longest.as_secs());
            let workers = if n == 1 { "1 worker" } else { &format!("{n} workers") };
            effects.push(Effect::Say(format!(
                "waiting for {workers} to start: {program} has run for {seconds} s and has not \
                 attached (--start-timeout limits this)"
            )));
        }
    }

    pub(in crate::engine) fn on_spawn_failed(
        &mut self,
        worker: WorkerId,
        why: &str,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let is_first = self.pool.spawn_failed(worker, now);
        if self.pool.alive() > 0 {
            // Fewer workers than wanted: that is a cap, not a failure of the run.
            if is_first {
                effects.push(Effect::Say(format!("cannot start more workers just now: {why}")));
            }
        } else if let Some(why) = self.startup.was_not_created(why) {
            self.fail(why, effects);
        }
    }
}
