//! Workers that are lost: one by one, before they took up work, or all with the segment.

use std::time::Duration;

use msup_protocol::exit::{self, WorkerEnd};
use msup_protocol::packed::WorkerId;

use super::pool::Gone;
use crate::engine::shutdown::Stop;
use crate::engine::task::outcome::{Cause, Ruling};
use crate::engine::time::Now;
use crate::engine::{Effect, Engine, Entry, Kind, TaskRecord};

/// This number of workers in a row that exit before they take up work aborts the run.
const STARTUP_LIMIT: u32 = 3;
/// So does this number of workers killed from outside before they take up work, over this time.
const KILLED_AT_STARTUP_LIMIT: u32 = 10;
const KILLED_AT_STARTUP_FOR: Duration = Duration::from_secs(10);

/// Tasks that were under way when this number of epochs in a row were cut short are suspects.
const EPOCHS_OF_SUSPECTS: u32 = 2;
/// A suspect that was alone this often when an epoch was cut short is quarantined; `--crash-limit`
/// may ask for more. An outside process that overwrites the segment must not condemn a healthy
/// task.
const STRIKES: u32 = 5;

/// This number of epochs cut short within this time aborts the run.
const EPOCHS_AT_MOST: usize = 5;
const EPOCHS_WITHIN: Duration = Duration::from_secs(60);

