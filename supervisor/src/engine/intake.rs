//! The input: whether more values may come; and how long tasks are held back, in case more come,
//! while fewer tasks than tokens are known.

use std::time::Duration;

use super::task::counts::Failure;
use super::task::outcome::Cause;
use super::{EMITTED_FROM, Earlier, Effect, Engine, Entry, Input, Now, Tried, Turn};

/// A task that was alone in flight this often when msup was killed is not run any more; the limit
/// on crashes counts instead if it is higher. This limit is high because a task is rarely what
/// kills msup.
const ALONE_LIMIT: u32 = 5;

/// While fewer tasks are known than there are tokens, they wait this long in case more come: if
/// not, each may use several tokens.
const MORE_WITHIN: Duration = Duration::from_millis(5);

/// How far the input has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reading {
    /// More may come.
    #[default]
    Open,
    /// All of it was read.
    Complete,
    /// The run was stopped before all of it was read.
    CutShort,
}

/// The progress of the input.
#[derive(Debug, Default)]
pub(super) struct Intake {
    reading: Reading,
    /// When the first input came.
    first: Option<Now>,
    /// The numbers between the list and emitted tasks were skipped.
    has_no_gap: bool,
}

impl Intake {
    /// Some input came.
    pub(super) fn receive(&mut self, now: Now) {
        self.first.get_or_insert(now);
    }

    /// All input was read, even if the run was stopped before.
    pub(super) fn complete(&mut self) {
        self.reading = Reading::Complete;
    }

    /// No more is read, because the run stops.
    pub(super) fn cut_short(&mut self) {
        if self.reading == Reading::Open {
            self.reading = Reading::CutShort;
        }
    }

    /// Whether more may come.
    pub(super) fn is_open(&self) -> bool {
        self.reading == Reading::Open
    }

    /// Whether all of it was read.
    pub(super) fn is_complete(&self) -> bool {
        self.reading == Reading::Complete
    }

    /// Whether the run was stopped before all of it was read.
    pub(super) fn is_cut_short(&self) -> bool {
        self.reading == Reading::CutShort
    }

    /// Until when the `accepted` tasks wait for more, if they may be all there are and are fewer
    /// than `tokens`.
    pub(super) fn waits_until(&self, accepted: u64, tokens: u32) -> Option<Now> {
        let may_be_all = self.is_open() && accepted < u64::from(tokens);
        self.first.filter(|_| may_be_all).map(|first| first + MORE_WITHIN)
    }
}

impl Engine {
    pub(super) fn on_inputs(&mut self, inputs: Vec<Input>, now: Now, effects: &mut Vec<Effect>) {
        for Input { value, seq, others, turn, earlier } in inputs {
            self.leave_to_others(others, effects);
            // The tasks of a queue have numbers of their own, in any order, some more than once.
            let is_queued = self.limits.has_client;
            let emitted = seq.filter(|seq| *seq >= EMITTED_FROM || is_queued);
            let skipped = match (emitted, seq) {
                (Some(_), _) if is_queued => {
                    self.ledger.pass_over();
                    None
                }
                (Some(seq), _) => self.ledger.count_emitted(seq),
                (None, seq) => seq.and_then(|seq| self.ledger.pass_over_to(seq)),
            };
            if let Some((seq, last)) = skipped {
                effects.push(Effect::Skip { seq, last });
            }
            match (earlier, emitted) {
                (Earlier::Nothing, None) => {
                    self.ledger.accept(value, turn, Tried::default(), now);
                }
                (Earlier::Nothing, Some(seq)) => {
                    self.ledger.accept_emitted(seq, value, Tried::default(), now);
                }
                (Earlier::Tried(tried), emitted) => {
                    self.accept(value, turn, tried, (emitted, now), effects);
                }
                (Earlier::Succeeded, emitted) => {
                    let seq = emitted.unwrap_or_else(|| self.ledger.pass_over());
                    effects.push(Effect::Skip { seq, last: seq });
                    self.tally.succeeded += 1;
                    self.tally.before.succeeded += 1;
                }
                (Earlier::PassedOver { has_failed }, emitted) => {
                    let seq = emitted.unwrap_or_else(|| self.ledger.pass_over());
                    effects.push(Effect::Skip { seq, last: seq });
                    self.tally.before.passed_over += 1;
                    self.tally.before.failed_elsewhere += u64::from(has_failed);
                }
                (Earlier::Refused(why), emitted) => self.refuse(value, why, emitted, effects),
                (Earlier::Failed { cause, attempts, quarantined }, emitted) => {
                    let seq = emitted.unwrap_or_else(|| self.ledger.pass_over());
                    effects.push(Effect::Skip { seq, last: seq });
                    self.tally.before.failed += 1;
                    let cause = Cause::Earlier(cause);
                    self.tally.note_failure(Failure { seq, value, cause, attempts, quarantined });
                }
            }
        }
        self.close_gap(effects);
        if self.is_stopped() {
            self.tally.cancelled += self.ledger.drop_pending();
        }
    }

