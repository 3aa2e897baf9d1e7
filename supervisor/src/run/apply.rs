//! Carries out the engine's effects.

use msup_protocol::codec::OutcomeFrame;
use msup_protocol::exit::WorkerEnd;
use msup_protocol::packed::WorkerId;
use msup_protocol::park::Futex;

use super::error::AttemptError;
use super::serving;
use super::shown::Handed;
use super::{Run, SIGKILL};
use crate::engine::{Effect, Entry, Event, Failure, has_succeeded};
use crate::output::Delivery;
use crate::report::human;

impl Run {
    /// Carries out the effects; immediate results become further events.
    pub(super) fn perform(&mut self, effects: &mut Vec<Effect>, events: &mut Vec<Event>) {
        let (mut published, mut stopped) = (false, Vec::new());
        for effect in effects.drain(..) {
            match effect {
                Effect::Publish { slot } => published |= self.publish(slot, events),
                Effect::Withdraw { slot } => {
                    if self.queue.withdraw(slot) {
                        events.push(Event::Withdrawn { slot });
                    }
                }
                Effect::Spawn(worker) => self.spawn(worker, events),
                Effect::AllowOneForOne(allowed) => {
                    self.segments.shared().header.allow_one_for_one(allowed);
                }
                Effect::AllowStarts(starts) => {
                    self.segments.shared().allow_starts(&Futex, starts);
                }
                Effect::SetTimeout(limit) => self.watch.limit = Some(limit),
                Effect::Dismiss(worker) => self.crew.dismiss(worker, self.engine.is_closing()),
                Effect::Stop(worker) => stopped.push(worker),
                Effect::Kill(worker) => self.crew.kill(worker),
                Effect::KillNow => {
                    self.watch.stopping.hurry(self.clock.active());
                    self.crew.hurry();
                }
                Effect::Deliver { seq, slot, outcome, end } => {
                    let shown =
                        self.deliver(seq, slot, outcome.map(|outcome| *outcome), end.as_ref());
                    if let Some(Entry::End { seq, emitted: Some(_), .. }) = &end
                        && !shown.will_be_shown
                    {
                        events.push(Event::EndNoted(*seq));
                    }
                    end.into_iter().for_each(|end| self.record(end, shown));
                }
                Effect::Skip { seq, last } => self.skip(seq, last),
                Effect::Record(entry) => self.record(entry, Handed::default()),
                Effect::Discard { slot } => {
                    self.forget_file(slot);
                    self.queue.discard(slot);
                }
                Effect::Say(text) => self.shown.say(&text),
                Effect::Finish => self.finished = true,
            }
        }
        if published {
            self.queue.announce();
        }
        if !stopped.is_empty() {
            self.stop_workers(&stopped);
        }
    }

    /// Publishes the task of this slot; a task that cannot be published becomes an event. Returns
    /// whether workers must be told.
    fn publish(&mut self, slot: u16, events: &mut Vec<Event>) -> bool {
        // An attempt starts only after its start, and the end of the attempt before, are journaled.
        self.log.flush_if_urgent();
        if self.log.is_full() {
            events.push(Event::Withdrawn { slot });
            return false;
        }
        let Some(task) = self.engine.task(slot) else { return false };
        let out = self.commits.as_mut().map(|commits| commits.begin(slot, task)).transpose();
        let out = out.map_err(AttemptError::from);
        match out.and_then(|out| Ok(self.queue.publish(slot, task, out.as_deref())?)) {
            Ok(()) => true,
            Err(why) => {
                events.push(Event::CannotPublish { slot, why: why.to_string() });
                false
            }
        }
    }

    fn spawn(&mut self, worker: WorkerId, events: &mut Vec<Event>) {
        let Err(why) = self.crew.spawn(worker, &self.wakeups.poller) else { return };
        let claimed = self.queue.collect_from(worker, events);
        events.push(if claimed.is_empty() {
            Event::SpawnFailed { worker, why: why.to_string() }
        } else {
            // It was alive, and was killed because it could not be watched.
            let end = WorkerEnd::Signaled(SIGKILL);
            Event::WorkerGone { worker, end, claimed, starved: false, killed: None }
        });
    }

    fn deliver(
        &mut self,
        seq: u64,
        slot: u16,
        outcome: Option<OutcomeFrame>,
        end: Option<&Entry>,
    ) -> Handed {
        self.forget_file(slot);
        let has_failed = outcome.as_ref().is_some_and(|outcome| !has_succeeded(&outcome.verdict));
        let mut delivery = self.queue.delivery(seq, slot, outcome);
        if let Some(Entry::End { value, .. }) = end {
            delivery.tag = self.queue.tag(value, seq);
        }
        if self.shown.has_client {
            delivery.served = end.and_then(serving::served).map(Box::new);
        }
        self.reports.note_output(&delivery, has_failed);
        self.shown.deliver(delivery)
    }

    fn skip(&mut self, seq: u64, last: u64) {
        self.reports.last_lines.forget();
        match self.log.replayed(seq).filter(|_| seq == last) {
            Some((mut delivery, state)) => {
                delivery.tag = self.shown.tags.remove(&seq).unwrap_or_default();
                self.shown.deliver_again(delivery, state);
            }
            None => drop(self.shown.deliver(Delivery::nothing(seq, last))),
        }
    }

    fn record(&mut self, entry: Entry, output: Handed) {
        self.tell_failure(&entry);
        if output.will_be_shown {
            self.shown.awaits_output_of(&entry);
        }
        let queue = &self.queue;
        let describe = |value: &[u8], seq| queue.describe(value, seq);
        self.log.note(entry, output, describe);
    }

    /// Keeps the last line of a failed task; where there is no report, says now what the command
    /// could not say itself.
    fn tell_failure(&mut self, entry: &Entry) {
        let Entry::End { seq, value, attempt, failure: Some((cause, quarantined)), .. } = entry
        else {
            return;
        };
        self.reports.last_lines.keep(*seq);
        if self.reports.asked.quiet && !self.shown.has_client && !cause.was_told() {
            let (seq, value, cause) = (*seq, value.clone(), cause.clone());
            let (attempts, quarantined) = (*attempt, *quarantined);
            let failure = Failure { seq, value, cause, attempts, quarantined };
            self.shown.output.say(format!("{}\n", human::failure(&failure)));
        }
    }

    /// Discards the file that the attempt in this slot wrote, unless it was renamed to its place.
    fn forget_file(&mut self, slot: u16) {
        if let Some(commits) = &mut self.commits {
            commits.forget(slot);
        }
    }
}
