//! Carries out the engine's effects in virtual time, and the journal's writes on its fake disk.

use msup_protocol::codec::{OutcomeFrame, Stream};
use msup_protocol::packed::WorkerId;

use super::{Happening, SIGKILL, SIGTERM, Slot, State, World};
use crate::engine::{Cause, Effect, Emitted, Entry, Event, Failure, Killed};
use crate::journal::entries::write_down;
use crate::journal::record::End;
use crate::journal::{Record, State as EndState, Trouble};
use crate::simulation::text;

/// A task that was alone in flight when the supervisor died is not quarantined before that has
/// happened this often.
const LEAST_BLAME: u32 = 5;

impl World {
    pub(super) fn perform(&mut self, effect: Effect, events: &mut Vec<Event>) {
        match effect {
            Effect::Publish { slot } => self.publish(slot, events),
            Effect::Withdraw { slot } => {
                if *self.machine.slot(slot) == Slot::Ready {
                    *self.machine.slot(slot) = Slot::Free;
                    events.push(Event::Withdrawn { slot });
                }
            }
            Effect::Spawn(worker) => self.spawn(worker, events),
            Effect::Dismiss(worker) => self.dismiss(worker),
            Effect::Stop(worker) if self.machine.worker(worker).is_busy() => {
                self.stop(worker, Killed::Stopped);
            }
            Effect::Stop(worker) | Effect::Kill(worker) => {
                let (life, is_there) = (self.machine.worker(worker).life, !self.is_vacant(worker));
                if is_there {
                    self.later(3, Happening::Dies(worker, life, SIGTERM));
                }
            }
            Effect::Ask { seq, .. } => events.push(Event::Answered { seq, starts: true }),
            Effect::LookBeforeStart => self.later(30, Happening::Answers),
            Effect::StopYoungest => {
                let busy = self.machine.workers.iter().rposition(|worker| worker.is_busy());
                busy.into_iter().for_each(|at| self.stop(at as WorkerId, Killed::Displaced));
            }
            Effect::KillNow => self.hurry(),
            Effect::Deliver { seq, slot: _, outcome, end } => {
                let is_shown = self.deliver(seq, outcome.as_deref(), end.as_ref());
                if let Some(Entry::End { seq, emitted: Some(Emitted { first, values }), .. }) = &end
                {
                    let values = values.iter().map(|value| text(value));
                    self.values.added.extend((*first..).zip(values));
                    if is_shown {
                        self.supervisor.emitting.insert(*seq);
                    } else {
                        events.push(Event::EndNoted(*seq));
                    }
                }
                end.into_iter().for_each(|end| self.record(end, is_shown));
            }
            Effect::Record(entry) => self.record(entry, false),
            Effect::Finish => {
                self.supervisor.finished = Some(self.supervisor.engine.exit_status());
            }
            Effect::Halt { .. } => self.tell(|| "halts".into()),
            Effect::Say(text) => self.tell(|| text),
            Effect::AnswerRetry { seq, is_taken: true } => {
                self.history.retries(&self.values.at(seq));
            }
            Effect::Skip { seq, last } if seq == last => self.shows_again(seq),
            Effect::Skip { .. }
            | Effect::AllowStarts(_)
            | Effect::AllowOneForOne(_)
            | Effect::AnswerRetry { is_taken: false, .. }
            | Effect::Discard { .. }
            | Effect::SetTimeout(_) => {}
        }
    }

    fn publish(&mut self, slot: u16, events: &mut Vec<Event>) {
        if std::mem::take(&mut self.supervisor.is_urgent) {
            let number = self.supervisor.number();
            self.flush();
            if self.is_dead(number) {
                return;
            }
        }
        if self.supervisor.trouble == Trouble::Full {
            events.push(Event::Withdrawn { slot });
            return;
        }
        assert_eq!(*self.machine.slot(slot), Slot::Free, "slot {slot} is in use");
        *self.machine.slot(slot) = Slot::Ready;
    }

    fn spawn(&mut self, worker: WorkerId, events: &mut Vec<Event>) {
        assert!(self.is_vacant(worker), "worker {worker} is there already");
        if self.faults.strike(&mut self.random, 20) {
            events.push(Event::SpawnFailed { worker, why: "EAGAIN".into() });
            return;
        }
        let life = self.machine.worker(worker).start();
        self.later(5, Happening::Up(worker, life));
        if self.faults.strike(&mut self.random, 30) {
            self.later(5, Happening::Dies(worker, life, SIGKILL));
        }
    }