    pub(super) fn on_inputs_ended(&mut self, effects: &mut Vec<Effect>) {
        self.intake.complete();
        let values = self.ledger.accepted();
        effects.push(Effect::Record(Entry::InputsEnd(values)));
        self.close_gap(effects);
        if self.limits.longest_first {
            self.ledger.order_longest_first();
        }
        if self.limits.halts_by_share() {
            self.halt_if_due(0, effects);
        }
    }

    /// The next values, this number of them, are no tasks of this run.
    pub(super) fn leave_to_others(&mut self, values: u64, effects: &mut Vec<Effect>) {
        if let Some((seq, last)) = self.ledger.leave_to_others(values) {
            effects.push(Effect::Skip { seq, last });
        }
    }

    /// The numbers of emitted tasks follow those of the list: with `-k`, their outputs must not
    /// wait for those between.
    pub(super) fn close_gap(&mut self, effects: &mut Vec<Effect>) {
        let values = self.ledger.accepted();
        let is_due = self.intake.is_complete() && self.ledger.has_emitted();
        if is_due && !std::mem::replace(&mut self.intake.has_no_gap, true) {
            effects.push(Effect::Skip { seq: values + 1, last: EMITTED_FROM - 1 });
        }
    }

    /// Takes in a task that earlier generations have tried, unless it has brought down too many of
    /// them.
    fn accept(
        &mut self,
        value: Vec<u8>,
        turn: Turn,
        tried: Tried,
        (emitted, now): (Option<u64>, Now),
        effects: &mut Vec<Effect>,
    ) {
        let limit = self.limits.policy.crash_limit.max(ALONE_LIMIT);
        if tried.alone < limit {
            match emitted {
                None => self.ledger.accept(value, turn, tried, now),
                Some(seq) => self.ledger.accept_emitted(seq, value, tried, now),
            }
            return;
        }
        let n = tried.alone;
        let why = format!("msup was killed each of the {n} times it ran alone");
        self.give_up(value, why, (emitted, tried.attempts, true), effects);
    }

    /// A task that is not run at all has failed.
    fn refuse(
        &mut self,
        value: Vec<u8>,
        why: String,
        emitted: Option<u64>,
        effects: &mut Vec<Effect>,
    ) {
        self.give_up(value, why, (emitted, 0, false), effects);
    }

    fn give_up(
        &mut self,
        value: Vec<u8>,
        why: String,
        (emitted, attempts, quarantined): (Option<u64>, u32, bool),
        effects: &mut Vec<Effect>,
    ) {
        let seq = emitted.unwrap_or_else(|| self.ledger.pass_over());
        self.fail_unrun((seq, value), Cause::Trouble(why), (attempts, quarantined), effects);
    }

    /// A task that has not run, or not again, has failed.
    pub(super) fn fail_unrun(
        &mut self,
        (seq, value): (u64, Vec<u8>),
        cause: Cause,
        (attempts, quarantined): (u32, bool),
        effects: &mut Vec<Effect>,
    ) {
        let status = cause.exit_status();
        let (kept, reason) = (value.clone(), cause.clone());
        let failure = Failure { seq, value: kept, cause: reason, attempts, quarantined };
        self.tally.note_failure(failure);
        effects.push(Effect::Skip { seq, last: seq });
        let (failure, [wall, cpu]) = (Some((cause, quarantined)), [Duration::ZERO; 2]);
        let (attempt, emitted) = (attempts, None);
        effects.push(Effect::Record(Entry::End {
            seq,
            value,
            attempt,
            failure,
            wall,
            cpu,
            emitted,
            slot: None,
        }));
        self.halt_if_due(status, effects);
    }
}
