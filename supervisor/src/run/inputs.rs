//! Takes in the values that the reader hands over.

use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, TryRecvError};

use super::Run;
use super::error::RunError;
use super::reading_on::ReadingOn;
use crate::arguments;
use crate::cli::{JobLog, Values};
use crate::engine::{Effect, Event, Input};
use crate::input::{self, Group};

/// Where values come from, and what is known of them.
pub(super) struct Inputs {
    pub(super) reader: Receiver<Group>,
    pub(super) reading_on: ReadingOn,
    /// Tasks that are known before any value is read.
    known: Vec<Input>,
    /// The largest number of an emitted task in earlier generations, if not all of them are known.
    last_emitted: Option<u64>,
    /// The number of values missing before the next one that is read.
    missing: u64,
    longest_first: Option<JobLog>,
    /// Values may have several arguments.
    several: bool,
}

impl Inputs {
    /// Starts the reader.
    ///
    /// # Errors
    /// No thread can be started.
    pub(super) fn start(
        values: Values,
        (known, last_emitted): (Vec<Input>, Option<u64>),
        doorbell: OwnedFd,
    ) -> Result<Inputs, RunError> {
        let Values { source, format, longest_first } = values;
        Ok(Inputs {
            several: format.several,
            reading_on: ReadingOn::new(source.is_all_there()),
            reader: input::start(source, format, doorbell)?,
            known,
            last_emitted,
            missing: 0,
            longest_first,
        })
    }

    /// More may lie ready: no wake-up comes for that.
    pub(super) fn has_more(&self) -> bool {
        self.reading_on.has_more
    }
}

impl Run {
    /// Takes groups of values for as long as the engine wants them: no wake-up comes for a group
    /// that is left waiting.
    pub(super) fn take_input(&mut self, effects: &mut Vec<Effect>) {
        let mut known = std::mem::take(&mut self.inputs.known);
        if !known.is_empty() {
            if let Some(commits) = &mut self.commits {
                known.iter_mut().for_each(|input| commits.claim(input, input.seq.unwrap_or(0)));
            }
            self.engine.step(Event::Inputs(known), self.clock.now(), effects);
        }
        if let Some(last) = self.inputs.last_emitted.take() {
            self.engine.step(Event::Reserved(last), self.clock.now(), effects);
        }
        while self.engine.wants_input() {
            let event = match self.inputs.reader.try_recv() {
                Ok(Group::Values(values)) => self.describe(values),
                Ok(Group::Missing(values)) => {
                    self.inputs.missing += values;
                    continue;
                }
                Ok(Group::End(_)) => {
                    if let Some(text) = self.log.all_read() {
                        self.shown.say(&text);
                    }
                    Event::InputsEnded
                }
                Ok(Group::Hint(text)) => {
                    self.shown.say(&text);
                    continue;
                }
                Ok(Group::Failed(why)) => Event::InputFailed(why),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    Event::InputFailed("the input reader is gone".into())
                }
            };
            self.engine.step(event, self.clock.now(), effects);
        }
        self.read_on(effects);
    }

    /// Values, each with what is known of it.
    pub(super) fn describe(&mut self, values: Vec<Vec<u8>>) -> Event {
        match self.inputs.several {
            true => {
                let escaped: Vec<_> = values.iter().map(|v| arguments::escape(v)).collect();
                self.log.spool(&escaped);
            }
            false => self.log.spool(&values),
        }
        // Missing values keep their numbers.
        let missing = std::mem::take(&mut self.inputs.missing);
        let first = self.engine.accepted_values() + 1 + missing;
        let numbers = first..;
        let inputs = numbers.zip(values).map(|(number, value)| {
            let content = || self.queue.describe(&value, number);
            let key = || self.queue.outline_key(&value, number);
            let log = self.inputs.longest_first.as_ref();
            let expected = log.map(|log| log.expected(&key(), &content()));
            let (expected, earlier) =
                (expected.unwrap_or_default(), self.log.earlier(number, &value, content));
            if self.log.replays(number) {
                self.shown.tags.insert(number, self.queue.tag(&value, number));
            }
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
