//! Carries out the engine's effects.

use msup_protocol::codec::OutcomeFrame;
use msup_protocol::exit::WorkerEnd;
use msup_protocol::packed::WorkerId;
use msup_protocol::park::Futex;

use super::error::AttemptError;
use super::serving;
use super::shown::Handed;
use super::{Run, SIGKILL};
use crate::cli::Voice;
use crate::engine::{Counted, Effect, Entry, Event, Failure, has_succeeded};
use crate::output::{Delivery, Unwritable};
use crate::report::{human, xargs};

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
                Effect::Ask { seq, value } => self.ask(seq, &value, events),
                Effect::LookBeforeStart => self.look_before_start(events),
                Effect::StopYoungest => self.stop_youngest(),
                Effect::Dismiss(worker) => self.crew.dismiss(worker, self.engine.is_closing()),
                Effect::Stop(worker) => stopped.push(worker),
                Effect::Kill(worker) => self.crew.kill(worker),
                Effect::KillNow => {
                    self.watch.stopping.hurry(self.clock.active());
                    self.crew.hurry();
                }
                Effect::Deliver { seq, slot, outcome, end } => {
                    let shown = self.deliver(seq, slot, outcome, end.as_ref());
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
                Effect::Halt { what, count, soon } => self.tell_halt(what, count, soon),
                Effect::AnswerRetry { seq, is_taken } => self.answer_retry(seq, is_taken),
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
        if self.shown.output.is_live()
            && let Some(looks) = self.queue.special_looks(&task.value, task.seq)
        {
            self.shown.output.will_look(task.seq, looks);
        }
        let out = self.commits.as_mut().map(|commits| commits.begin(slot, task)).transpose();
        let out = out.map_err(AttemptError::from);
        match out.and_then(|out| Ok(self.queue.publish(slot, task, out.flatten().as_deref())?)) {
            Ok(()) => {
                if self.reports.asked.voice.shows_commands() {
                    let line = self.queue.describe(&task.value, task.seq);
                    self.shown.output.say(format!("{}\n", String::from_utf8_lossy(&line)));
                }
                true
            }
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
        outcome: Option<Box<OutcomeFrame>>,
        end: Option<&Entry>,
    ) -> Handed {
        self.tell_finished(slot, outcome.as_deref(), end);
        let made = self.commits.as_mut().and_then(|commits| commits.take_made(slot));
        self.note_made(seq, made);
        self.forget_file(slot);
        if self.shown.has_client && end.is_none() {
            // The run stops, and the client is told of no outcome: it would take bytes that are
            // shown for frames.
            self.queue.discard(slot);
            return Handed::default();
        }
        let has_failed = outcome.as_ref().is_some_and(|outcome| !has_succeeded(&outcome.verdict));
        let mut delivery = self.queue.delivery(seq, slot, outcome);
        if let Some(Entry::End { failure: None, .. }) = end
            && let Err(why) = self.take_values(seq, &mut delivery)
        {
            self.shown.say(&format!("task {seq}: what it has emitted is lost: {why}"));
        }
        if let Some(Entry::End { value, failure, .. }) = end {
            delivery.looks = self.queue.looks(value, seq, failure.is_some());
        }
        if let Some(filer) = &self.shown.filer {
            self.reports.note_output(&delivery, has_failed);
            let command = |value: &[u8], seq| self.queue.describe(value, seq);
            delivery.filed = end.and_then(|end| filer.filed(end, delivery.received(), command));
            // It is not shown by a later start, either: its task runs again.
            delivery.writer = None;
            if delivery.filed.is_none() {
                delivery.drop_streams();
            }
            return self.shown.deliver(delivery);
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
                delivery.looks = self.shown.looks.remove(&seq).unwrap_or_default();
                self.shown.deliver_again(delivery, state);
            }
            None => drop(self.shown.deliver(Delivery::nothing(seq, last))),
        }
    }

    fn record(&mut self, entry: Entry, output: Handed) {
        if let (Entry::End { value, .. }, Some(room)) = (&entry, &self.inputs.room) {
            room.release(value);
        }
        self.count(&entry);
        self.tell_tried(&entry);
        self.tell_failure(&entry);
        self.note_failed(&entry);
        self.tell_counted(&entry);
        self.note_step_ended(&entry);
        if output.will_be_shown {
            self.shown.awaits_output_of(&entry);
        }
        let details = entry.slot_left().and_then(|slot| self.queue.take_details(slot));
        let queue = &self.queue;
        let describe = |value: &[u8], seq| queue.describe(value, seq);
        let ended = if let Entry::End { seq, .. } = entry { Some(seq) } else { None };
        self.log.note((entry, details), output, describe);
        ended.into_iter().for_each(|seq| self.forget_step(seq));
    }

    /// Keeps the last line of a failed task; where there is no report, says now what the command
    /// could not say itself.
    fn tell_failure(&mut self, entry: &Entry) {
        let Entry::End { seq, value, attempt, failure: Some((cause, quarantined)), .. } = entry
        else {
            return;
        };
        self.reports.last_lines.keep(*seq);
        if let Voice::Xargs { program, .. } = &self.reports.asked.voice {
            if let Some(line) = xargs::failure(program, cause) {
                self.shown.output.say(line);
            }
            return;
        }
        // With the reader gone, that is told instead.
        let misses_reader =
            self.shown.is_direct && matches!(self.shown.output.failure(), Some(Unwritable::Closed));
        if !misses_reader && self.reports.asked.quiet && !self.shown.has_client && !cause.was_told()
        {
            let (seq, value, cause) = (*seq, value.clone(), cause.clone());
            let (attempts, quarantined) = (*attempt, *quarantined);
            let failure = Failure { seq, value, cause, attempts, quarantined };
            self.shown.output.say(format!("{}\n", human::failure(&failure)));
        }
    }

    /// The run halts.
    fn tell_halt(&mut self, what: Counted, count: u64, soon: bool) {
        if self.reports.asked.gnu_halt.is_none() {
            let what = match (what, count) {
                (Counted::Fail, 1) => "failure",
                (Counted::Fail, _) => "failures",
                (Counted::Success, 1) => "success",
                (Counted::Success, _) => "successes",
                (Counted::Done, 1) => "finished task",
                (Counted::Done, _) => "finished tasks",
            };
            return self.shown.say(&format!("--halt: stopping after {count} {what}"));
        }
        let (_, running) = self.segments.shared().tasks.load();
        if soon && running > 0 {
            self.shown.output.say(format!(
                "parallel: Starting no more jobs. Waiting for {running} jobs to finish.\n"
            ));
        }
    }

    /// In GNU parallel's reading: a task has finished that counts for --halt.
    fn tell_counted(&mut self, entry: &Entry) {
        let Some(counted) = self.reports.asked.gnu_halt else { return };
        let Entry::End { seq, value, failure, .. } = entry else { return };
        let what = match (counted, failure) {
            (Counted::Fail, Some(_)) => "failed",
            (Counted::Success, None) => "succeeded",
            (Counted::Done, _) => "finished",
            _ => return,
        };
        let command = self.queue.describe(value, *seq);
        let command = String::from_utf8_lossy(&command).into_owned();
        self.shown.output.say(format!("parallel: This job {what}:\n{command}\n"));
    }

    /// Discards the file that the attempt in this slot wrote, unless it was renamed to its place.
    fn forget_file(&mut self, slot: u16) {
        if let Some(commits) = &mut self.commits {
            commits.forget(slot);
        }
    }
}