impl Engine {
    pub(in crate::engine) fn on_worker_ended(
        &mut self,
        worker: WorkerId,
        ruling: Ruling,
        end: WorkerEnd,
        claimed: Vec<(u16, Ruling)>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Gone { starting, overdue, leaving } = self.pool.gone(worker);
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
                _ if overdue => self.on_slow_start(effects),
                Ruling::Crashed(_) => self.on_startup_failure(end, effects),
                // That says nothing of the program, unless it keeps happening.
                _ => self.on_killed_at_startup(end, now, effects),
            }
        }
    }

    pub(in crate::engine) fn on_killed_at_startup(
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
            let why = "something on this machine kills it before it takes a task";
            self.fail(format!("{program}: {why} ({n} times, last by {end})"), effects);
        }
    }

    /// Kills workers that take longer to start than `--start-timeout`, if set, and reports slow
    /// ones.
    pub(in crate::engine) fn watch_starts(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if let Some(limit) = self.policy.start_timeout {
            effects.extend(self.pool.overdue(limit, now).into_iter().map(Effect::Kill));
        }
        if let Some((n, longest)) = self.pool.slow_starts(now) {
            let (program, seconds) = (&self.worker_program, longest.as_secs());
            let workers = if n == 1 { "1 worker" } else { &format!("{n} workers") };
            effects.push(Effect::Say(format!(
                "waiting for {workers} to start: {program} has run for {seconds} s and has not \
                 attached (--start-timeout limits this)"
            )));
        }
    }

    fn on_slow_start(&mut self, effects: &mut Vec<Effect>) {
        self.startup_failures += 1;
        if self.startup_failures >= STARTUP_LIMIT {
            let (program, n) = (&self.worker_program, self.startup_failures);
            let why = "a worker did not attach within --start-timeout";
            self.fail(format!("{program}: {why} ({n} times in a row)"), effects);
        }
    }

    pub(in crate::engine) fn on_startup_failure(
        &mut self,
        end: WorkerEnd,
        effects: &mut Vec<Effect>,
    ) {
        self.startup_failures += 1;
        let program = &self.worker_program;
        // Once a worker has attached, the version was right. Then either the segment was
        // overwritten, which the next look detects, or the program was replaced, and the next
        // workers cannot attach either.
        let is_believed = !self.has_attached || self.startup_failures >= STARTUP_LIMIT;
        if end == WorkerEnd::Exited(exit::WORKER_MISMATCH) && is_believed {
            let why = "is of another version than this msup: install both from the same release";
            self.fail(format!("{program} {why}"), effects);
        } else if self.startup_failures >= STARTUP_LIMIT {
            let n = self.startup_failures;
            let is_own = program.ends_with("msup-worker");
            let hint = if is_own { "" } else { ": is it built with msup-worker?" };
            let why = format!("{program} exited {n} times before it took a task ({end}){hint}");
            self.fail(why, effects);
        }
    }

    pub(in crate::engine) fn on_spawn_failed(
        &mut self,
        worker: WorkerId,
        why: String,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let is_first = self.pool.spawn_failed(worker, now);
        if self.pool.alive() > 0 {
            // Fewer workers than wanted: that is a cap, not a failure of the run.
            if is_first {
                effects.push(Effect::Say(format!("cannot start more workers just now: {why}")));
            }
            return;
        }
        self.startup_failures += 1;
        if self.startup_failures >= STARTUP_LIMIT {
            self.fail(format!("cannot start a worker: {why}"), effects);
        }
    }

    /// The segment was overwritten, and which of the tasks under way did it, if any, is unknown.
    /// The first time counts against none. Those that are under way again the next time are
    /// suspects. A suspect that was alone then counts as the cause, but an outside process may do
    /// it repeatedly. Returns whether a suspect was alone.
    fn blame(&mut self, unstarted: &[u16], now: Now, effects: &mut Vec<Effect>) -> bool {
        let slots: Vec<u16> = self.ledger.occupied().collect();
        let is_suspect = |slot: &u16| self.ledger.at(*slot).is_some_and(|record| record.suspect);
        let was_alone = slots.iter().any(is_suspect);
        let limit = self.policy.crash_limit.max(STRIKES);
        for slot in slots.into_iter().rev() {
            let Some(mut record) = self.ledger.remove(slot) else { continue };
            record.epochs += 1;
            record.strikes += u32::from(was_alone);
            record.suspect |= record.epochs >= EPOCHS_OF_SUSPECTS;
            if record.strikes >= limit {
                let why = format!(
                    "the shared memory was overwritten each of the {limit} times it ran alone"
                );
                self.quarantine(record, slot, Cause::Trouble(why), now, effects);
                continue;
            }
            let (seq, value, attempt) = (record.seq, record.value.clone(), record.attempt);
            let (cause, kind) =
                (Cause::Trouble("the shared memory was replaced".into()), Kind::Lost);
            // Only a well-behaved worker announces what it takes up: that decides the attempt's
            // number, not the blame.
            effects.push(Effect::Record(if unstarted.contains(&slot) {
                Entry::Withdrawn { seq, value, attempt }
            } else {
                record.attempt += 1;
                Entry::Again { seq, value, attempt, cause, kind }
            }));
            record.again = true;
            self.ledger.put_back(record);
        }
        was_alone
    }

    /// Quarantines a task that brings the whole run down.
    fn quarantine(
        &mut self,
        mut record: TaskRecord,
        slot: u16,
        cause: Cause,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        self.tally.attempts += 1;
        // It has no crash left.
        record.crashes = self.policy.crash_limit;
        self.on_failure(record, slot, Ruling::Crashed(cause), None, now, effects);
    }

    pub(in crate::engine) fn on_epoch_ended(
        &mut self,
        why: &str,
        failed: Option<String>,
        unstarted: &[u16],
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        self.tally.epochs += 1;
        if let Some(starts) = &mut self.starts {
            starts.renew();
        }
        self.pool.lose_all();
        (self.startup_failures, self.killed_at_startup) = (0, None);
        let was_alone = self.blame(unstarted, now, effects);
        if self.stop != Stop::No {
            self.tally.cancelled += self.ledger.drop_pending();
        }
        self.epochs.retain(|then| now.saturating_sub(*then) < EPOCHS_WITHIN);
        if !was_alone {
            self.epochs.push(now);
        }
        let what = format!("the shared memory was overwritten ({why})");
        match failed {
            Some(failed) => self.fail(format!("{what}, and there is no other: {failed}"), effects),
            None if self.epochs.len() > EPOCHS_AT_MOST => {
                self.fail(format!("{what} again and again"), effects);
            }
            None => effects.push(Effect::Say(format!("{what}: all workers start afresh"))),
        }
    }
}
