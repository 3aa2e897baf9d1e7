//! Carries out the engine's effects in virtual time, and the journal's writes on its fake disk.

use msup_protocol::codec::Stream;

use super::{Happening, RUN, SIGKILL, SIGTERM, Slot, Worker, World, text};
use crate::engine::{Effect, Entry, Event, Killed};
use crate::journal::entries::write_down;
use crate::journal::{Record, Seed, State, Trouble, read};

/// A task that was alone in flight when the supervisor died is not quarantined before that has
/// happened this often.
const LEAST_BLAME: u32 = 5;

impl World {
    pub(super) fn perform(&mut self, effect: Effect, events: &mut Vec<Event>) {
        match effect {
            Effect::Publish { slot } => {
                if std::mem::take(&mut self.is_urgent) {
                    let begun = self.begun;
                    self.flush();
                    if self.begun != begun {
                        return;
                    }
                }
                if self.trouble == Trouble::Full {
                    events.push(Event::Withdrawn { slot });
                    return;
                }
                assert_eq!(self.slots[usize::from(slot)], Slot::Free, "slot {slot} is in use");
                self.slots[usize::from(slot)] = Slot::Ready;
            }
            Effect::Withdraw { slot } => {
                if self.slots[usize::from(slot)] == Slot::Ready {
                    self.slots[usize::from(slot)] = Slot::Free;
                    events.push(Event::Withdrawn { slot });
                }
            }
            Effect::Spawn(worker) => {
                let at = &mut self.workers[usize::from(worker)];
                assert_eq!(at.0, Worker::Vacant, "worker {worker} is there already");
                if self.faults > 0 && self.random.once_in(20) {
                    events.push(Event::SpawnFailed { worker, why: "EAGAIN".into() });
                    return;
                }
                *at = (Worker::Starting, at.1 + 1, false);
                let life = at.1;
                self.later(5, Happening::Up(worker, life));
                if self.faults > 0 && self.random.once_in(30) {
                    self.later(5, Happening::Dies(worker, life, SIGKILL));
                }
            }
            Effect::Dismiss(worker) => {
                let (state, life, leaves) = &mut self.workers[usize::from(worker)];
                *leaves = true;
                let life = *life;
                if matches!(state, Worker::Idle | Worker::Starting) {
                    self.later(3, Happening::Dies(worker, life, 0));
                }
            }
            Effect::End(worker)
                if matches!(self.workers[usize::from(worker)].0, Worker::Busy(..)) =>
            {
                self.stop(worker, Killed::Stopped);
            }
            Effect::End(worker) | Effect::Kill(worker) => {
                let (state, life, _) = self.workers[usize::from(worker)].clone();
                if state != Worker::Vacant {
                    self.later(3, Happening::Dies(worker, life, SIGTERM));
                }
            }
            Effect::KillNow => self.hurry(),
            Effect::Deliver { seq, slot: _, outcome } => {
                let has_output = outcome.is_some_and(|outcome| outcome.stdout != Stream::nothing());
                self.delivered = has_output;
                if has_output {
                    let value = self.value_of(seq);
                    self.later(20, Happening::Shown(seq, value));
                }
            }
            Effect::Record(entry) => {
                if let Entry::End { value, .. } = &entry {
                    let value = text(value);
                    if self.delivered {
                        self.outputs.insert(value);
                    } else {
                        self.outputs.remove(&value);
                    }
                }
                self.is_urgent |= matches!(entry, Entry::Start { .. } | Entry::Again { .. });
                if !(self.cut_off && matches!(entry, Entry::InputsEnd(_))) {
                    let will_be_shown = self.planted.will_be_shown(self.delivered);
                    write_down(&mut self.journal, self.planted.entry(entry), will_be_shown);
                }
            }
            Effect::Skip { .. } => self.delivered = false,
            Effect::Finish => self.finished = Some(self.engine.exit_status()),
            Effect::Say(text) => self.tell(|| text),
            Effect::AllowStarts(_)
            | Effect::AllowOneForOne(_)
            | Effect::LimitInFlight(_)
            | Effect::Discard { .. }
            | Effect::SetTimeout(_) => {}
        }
    }

    pub(super) fn set_full(&mut self, is_full: bool) {
        self.records.set_full(is_full);
        self.spool.iter().for_each(|spool| spool.set_full(is_full));
    }

    /// Writes what was added to the journal, and reads what is there now.
    pub(super) fn flush(&mut self) {
        let before = self.records.len();
        let trouble = self.journal.flush();
        let written = self.records.len() - before;
        if self.dies_writing && written > 0 {
            self.dies_writing = false;
            self.records.truncate(before + self.random.below(written as u64 + 1) as usize);
            self.tell(|| "dies writing".into());
            self.read_news();
            self.crash(false);
            return;
        }
        if trouble != self.trouble {
            self.trouble = trouble.clone();
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
        let (mut ends, read_to) = (Vec::new(), self.read);
        let news =
            read(&self.records.bytes()[read_to..], &Seed::new(RUN), |_, record| match record {
                Record::End(end) => ends.push(end),
                Record::Again(again) => self.history.is_told(&text(&again.value.0)),
                _ => {}
            });
        self.read += news.expect("memory can be read").whole as usize;
        for end in ends {
            let value = text(&end.value.0);
            let has_output = self.outputs.contains(&value);
            let is_blamed = end.cause.is_some_and(|cause| cause.starts_with("msup was killed"));
            // Where workers could note nothing, more attempts are taken to be in flight than were.
            if is_blamed && self.notes {
                let limit = self.limits.policy.crash_limit.max(LEAST_BLAME);
                self.history.condemns(&value, limit);
            }
            self.history.writes(&value, end.state == State::Succeeded, has_output);
        }
    }
}
