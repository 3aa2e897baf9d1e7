//! What follows when an attempt finishes: its task finishes too, is parked, or is retried; the
//! tasks that it has added begin.

use std::time::Duration;

use msup_protocol::codec::{self, OutcomeFrame, Stream, Verdict};

use super::counts::Failure;
use super::outcome::{Cause, Ruling, SIGTERM, has_succeeded, judge};
use super::retry::{Fate, decide};
use super::xargs;
use crate::engine::time::Now;
use crate::engine::{Effect, Emitted, Engine, Entry, Killed, TaskRecord};

impl Engine {
    pub(in crate::engine) fn on_collected(
        &mut self,
        slot: u16,
        outcome: Box<OutcomeFrame>,
        (starved, killed): (bool, Option<Killed>),
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Some(record) = self.ledger.remove(slot) else { return };
        self.tally.attempts += 1;
        self.startup.has_worked();
        self.tally.leaked += u64::from(outcome.leaked);
        let wall = Duration::from_nanos(outcome.wall_ns);
        self.tally.busy = self.tally.busy.saturating_add(wall);
        self.control.finished(outcome.usage.peak);
        self.pace.finished(has_succeeded(&outcome.verdict), now);
        match self.judge(&outcome, starved, killed) {
            Ruling::Succeeded => {
                self.tally.note_success(wall, &record.value);
                self.finish_task(record, slot, None, Some(outcome), effects);
                self.time_limit.note(wall);
                self.limit_time(effects);
                self.halt_if_due(0, effects);
            }
            Ruling::Parked(after) => self.park(record, slot, after, outcome, now, effects),
            ruling => self.on_failure(record, slot, ruling, Some(outcome), now, effects),
        }
    }

    /// Judges an outcome; what it has emitted may not be taken in.
    fn judge(&self, outcome: &OutcomeFrame, starved: bool, killed: Option<Killed>) -> Ruling {
        let plain = self.limits.policy.plain_signals;
        let killed = killed.or_else(|| self.is_stopped_too(outcome).then_some(Killed::Stopped));
        let ruling = judge(outcome.verdict.clone(), starved, killed);
        let emits = outcome.emitted != Stream::nothing();
        match ruling {
            Ruling::Succeeded if emits && self.limits.has_client => {
                let why = "tasks of msup serve cannot add tasks: the client submits all of them";
                Ruling::Failed(Cause::Trouble(why.into()))
            }
            Ruling::Crashed(Cause::Signal(signal)) if plain.crashes => {
                Ruling::Failed(Cause::Signal(signal))
            }
            Ruling::Outside(Cause::Signal(signal)) if plain.kills => {
                Ruling::Failed(Cause::Signal(signal))
            }
            ruling => ruling,
        }
    }

    /// Whether a signal that stops the run has killed a command, too: schedulers send it to all
    /// processes of a job. The task has not failed.
    fn is_stopped_too(&self, outcome: &OutcomeFrame) -> bool {
        let stops = |signal| signal == SIGTERM || self.stopped_by() == Some(signal);
        self.is_stopped() && matches!(outcome.verdict, Verdict::Signaled(signal) if stops(signal))
    }

    /// The task waits without a worker. What the attempt has written does not count.
    fn park(
        &mut self,
        mut record: TaskRecord,
        slot: u16,
        after: Duration,
        outcome: Box<OutcomeFrame>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        // The adapters have read it, wherever the worker left it.
        let Stream::Here(state) = outcome.result else {
            let lost = Ruling::Outside(Cause::Trouble("its state is lost".into()));
            self.on_failure(record, slot, lost, None, now, effects);
            return;
        };
        let (seq, value, attempt) = (record.seq, record.value.clone(), record.attempt);
        let state = state.into_vec();
        record.state = Some(state.clone().into_boxed_slice());
        effects.push(Effect::Record(Entry::Parked { seq, value, attempt, after, state, slot }));
        effects.push(Effect::Discard { slot });
        if self.is_stopped() {
            self.tally.cancelled += 1;
        } else {
            record.attempt += 1;
            record.again = true;
            self.ledger.put_back_later(record, now + after);
        }
    }

