//! What follows when an attempt finishes: its task finishes too, or is retried.

use std::time::Duration;

use msup_protocol::codec::OutcomeFrame;

use super::counts::Failure;
use super::outcome::{Cause, Ruling, judge};
use crate::engine::time::Now;
use crate::engine::{Effect, Engine, Entry, Killed, Policy, TaskRecord};

/// A task whose attempts are killed from outside this often has failed.
const OUTSIDE_LIMIT: u32 = 10;
/// A task that is killed this often for lack of memory has failed.
const STARVED_LIMIT: u32 = 4;

/// What happens to a task whose attempt did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is retried.
    Retried,
    /// It is retried if the run is resumed: this run stops.
    Postponed,
    /// It has failed.
    Failed,
    /// It has failed, and is quarantined.
    Quarantined,
}

/// Decides what happens to a task. Its record already counts the attempt with this ruling.
fn decide(record: &TaskRecord, ruling: &Ruling, policy: &Policy, is_stopped: bool) -> Fate {
    let is_retried = match ruling {
        Ruling::Succeeded => false,
        Ruling::Failed(_) => record.failures < policy.tries,
        Ruling::Crashed(_) => record.crashes < policy.crash_limit,
        Ruling::Outside(_) => record.outside < OUTSIDE_LIMIT,
        Ruling::Starved(_) => record.starved < STARVED_LIMIT,
        Ruling::Stopped(_) => true,
    };
    match ruling {
        _ if is_retried && is_stopped => Fate::Postponed,
        _ if is_retried => Fate::Retried,
        Ruling::Crashed(_) => Fate::Quarantined,
        _ => Fate::Failed,
    }
}

impl Engine {
    pub(in crate::engine) fn on_collected(
        &mut self,
        slot: u16,
        outcome: OutcomeFrame,
        (starved, killed): (bool, Option<Killed>),
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Some(record) = self.ledger.remove(slot) else { return };
        self.tally.attempts += 1;
        self.tally.leaked += u64::from(outcome.leaked);
        let wall = Duration::from_nanos(outcome.wall_ns);
        self.tally.busy = self.tally.busy.saturating_add(wall);
        self.control.finished(outcome.usage.peak);
        match judge(outcome.verdict.clone(), starved, killed) {
            Ruling::Succeeded => {
                self.tally.note_success(wall, &record.value);
                self.finish_task(record, slot, None, Some(outcome), effects);
                self.time_limit.note(wall);
                self.limit_time(effects);
                self.halt_if_due(0, effects);
            }
            ruling => self.on_failure(record, slot, ruling, Some(outcome), now, effects),
        }
    }

    pub(in crate::engine) fn on_failure(
        &mut self,
        mut record: TaskRecord,
        slot: u16,
        ruling: Ruling,
        outcome: Option<OutcomeFrame>,
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
                note_again(&record, ruling, effects);
                effects.push(Effect::Discard { slot });
                self.retry(record, delay, now);
            }
            Fate::Postponed => {
                self.tally.cancelled += 1;
                note_again(&record, ruling, effects);
                effects.push(Effect::Deliver { seq: record.seq, slot, outcome, end: None });
            }
            Fate::Failed | Fate::Quarantined => {
                let Some((cause, _)) = ruling.failure() else { return };
                let quarantined = fate == Fate::Quarantined;
                let TaskRecord { seq, attempt: attempts, .. } = record;
                let (value, kept) = (record.value.clone(), cause.clone());
                let failure = Failure { seq, value, cause: kept, attempts, quarantined };
                self.tally.note_failure(failure);
                let status = cause.exit_status();
                self.finish_task(record, slot, Some((cause, quarantined)), outcome, effects);
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
        outcome: Option<OutcomeFrame>,
        effects: &mut Vec<Effect>,
    ) {
        let [wall, cpu] = outcome
            .as_ref()
            .map_or([0; 2], |outcome| [outcome.wall_ns, outcome.usage.cpu_ns])
            .map(Duration::from_nanos);
        let TaskRecord { seq, value, attempt, .. } = record;
        let end = Some(Entry::End { seq, value, attempt, failure, wall, cpu });
        effects.push(Effect::Deliver { seq, slot, outcome, end });
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
fn note_again(record: &TaskRecord, ruling: Ruling, effects: &mut Vec<Effect>) {
    let Some((cause, kind)) = ruling.failure() else { return };
    let (seq, value, attempt) = (record.seq, record.value.clone(), record.attempt);
    effects.push(Effect::Record(Entry::Again { seq, value, attempt, cause, kind }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Tried;
    use crate::engine::task::table::Ledger;

    fn fresh() -> TaskRecord {
        let mut ledger = Ledger::new(1);
        ledger.accept(Vec::new(), Duration::ZERO, Tried::default());
        let slot = ledger.place(false, 1).expect("a free slot");
        ledger.remove(slot).expect("just placed")
    }

    /// What happens to a task after each of its attempts, all with this ruling, until it is not
    /// retried.
    fn fates(ruling: &Ruling, policy: &Policy) -> Vec<Fate> {
        let mut record = fresh();
        let mut fates = Vec::new();
        while fates.last().is_none_or(|last| *last == Fate::Retried) && fates.len() < 20 {
            record.count(ruling);
            fates.push(decide(&record, ruling, policy, false));
        }
        fates
    }

    #[test]
    fn each_kind_of_failure_has_its_own_number_of_retries() {
        let policy = Policy { tries: 2, crash_limit: 3, ..Policy::default() };
        let after = |retries, last| [vec![Fate::Retried; retries], vec![last]].concat();
        let cause = || Cause::OutOfMemory;
        assert_eq!(fates(&Ruling::Failed(cause()), &policy), after(1, Fate::Failed));
        assert_eq!(fates(&Ruling::Crashed(cause()), &policy), after(2, Fate::Quarantined));
        assert_eq!(fates(&Ruling::Outside(cause()), &policy), after(9, Fate::Failed));
        assert_eq!(fates(&Ruling::Starved(cause()), &policy), after(3, Fate::Failed));
        assert_eq!(fates(&Ruling::Stopped(cause()), &policy), vec![Fate::Retried; 20]);
    }

    #[test]
    fn kinds_of_failure_count_apart() {
        let policy = Policy { tries: 2, crash_limit: 2, ..Policy::default() };
        let mut record = fresh();
        for ruling in [Ruling::Crashed, Ruling::Outside, Ruling::Starved, Ruling::Failed] {
            let ruling = ruling(Cause::OutOfMemory);
            record.count(&ruling);
            assert_eq!(decide(&record, &ruling, &policy, false), Fate::Retried, "{ruling:?}");
        }
    }

    #[test]
    fn a_run_that_stops_postpones_retries_only() {
        let mut record = fresh();
        let policy = Policy::default();
        let crashed = Ruling::Crashed(Cause::Signal(11));
        record.count(&crashed);
        assert_eq!(decide(&record, &crashed, &policy, true), Fate::Postponed);
        let failed = Ruling::Failed(Cause::Exit(1));
        record.count(&failed);
        assert_eq!(decide(&record, &failed, &policy, true), Fate::Failed);
    }
}
