//! Carries out the engine's effects.

use msup_protocol::exit::WorkerEnd;
use msup_protocol::park::Futex;

use super::{Closing, Run, SIGKILL};
use crate::engine::{Effect, Entry, Event, FAILURES_NAMED, Failure, has_succeeded};
use crate::journal::State;
use crate::output::Delivery;
use crate::report::human;

impl Run {
    /// Carries out the effects; immediate results become further events.
    pub(super) fn perform(&mut self, effects: &mut Vec<Effect>, events: &mut Vec<Event>) {
        let (mut published, mut stopped) = (false, Vec::new());
        for effect in effects.drain(..) {
            match effect {
                Effect::Publish { slot } => {
                    // An attempt starts only after its start, and the end of the attempt before,
                    // are journaled.
                    self.books.flush_if_urgent();
                    if self.books.is_full() {
                        events.push(Event::Withdrawn { slot });
                        continue;
                    }
                    match self.publish(slot) {
                        Ok(()) => published = true,
                        Err(why) => events.push(Event::CannotPublish { slot, why }),
                    }
                }
                Effect::Withdraw { slot } => {
                    if self.queue.withdraw(slot) {
                        events.push(Event::Withdrawn { slot });
                    }
                }
                Effect::Spawn(worker) => {
                    if let Err(why) = self.crew.spawn(worker, &self.poller) {
                        let claimed = self.queue.collect_from(worker, events);
                        events.push(if claimed.is_empty() {
                            Event::SpawnFailed { worker, why }
                        } else {
                            // It was alive, and was killed because it could not be watched.
                            let end = WorkerEnd::Signaled(SIGKILL);
                            Event::WorkerGone { worker, end, claimed, starved: false, killed: None }
                        });
                    }
                }
                Effect::AllowOneForOne(allowed) => {
                    self.segment.shared().header.allow_one_for_one(allowed);
                }
                Effect::LimitInFlight(at_most) => {
                    self.segment.shared().header.limit_in_flight(at_most);
                }
                Effect::AllowStarts(starts) => {
                    self.segment.shared().allow_starts(&Futex, starts);
                }
                Effect::SetTimeout(limit) => {
                    self.timeout = Some(limit);
                }
                Effect::Dismiss(worker) => self.crew.dismiss(worker, self.engine.is_closing()),
                Effect::Stop(worker) => stopped.push(worker),
                Effect::Kill(worker) => self.crew.kill(worker),
                Effect::KillNow => {
                    let now = self.active();
                    self.stopping.hurry(now);
                }
                Effect::Deliver { seq, slot, outcome } => {
                    self.forget_file(slot);
                    let has_failed =
                        outcome.as_ref().is_some_and(|outcome| !has_succeeded(&outcome.verdict));
                    let delivery = self.queue.delivery(seq, slot, outcome);
                    self.closing.keep_line_of(&delivery, has_failed);
                    let received = delivery.received();
                    self.delivered = (self.output.deliver(delivery), received);
                }
                Effect::Skip { seq, last } => {
                    self.closing.last_line = None;
                    let again = self.books.replayed(seq).filter(|_| seq == last);
                    self.output.deliver(again.unwrap_or_else(|| Delivery::nothing(seq, last)));
                    self.delivered = (false, 0);
                }
                Effect::Record(entry) => {
                    // Its output has just been handed over, if there is any.
                    let (is_shown, received) = self.delivered;
                    self.tell_failure(&entry);
                    if is_shown {
                        self.closing.awaits_output_of(&entry);
                    }
                    let queue = &self.queue;
                    let describe = |value: &[u8], seq| queue.describe(value, seq);
                    self.books.note(entry, is_shown, received, describe);
                }
                Effect::Discard { slot } => {
                    self.forget_file(slot);
                    self.queue.discard(slot);
                }
                Effect::Say(text) => self.say(&text),
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

    fn publish(&mut self, slot: u16) -> Result<(), String> {
        let Some(task) = self.engine.task(slot) else { return Ok(()) };
        let out = self.commits.as_mut().map(|commits| commits.begin(slot, task)).transpose()?;
        self.queue.publish(slot, task, out.as_deref())
    }

    /// Keeps the last line of a failed task; where there is no report, says now what the command
    /// could not say itself.
    fn tell_failure(&mut self, entry: &Entry) {
        let Entry::End { seq, value, attempt, failure: Some((cause, quarantined)), .. } = entry
        else {
            return;
        };
        if let Some(line) = self.closing.last_line.take() {
            self.closing.last_lines.insert(*seq, line);
        }
        if self.closing.quiet && !cause.was_told() {
            let (seq, value, cause) = (*seq, value.clone(), cause.clone());
            let (attempts, quarantined) = (*attempt, *quarantined);
            let failure = Failure { seq, value, cause, attempts, quarantined };
            self.output.say(format!("{}\n", human::failure(&failure)));
        }
    }

    /// Discards the file that the attempt in this slot wrote, unless it was renamed to its place.
    fn forget_file(&mut self, slot: u16) {
        if let Some(commits) = &mut self.commits {
            commits.forget(slot);
        }
    }
}

impl Closing {
    /// A task has finished once its output has been shown.
    fn awaits_output_of(&mut self, entry: &Entry) {
        let Entry::End { seq, failure, .. } = entry else { return };
        let state = match failure {
            None => State::Succeeded,
            Some((_, false)) => State::Failed,
            Some((_, true)) => State::Quarantined,
        };
        self.unshown.insert(*seq, state);
    }

    /// Keeps the last line that a task wrote to standard error, if it has failed and will be named.
    fn keep_line_of(&mut self, delivery: &Delivery, has_failed: bool) {
        let is_named = has_failed && !self.quiet && self.last_lines.len() < FAILURES_NAMED;
        self.last_line = if is_named { delivery.last_line() } else { None };
    }
}
