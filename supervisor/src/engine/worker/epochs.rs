//! Segments that are overwritten: all workers are lost at once, and which task did it is unknown.

use std::time::Duration;

use crate::engine::task::outcome::{Cause, Ruling};
use crate::engine::time::Now;
use crate::engine::{Effect, Engine, Entry, Kind, TaskRecord};

/// Tasks that were under way when this number of epochs in a row were cut short are suspects.
const EPOCHS_OF_SUSPECTS: u32 = 2;
/// A suspect that was alone this often when an epoch was cut short is quarantined; `--crash-limit`
/// may ask for more. An outside process that overwrites the segment must not condemn a healthy
/// task.
const STRIKES: u32 = 5;

/// More epochs than this cut short within this time abort the run.
const EPOCHS_AT_MOST: usize = 5;
const EPOCHS_WITHIN: Duration = Duration::from_secs(60);

/// The epochs that were cut short lately.
#[derive(Debug, Default)]
pub(in crate::engine) struct Epochs {
    /// When each was, if no task is known to be the cause.
    unexplained: Vec<Now>,
}

impl Epochs {
    /// One more epoch was cut short. `is_explained`: a suspect was alone. Returns whether this
    /// happens too often.
    fn are_too_many(&mut self, is_explained: bool, now: Now) -> bool {
        self.unexplained.retain(|then| now.saturating_sub(*then) < EPOCHS_WITHIN);
        if !is_explained {
            self.unexplained.push(now);
        }
        self.unexplained.len() > EPOCHS_AT_MOST
    }
}

impl Engine {
    pub(in crate::engine) fn on_epoch_ended(
        &mut self,
        why: &str,
        failed: Option<String>,
        unstarted: &[u16],
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        self.tally.epochs += 1;
        self.control.renew();
        self.pool.lose_all();
        self.startup.begin_again();
        let was_alone = self.blame(unstarted, now, effects);
        if self.is_stopped() {
            self.tally.cancelled += self.ledger.drop_pending();
        }
        let too_many = self.epochs.are_too_many(was_alone, now);
        let what = format!("the shared memory was overwritten ({why})");
        match failed {
            Some(failed) => self.fail(format!("{what}, and there is no other: {failed}"), effects),
            None if too_many => self.fail(format!("{what} again and again"), effects),
            None => effects.push(Effect::Say(format!("{what}: all workers start afresh"))),
        }
    }

    /// The segment was overwritten, and which of the tasks under way did it, if any, is unknown.
    /// The first time counts against none. Tasks that are under way again the next time
    /// are suspects. A suspect that was alone then counts as the cause, but an outside process may do
    /// it repeatedly. Returns whether a suspect was alone.
    fn blame(&mut self, unstarted: &[u16], now: Now, effects: &mut Vec<Effect>) -> bool {
        let slots = self.ledger.in_order();
        let is_suspect = |slot: &u16| self.ledger.at(*slot).is_some_and(|record| record.suspect);
        let was_alone = slots.iter().any(is_suspect);
        let limit = self.limits.policy.crash_limit.max(STRIKES);
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
                Entry::Again { seq, value, attempt, cause, kind, slot }
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
        // It has used up the crashes that it may have.
        record.crashes = self.limits.policy.crash_limit;
        self.on_failure(record, slot, Ruling::Crashed(cause), None, now, effects);
    }
}