    pub(in crate::engine) fn on_failure(
        &mut self,
        mut record: TaskRecord,
        slot: u16,
        ruling: Ruling,
        outcome: Option<Box<OutcomeFrame>>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        record.count(&ruling);
        if let Ruling::Starved(_) = ruling {
            self.tally.starved += 1;
            if self.control.out_of_memory(record.starved, now) {
                self.hold_back(effects);
            }
        }
        let fate = decide(&record, &ruling, &self.limits.policy, self.is_stopped());
        match fate {
            Fate::Retried => {
                self.tally.again = self.tally.again.and(&ruling);
                let waits = matches!(ruling, Ruling::Failed(_));
                let delay =
                    if waits { self.backoff.delay(record.failures) } else { Duration::ZERO };
                note_again(&record, slot, ruling, effects);
                effects.push(Effect::Discard { slot });
                self.retry(record, delay, now);
            }
            Fate::Postponed => {
                self.tally.cancelled += 1;
                note_again(&record, slot, ruling, effects);
                let seq = record.seq;
                effects.push(Effect::Deliver { seq, slot, outcome, end: None });
            }
            Fate::Failed | Fate::Quarantined => {
                let Some((cause, _)) = ruling.failure() else { return };
                let quarantined = fate == Fate::Quarantined;
                let TaskRecord { seq, attempt: attempts, .. } = record;
                let (value, kept) = (record.value.clone(), cause.clone());
                let failure = Failure { seq, value, cause: kept, attempts, quarantined };
                self.tally.note_failure(failure);
                let status = cause.exit_status();
                let stops_with = xargs::stops_with(&cause).filter(|_| self.limits.policy.is_xargs);
                self.finish_task(record, slot, Some((cause, quarantined)), outcome, effects);
                if let Some(status) = stops_with {
                    self.drain(status, effects);
                }
                self.halt_if_due(status, effects);
            }
        }
    }

    /// A task has finished: its output is shown, and it is journaled whether it failed.
    fn finish_task(
        &mut self,
        record: TaskRecord,
        slot: u16,
        failure: Option<(Cause, bool)>,
        outcome: Option<Box<OutcomeFrame>>,
        effects: &mut Vec<Effect>,
    ) {
        let [wall, cpu] = outcome
            .as_ref()
            .map_or([0; 2], |outcome| [outcome.wall_ns, outcome.usage.cpu_ns])
            .map(Duration::from_nanos);
        let TaskRecord { seq, value, attempt, has_emitted, .. } = record;
        let emitted = match (&failure, &outcome) {
            (None, Some(outcome)) if !has_emitted => self.take_emitted(seq, outcome),
            _ => None,
        };
        self.close_gap(effects);
        self.tally.note_finished(seq);
        let slot_left = Some(slot);
        let end =
            Some(Entry::End { seq, value, attempt, failure, wall, cpu, emitted, slot: slot_left });
        effects.push(Effect::Deliver { seq, slot, outcome, end });
    }

    /// Takes in the tasks that a task has emitted. They run when its end is journaled, so that none
    /// of them is in the journal without the task that has emitted it.
    fn take_emitted(&mut self, parent: u64, outcome: &OutcomeFrame) -> Option<Emitted> {
        let Stream::Here(bytes) = &outcome.emitted else { return None };
        let values = codec::values(bytes).filter(|values| !values.is_empty())?;
        let first = self.ledger.hold(parent, &values);
        if self.is_stopped() {
            // A resume finds them in the journal.
            self.tally.cancelled += self.ledger.drop_pending();
        }
        Some(Emitted { first, values })
    }

    /// What a task has emitted is not run: a resume runs that task again, and then what it emits.
    pub(in crate::engine) fn cancel_emitted(&mut self, parent: u64, effects: &mut Vec<Effect>) {
        let Some((seq, last)) = self.ledger.drop_held(parent) else { return };
        self.tally.cancelled += last - seq + 1;
        effects.push(Effect::Skip { seq, last });
    }

    fn retry(&mut self, mut record: TaskRecord, delay: Duration, now: Now) {
        record.attempt += 1;
        record.again = true;
        if delay.is_zero() {
            self.ledger.put_back(record);
        } else {
            self.ledger.put_back_later(record, now + delay);
        }
    }

    /// A task that has failed is to run again, with as many retries as a new one.
    pub(in crate::engine) fn on_retry_asked(&mut self, failed: Failure, effects: &mut Vec<Effect>) {
        let seq = failed.seq;
        let is_taken = !self.is_stopped() && !self.is_closing();
        if is_taken {
            self.ledger.run_again(seq, failed.value.clone(), failed.attempts);
            self.tally.take_back(failed);
        }
        effects.push(Effect::AnswerRetry { seq, is_taken });
    }

    /// Announces the time limit for attempts when it has changed.
    pub(in crate::engine) fn limit_time(&mut self, effects: &mut Vec<Effect>) {
        effects.extend(self.time_limit.announce().map(Effect::SetTimeout));
    }

    pub(in crate::engine) fn on_cannot_publish(
        &mut self,
        slot: u16,
        why: String,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(record) = self.ledger.remove(slot) {
            self.on_failure(record, slot, Ruling::Failed(Cause::Trouble(why)), None, now, effects);
        }
    }
}

/// Journals that an attempt has finished and another one follows, in this generation or a later
/// one.
fn note_again(record: &TaskRecord, slot: u16, ruling: Ruling, effects: &mut Vec<Effect>) {
    let Some((cause, kind)) = ruling.failure() else { return };
    let (seq, value, attempt) = (record.seq, record.value.clone(), record.attempt);
    effects.push(Effect::Record(Entry::Again { seq, value, attempt, cause, kind, slot }));
}
