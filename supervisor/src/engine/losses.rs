//! Workers that are lost: one by one, before they took up work, or all with the segment.

use std::time::Duration;

use msup_protocol::exit;
use msup_protocol::packed::WorkerId;

use super::stop::Stop;
use super::verdict::{Cause, Ruling};
use super::{Effect, Engine, Entry, Now, WorkerEnd};

/// So many workers in a row that end before they take up work end the run.
const STARTUP_LIMIT: u32 = 3;
/// So many that are killed from outside before they take up work do, over so long a time.
const KILLED_AT_STARTUP_LIMIT: u32 = 10;
const KILLED_AT_STARTUP_FOR: Duration = Duration::from_secs(10);

/// So many epochs that end before their time within so long end the run.
const EPOCHS_AT_MOST: usize = 5;
const EPOCHS_WITHIN: Duration = Duration::from_secs(60);

impl Engine {
    pub(super) fn on_worker_ended(
        &mut self,
        worker: WorkerId,
        ruling: Ruling,
        end: WorkerEnd,
        claimed: Vec<(u16, Ruling)>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let (starting, leaving) = self.pool.gone(worker);
        let is_stopped =
            |(_, ruling): &(u16, Ruling)| matches!(ruling, Ruling::Stopped(_) | Ruling::Failed(_));
        if !leaving && !claimed.iter().any(is_stopped) {
            self.tally.lost_workers += 1;
        }
        for (slot, ruling) in claimed {
            let Some(record) = self.ledger.remove(slot) else { continue };
            self.tally.attempts += 1;
            self.on_failure(record, slot, ruling, None, now, effects);
        }
        if starting && !leaving {
            self.pool.back_off(now);
            match ruling {
                Ruling::Crashed(_) => self.on_startup_failure(end, effects),
                // That says nothing of the program, unless it goes on and on.
                _ => self.on_killed_at_startup(end, now, effects),
            }
        }
    }

    pub(super) fn on_killed_at_startup(
        &mut self,
        end: WorkerEnd,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let (before, first) = self.killed_at_startup.unwrap_or((0, now));
        let n = before + 1;
        self.killed_at_startup = Some((n, first));
        if n >= KILLED_AT_STARTUP_LIMIT && now.saturating_sub(first) >= KILLED_AT_STARTUP_FOR {
            let program = &self.worker_program;
            let why = "something on this machine ends it before it takes up work";
            self.fail(format!("{program}: {why} ({n} times, last by {end})"), effects);
        }
    }

    pub(super) fn on_startup_failure(&mut self, end: WorkerEnd, effects: &mut Vec<Effect>) {
        self.startup_failures += 1;
        let program = &self.worker_program;
        if end == WorkerEnd::Exited(exit::WORKER_MISMATCH) {
            let why = "is of another version than this msup: install both from the same release";
            self.fail(format!("{program} {why}"), effects);
        } else if self.startup_failures >= STARTUP_LIMIT {
            let n = self.startup_failures;
            let why = format!("{program} ended {n} times before it took up work ({end})");
            self.fail(why, effects);
        }
    }

    pub(super) fn on_spawn_failed(
        &mut self,
        worker: WorkerId,
        why: String,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        self.pool.spawn_failed(worker, now);
        if self.pool.alive() > 0 {
            // Fewer workers than wanted: that is a cap, not an end.
            return;
        }
        self.startup_failures += 1;
        if self.startup_failures >= STARTUP_LIMIT {
            self.fail(format!("cannot start a worker: {why}"), effects);
        }
    }

    pub(super) fn on_epoch_ended(
        &mut self,
        why: &str,
        failed: Option<String>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        self.tally.epochs += 1;
        if let Some(starts) = &mut self.starts {
            starts.renew();
        }
        self.pool.lose_all();
        // Nobody knows which of them were under way: it counts against none.
        let slots: Vec<u16> = self.ledger.occupied().collect();
        for slot in slots.into_iter().rev() {
            let Some(mut record) = self.ledger.remove(slot) else { continue };
            let (seq, value, attempt) = (record.seq, record.value.clone(), record.attempt);
            let cause = Cause::Trouble("the shared memory was replaced".into());
            effects.push(Effect::Record(Entry::Again { seq, value, attempt, cause }));
            (record.attempt, record.again) = (record.attempt + 1, true);
            self.ledger.put_back(record);
        }
        if self.stop != Stop::No {
            self.tally.cancelled += self.ledger.drop_pending();
        }
        self.epochs.retain(|then| now.saturating_sub(*then) < EPOCHS_WITHIN);
        self.epochs.push(now);
        let what = format!("somebody has written over the shared memory ({why})");
        match failed {
            Some(failed) => self.fail(format!("{what}, and there is no other: {failed}"), effects),
            None if self.epochs.len() > EPOCHS_AT_MOST => {
                self.fail(format!("{what} again and again"), effects);
            }
            None => effects.push(Effect::Say(format!("{what}: all workers start afresh"))),
        }
    }
}
