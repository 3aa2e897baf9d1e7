//! What follows when an attempt finishes: its task finishes too, or is retried.

use std::time::Duration;

use msup_protocol::codec::OutcomeFrame;
use msup_protocol::exit;

use super::counts::Failure;
use super::outcome::{Cause, Ruling, judge};
use super::retry::{Standing, Timeout};
use crate::engine::sabotage;
use crate::engine::sabotage::Bug;
use crate::engine::time::Now;
use crate::engine::{Effect, Engine, Entry, Killed, Kind, Stop, TaskRecord, Tried};

/// A task whose attempts are killed from outside this often has failed.
const OUTSIDE_LIMIT: u32 = 10;
/// A task that is killed this often for lack of memory has failed.
const STARVED_LIMIT: u32 = 4;

/// A task that was alone in flight this often when msup was killed is not run any more; the limit
/// on crashes counts instead if it is higher. This limit is high because a task is rarely what
/// kills msup.
const ALONE_LIMIT: u32 = 5;

/// A time limit that is never reached.
const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);

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
        if let Some(starts) = &mut self.starts {
            starts.ended(outcome.usage.peak);
        }
        match judge(outcome.verdict.clone(), starved, killed) {
            Ruling::Succeeded => {
                self.tally.note_success(wall, &record.value);
                let cpu = Duration::from_nanos(outcome.usage.cpu_ns);
                let TaskRecord { seq, value, attempt, .. } = record;
                effects.push(Effect::Deliver { seq, slot, outcome: Some(outcome) });
                let failure = None;
                effects.push(Effect::Record(Entry::End {
                    seq,
                    value,
                    attempt,
                    failure,
                    wall,
                    cpu,
                }));
                self.median.note(wall);
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
        let mut delay = Duration::ZERO;
        let counted = self.tally.again.and(&ruling);
        let (cause, again, kind) = match ruling {
            Ruling::Succeeded => return,
            Ruling::Failed(cause) => {
                record.failures += 1;
                let again = record.failures < self.policy.tries;
                if again {
                    delay = self.backoff.delay(record.failures);
                }
                (cause, again, Kind::Failed)
            }
            Ruling::Crashed(cause) => {
                record.crashes += 1;
                (cause, record.crashes < self.policy.crash_limit, Kind::Crashed)
            }
            Ruling::Outside(cause) => {
                record.outside += 1;
                (cause, record.outside < OUTSIDE_LIMIT, Kind::Lost)
            }
            Ruling::Starved(cause) => {
                record.starved += 1;
                self.tally.starved += 1;
                self.has_less_company(record.starved, now, effects);
                (cause, record.starved < STARVED_LIMIT, Kind::Starved)
            }
            Ruling::Stopped(cause) => (cause, true, Kind::Lost),
        };
        let quarantined = kind == Kind::Crashed;
        if again {
            let (seq, value, attempt) = (record.seq, record.value.clone(), record.attempt);
            let cause = cause.clone();
            effects.push(Effect::Record(Entry::Again { seq, value, attempt, cause, kind }));
        }
        if again && self.stop == Stop::No {
            let attempt = record.attempt;
            let next = if sabotage::has(Bug::RepeatsAttempts) { attempt } else { attempt + 1 };
            (record.attempt, record.again) = (next, true);
            self.tally.again = counted;
            effects.push(Effect::Discard { slot });
            if record.outside > 0 && sabotage::has(Bug::ForgetsTheKilled) {
                return;
            }
            if delay.is_zero() {
                self.ledger.put_back(record);
            } else {
                self.ledger.put_back_later(record, now + delay);
            }
            return;
        }
        let TaskRecord { seq, value, attempt, .. } = record;
        if again {
            // It is retried if the run is resumed.
            self.tally.cancelled += 1;
        } else {
            let attempts = attempt;
            let (kept, failure) = (value.clone(), Some((cause.clone(), quarantined)));
            self.tally.note_failure(Failure { seq, value: kept, cause, attempts, quarantined });
            let [wall, cpu] = outcome
                .as_ref()
                .map_or([0; 2], |outcome| [outcome.wall_ns, outcome.usage.cpu_ns])
                .map(Duration::from_nanos);
            let status = match failure.as_ref().map_or((0, 0), |(cause, _)| cause.status()) {
                (status, 0) => status,
                (_, signal) => exit::SIGNAL_BASE.saturating_add(signal),
            };
            effects.push(Effect::Deliver { seq, slot, outcome });
            effects.push(Effect::Record(Entry::End { seq, value, attempt, failure, wall, cpu }));
            self.halt_if_due(status, effects);
            return;
        }
        effects.push(Effect::Deliver { seq, slot, outcome });
    }

    /// A task was killed for lack of memory, for the `nth` time: it is retried with fewer commands
    /// running alongside, whatever number the user asked for.
    fn has_less_company(&mut self, nth: u32, now: Now, effects: &mut Vec<Effect>) {
        match &mut self.starts {
            Some(starts) => starts.out_of_memory(nth, now),
            None => {
                self.company.too_much(nth, now);
                // Ready tasks would be claimed at once.
                self.hold_back(effects);
            }
        }
    }

    /// Takes in a task that earlier generations have tried, unless it has brought down too many of
    /// them.
    pub(in crate::engine) fn accept(
        &mut self,
        value: Vec<u8>,
        expected: Duration,
        tried: Tried,
        effects: &mut Vec<Effect>,
    ) {
        let limit = self.policy.crash_limit.max(ALONE_LIMIT);
        if tried.alone < limit {
            self.ledger.accept(value, expected, tried);
            return;
        }
        let n = tried.alone;
        let why = format!("msup was killed each of the {n} times it ran alone");
        self.give_up(value, why, tried.attempts, true, effects);
    }

    /// A task that is not run at all has failed.
    pub(in crate::engine) fn refuse(
        &mut self,
        value: Vec<u8>,
        why: String,
        effects: &mut Vec<Effect>,
    ) {
        self.give_up(value, why, 0, false, effects);
    }

    fn give_up(
        &mut self,
        value: Vec<u8>,
        why: String,
        attempts: u32,
        quarantined: bool,
        effects: &mut Vec<Effect>,
    ) {
        let (seq, cause) = (self.ledger.pass_over(), Cause::Trouble(why));
        let (status, _) = cause.status();
        let (kept, reason) = (value.clone(), cause.clone());
        let failure = Failure { seq, value: kept, cause: reason, attempts, quarantined };
        self.tally.note_failure(failure);
        effects.push(Effect::Skip { seq, last: seq });
        let (failure, [wall, cpu]) = (Some((cause, quarantined)), [Duration::ZERO; 2]);
        let attempt = attempts;
        effects.push(Effect::Record(Entry::End { seq, value, attempt, failure, wall, cpu }));
        self.halt_if_due(status, effects);
    }

    /// Announces the time limit for attempts when it has changed.
    pub(in crate::engine) fn limit_time(&mut self, effects: &mut Vec<Effect>) {
        let limit = match self.policy.timeout {
            None => None,
            Some(Timeout::After(limit)) => Some(limit),
            // A limit is set all the same: workers then check now and then whether it has become
            // known.
            Some(Timeout::Medians(times)) => {
                Some(self.median.get().map_or(FOREVER, |median| median.mul_f64(times)))
            }
        };
        // A median moves a little with each task.
        let apart = |old: Duration, new: Duration| old.abs_diff(new) > old / 16;
        if let Some(new) = limit.filter(|new| self.limit.is_none_or(|old| apart(old, *new))) {
            self.limit = limit;
            effects.push(Effect::SetTimeout(new));
        }
    }

    /// Aborts the run if --halt says so. `status` is that of the task that has just finished.
    pub(in crate::engine) fn halt_if_due(&mut self, status: u8, effects: &mut Vec<Effect>) {
        let standing = self.standing();
        let Some(halt) = self.policy.halt.filter(|halt| halt.is_due(standing)) else { return };
        if self.stop != Stop::No {
            return;
        }
        let Standing { succeeded, failed, .. } = standing;
        effects
            .push(Effect::Say(format!("halting: {succeeded} succeeded, {failed} failed (--halt)")));
        let status = halt.exit_status(standing, status);
        self.halted = true;
        self.raise(if halt.now { Stop::Kill(status) } else { Stop::Drain(status) }, effects);
    }

    /// Tasks that finished in an earlier generation do not count: a user who resumes a run wants it
    /// to go on.
    fn standing(&self) -> Standing {
        let tally = &self.tally;
        let succeeded = tally.succeeded - tally.succeeded_earlier;
        let failed = tally.failed + tally.quarantined - tally.failed_earlier;
        let all = succeeded + failed + tally.cancelled + self.ledger.left() as u64;
        Standing { succeeded, failed, total: self.inputs_ended.then_some(all) }
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