    fn dismiss(&mut self, worker: WorkerId) {
        let at = self.machine.worker(worker);
        at.is_leaving = true;
        let life = at.life;
        if matches!(at.state, State::Idle | State::Starting) {
            self.later(3, Happening::Dies(worker, life, 0));
        }
    }

    fn is_vacant(&mut self, worker: WorkerId) -> bool {
        self.machine.worker(worker).state == State::Vacant
    }

    /// Returns whether there is anything to show.
    fn deliver(&mut self, seq: u64, outcome: Option<&OutcomeFrame>, end: Option<&Entry>) -> bool {
        let has_output = outcome.is_some_and(|outcome| outcome.stdout != Stream::nothing());
        if has_output {
            let value = self.values.at(seq);
            self.later(20, Happening::Shown(seq, value));
            if let Some(Entry::End { value, attempt, .. }) = end
                && self.random.below(2) == 0
            {
                self.disk.keep(seq, value, *attempt);
                self.later(10, Happening::Kept(seq));
            }
        }
        has_output
    }

    /// A task has finished before: its output is shown now, if it was not shown then.
    fn shows_again(&mut self, seq: u64) {
        let value = self.values.at(seq);
        let Some(end) = self.values.unshown.remove(&value) else { return };
        self.supervisor.outputs.insert(value.clone());
        if self.planted.forgets_unshown() {
            self.supervisor.journal.note(&Record::End(end));
            return;
        }
        self.supervisor.journal.note_when_shown(seq, end);
        self.later(20, Happening::Shown(seq, value));
    }

    fn record(&mut self, entry: Entry, is_shown: bool) {
        let supervisor = &mut self.supervisor;
        if let Entry::End { value, .. } = &entry {
            let value = text(value);
            if is_shown {
                supervisor.outputs.insert(value);
            } else {
                supervisor.outputs.remove(&value);
            }
        }
        supervisor.is_urgent |=
            matches!(entry, Entry::Start { .. } | Entry::Again { .. } | Entry::Parked { .. });
        if !(self.values.are_cut_off && matches!(entry, Entry::InputsEnd(_))) {
            let will_be_shown = self.planted.will_be_shown(is_shown);
            let (entry, now) = (self.planted.entry(entry), self.agenda.now().as_secs_f64());
            write_down(&mut supervisor.journal, (entry, None), will_be_shown, now);
        }
    }

    /// Writes what was added to the journal, and reads what is there now.
    pub(super) fn flush(&mut self) {
        let before = self.disk.records.len();
        let trouble = self.supervisor.journal.flush();
        let written = self.disk.records.len() - before;
        if self.disk.kills_writer && written > 0 {
            self.disk.kills_writer = false;
            let kept = self.random.below(written as u64 + 1) as usize;
            self.disk.records.truncate(before + kept);
            self.tell(|| "dies writing".into());
            self.read_news();
            self.crash(false);
            return;
        }
        if trouble != self.supervisor.trouble {
            self.supervisor.trouble = trouble.clone();
            self.step(match trouble {
                Trouble::None => Event::JournalFull(None),
                Trouble::Full => Event::JournalFull(Some("there".into())),
                Trouble::Lost(why) => Event::JournalLost(why),
            });
        }
        self.read_news();
    }

    /// Reads what was written to the journal.
    pub(super) fn read_news(&mut self) {
        let mut finished = Vec::new();
        self.disk.read_news(|record| match record {
            Record::End(end) => finished.push(end),
            Record::Again(again) => self.history.is_told(&text(&again.value.0)),
            Record::Unshown(end) => self.history.waits(text(&end.value.0)),
            Record::Parked(parked) => {
                self.history.is_told(&text(&parked.value.0));
                self.history.parks(&text(&parked.value.0), parked.state.0.len());
            }
            _ => {}
        });
        for End { seq, value, attempt, state, cause, .. } in finished {
            if state != EndState::Succeeded {
                let (value, cause) = (value.0.clone(), Cause::Earlier(String::new()));
                let quarantined = state == EndState::Quarantined;
                let failure = Failure { seq, value, cause, attempts: attempt, quarantined };
                self.supervisor.failed.push(failure);
            }
            let value = text(&value.0);
            let has_output = self.supervisor.outputs.contains(&value);
            let is_blamed = cause.is_some_and(|cause| cause.starts_with("msup was killed"));
            // If workers cannot take notes, attempts that never started count as in flight.
            if is_blamed && self.machine.can_note {
                let limit = self.limits.policy.crash_limit.max(LEAST_BLAME);
                self.history.condemns(&value, limit);
            }
            self.history.writes(&value, state == EndState::Succeeded, has_output);
        }
    }
}
