//! Collects what has happened, as events: from signals, workers, output, the journal and the input.

use std::sync::mpsc::TryRecvError;

use super::{Run, SIGKILL};
use msup_protocol::exit::WorkerEnd;

use crate::engine::{Effect, Event, Input};
use crate::input::Group;
use crate::output::Failure;

impl Run {
    /// Collects what has happened since the last time.
    pub(super) fn gather(&mut self, events: &mut Vec<Event>) {
        let arrived = self.signals.arrived();
        self.reading_on.heard(arrived.len());
        events.extend(arrived.into_iter().map(Event::StopSignal));
        if self.signals.asked() {
            self.tell_running();
        }
        if self.signals.pauses() {
            self.pause();
        }
        self.note_shown();
        events.extend(self.books.news());
        self.queue.collect(events);
        self.outcomes += events.len();
        self.oom.look();
        self.account(events);
        self.crew.settle(events);
        let ended = self.crew.ended();
        if !ended.is_empty()
            && let Some(violation) = self.crew.lost_segment()
        {
            // Neither the workers nor their tasks are to blame: the next audit of the segment
            // begins a new epoch.
            self.queue.violation.get_or_insert(violation);
            return;
        }
        for ended in ended {
            let (worker, end) = self.crew.bury(ended);
            let claimed = self.queue.collect_from(worker, events);
            self.stopping.mark(events);
            let killed = self.stopping.lost(worker);
            if let Some(meter) = &mut self.meter {
                meter.lost(worker);
            }
            let starved = end == WorkerEnd::Signaled(SIGKILL) && self.oom.explains_a_kill();
            events.push(Event::WorkerGone { worker, end, claimed, starved, killed });
        }
        self.stopping.mark(events);
        if self.signals.child_exited() && !self.crew.reap_adopted() {
            self.signals.note_child_exit();
        }
        self.output.look_for_reader();
        if !std::mem::replace(&mut self.output_failed, self.output.failure().is_some()) {
            events.extend(self.output.failure().cloned().map(|failure| match failure {
                Failure::Closed => Event::OutputClosed {
                    in_vain: self.closing.shows_only,
                    quiet: self.closing.quiet,
                },
                Failure::Other(why) => Event::OutputFailed(why),
            }));
        }
        let pressure = self.output.is_under_pressure();
        if std::mem::replace(&mut self.under_pressure, pressure) != pressure {
            events.push(Event::OutputPressure(pressure));
        }
        if let Some(commits) = &mut self.commits {
            commits.hold(events);
            commits.look(&self.engine, &mut self.books, events);
        }
    }

    /// Takes groups of values for as long as the engine wants them: no wake-up comes for a group
    /// that is left waiting.
    pub(super) fn take_input(&mut self, effects: &mut Vec<Effect>) {
        if !self.first.is_empty() {
            let mut known = std::mem::take(&mut self.first);
            if let Some(commits) = &mut self.commits {
                known.iter_mut().for_each(|input| commits.claim(input, input.seq.unwrap_or(0)));
            }
            let known = Event::Inputs(known);
            self.engine.step(known, self.began.elapsed(), effects);
        }
        while self.engine.wants_input() {
            let event = match self.input.try_recv() {
                Ok(Group::Values(values)) => self.inputs(values),
                Ok(Group::Missing(values)) => {
                    self.missing += values;
                    continue;
                }
                Ok(Group::End(_)) => {
                    if let Some(text) = self.books.all_read() {
                        self.say(&text);
                    }
                    Event::InputsEnded
                }
                Ok(Group::Hint(text)) => {
                    self.say(&text);
                    continue;
                }
                Ok(Group::Failed(why)) => Event::InputFailed(why),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    Event::InputFailed("the input reader is gone".into())
                }
            };
            self.engine.step(event, self.began.elapsed(), effects);
        }
        self.read_on(effects);
    }

    /// Values, each with what is known of it.
    pub(super) fn inputs(&mut self, values: Vec<Vec<u8>>) -> Event {
        self.books.spool(&values);
        // Missing values keep their numbers.
        let missing = std::mem::take(&mut self.missing);
        let first = self.engine.accepted() + 1 + missing;
        let numbers = first..;
        let inputs = numbers.zip(values).map(|(number, value)| {
            let content = || self.queue.describe(&value, number);
            let key = || self.queue.outline_key(&value, number);
            let log = self.longest_first.as_ref();
            let expected = log.map(|log| log.expected(&key(), &content()));
            let (expected, earlier) =
                (expected.unwrap_or_default(), self.books.earlier(number, content));
            let seq = (number == first && missing > 0).then_some(number);
            let mut input = Input { value, seq, expected, earlier };
            if let Some(commits) = &mut self.commits {
                commits.claim(&mut input, number);
            }
            input
        });
        Event::Inputs(inputs.collect())
    }
}
