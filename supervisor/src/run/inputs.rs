//! Takes in the values that the reader hands over.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};

use msup_protocol::extent;

use super::Run;
use super::error::RunError;
use super::node_link::NodeLink;
use super::pipeline::PipelineRun;
use super::reading_on::ReadingOn;
use super::share::Share;
use crate::arguments;
use crate::cli::{JobLog, LoggedState, PipelinePlan, ResumingPlan, Values};
use crate::engine::{Earlier, Effect, Event, Input, Tried, Turn};
use crate::input::{self, DealEnd, Group, Room, Source};

/// Where values come from, and what is known of them.
pub(super) struct Inputs {
    pub(super) reader: Receiver<Group>,
    pub(super) reading_on: ReadingOn,
    known: KnownTasks,
    /// The number of values missing before the next one that is read.
    missing: u64,
    pub(super) share: Share,
    longest_first: Option<JobLog>,
    /// The memory that blocks take.
    pub(super) room: Option<Arc<Room>>,
    /// Ends the dealing of blocks.
    stop: Option<Arc<DealEnd>>,
    /// What an earlier run has done is not done again.
    resuming: Option<ResumingPlan>,
    /// Why no more values are taken: one line.
    refused: Option<String>,
    /// An earlier run, whose tasks are not done again, was of other commands.
    pub(super) is_refused: bool,
    /// Values may have several arguments.
    several: bool,
    /// They are places of blocks.
    are_blocks: bool,
    /// Tasks come from a pipeline.
    pub(super) pipeline: Option<PipelineRun>,
    /// They come from a queue: what its node is told, and wants.
    pub(super) node: Option<NodeLink>,
}

/// What is known of tasks before any value is read.
struct KnownTasks {
    tasks: Vec<Input>,
    /// The largest number of an emitted task in earlier generations, if not all of them are known.
    last_emitted: Option<u64>,
}

impl Inputs {
    /// Starts the reader.
    ///
    /// # Errors
    /// No thread can be started.
    pub(super) fn start(
        values: Values,
        (known, last_emitted, resuming): (Vec<Input>, Option<u64>, Option<ResumingPlan>),
        doorbell: OwnedFd,
    ) -> Result<Inputs, RunError> {
        let Values { source, format, room, longest_first, shard, .. } = values;
        let node = matches!(source, Source::Node { .. });
        let node = node.then(|| doorbell.try_clone().map_err(RunError::of("eventfd")));
        let node = node.transpose()?.map(NodeLink::open).transpose()?;
        Ok(Inputs {
            several: format.several,
            are_blocks: matches!(source, Source::Blocks(_)),
            reading_on: ReadingOn::new(source.is_all_there()),
            reader: input::start(source, format, doorbell)?,
            known: KnownTasks { tasks: known, last_emitted },
            missing: 0,
            share: Share::of(shard),
            longest_first,
            room,
            stop: None,
            resuming,
            refused: None,
            is_refused: false,
            pipeline: None,
            node,
        })
    }

    /// Tasks come from this pipeline, if there is one; `stop` ends the dealing of blocks.
    /// Returns what is to be said of an interrupted run.
    pub(super) fn take_up(
        &mut self,
        pipeline: Option<Box<PipelinePlan>>,
        stop: Option<Arc<DealEnd>>,
    ) -> Vec<String> {
        self.stop = stop;
        let words = pipeline.as_ref().map(|pipeline| pipeline.words.clone());
        self.pipeline = pipeline.map(|pipeline| PipelineRun::new(*pipeline));
        words.unwrap_or_default()
    }

    /// The number of bytes of the block of this value, if it is one.
    fn block_len(&self, value: &[u8]) -> Option<u64> {
        let parts = extent::of_value(value).filter(|_| self.are_blocks)?;
        Some(parts.iter().map(|part| part.len).sum())
    }

    /// More may lie ready: no wake-up comes for that.
    pub(super) fn has_more(&self) -> bool {
        self.reading_on.has_more || self.pipeline.as_ref().is_some_and(PipelineRun::has_more)
    }
}

impl Run {
    /// Takes groups of values for as long as the engine wants them: no wake-up comes for a group
    /// that is left waiting.
    pub(super) fn take_input(&mut self, effects: &mut Vec<Effect>) {
        if self.inputs.pipeline.is_some() {
            return self.feed_pipeline(effects);
        }
        if self.inputs.node.is_some() {
            return self.take_orders(effects);
        }
        let mut known = std::mem::take(&mut self.inputs.known.tasks);
        if !known.is_empty() {
            if let Some(commits) = &mut self.commits {
                known.iter_mut().for_each(|input| commits.claim(input, input.seq.unwrap_or(0)));
            }
            if let Some(filer) = &mut self.shown.filer {
                known.iter_mut().for_each(|input| filer.claim(input, input.seq.unwrap_or(0)));
            }
            self.engine.step(Event::Inputs(known), self.clock.now(), effects);
        }
        if let Some(last) = self.inputs.known.last_emitted.take() {
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
                    self.end_of_list(effects)
                }
                Ok(Group::Hint(text)) => {
                    self.shown.say(&text);
                    continue;
                }
                Ok(Group::Failed(why)) => Event::InputFailed(why),
                // Only a node gives orders.
                Ok(Group::Orders(_)) => continue,
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    Event::InputFailed("the input reader is gone".into())
                }
            };
            self.engine.step(event, self.clock.now(), effects);
            if let Some(why) = self.inputs.refused.take() {
                self.inputs.is_refused = true;
                self.engine.step(Event::InputFailed(why), self.clock.now(), effects);
            }
            if let Some(tasks) = self.engine.last_number() {
                self.queue.totals.tasks = self.queue.totals.tasks.max(tasks);
            }
        }
        if let Some(stop) = self.inputs.stop.as_ref().filter(|_| self.engine.is_stopped()) {
            stop.set();
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
        let (missing, others) = (self.inputs.missing, self.inputs.share.others());
        let first = self.engine.accepted_values() + 1 + missing + others;
        let mut inputs = Vec::with_capacity(values.len());
        for (number, value) in (first..).zip(values) {
            if self.inputs.share.leaves_out(number, &value) {
                // Its file is the one of another shard's task.
                self.commits.iter_mut().for_each(|commits| commits.leave(&value, number));
                continue;
            }
            let content = || self.queue.describe(&value, number);
            let key = || self.queue.outline_key(&value, number);
            let log = self.inputs.longest_first.as_ref();
            let expected = log.map(|log| log.expected(&key(), &content()));
            let (expected, earlier) =
                (expected.unwrap_or_default(), self.log.earlier(number, &value, content));
            let earlier = match self.done_elsewhere(earlier, &value, number) {
                Ok(earlier) => earlier,
                Err(other) => {
                    self.inputs.refused = Some(other);
                    break;
                }
            };
            if self.log.replays(number) {
                let has_failed = self.log.replays_failure(number);
                self.shown.looks.insert(number, self.queue.looks(&value, number, has_failed));
            }
            let missing = std::mem::take(&mut self.inputs.missing);
            let seq = (missing > 0).then_some(number);
            let turn = Turn { expected, ..Turn::NEXT };
            let others = self.inputs.share.take_others();
            let mut input = Input { value, seq, others, turn, earlier };
            if let Some(commits) = &mut self.commits {
                commits.claim(&mut input, number);
            }
            if let Some(filer) = &mut self.shown.filer {
                filer.claim(&mut input, number);
            }
            inputs.push(input);
        }
        Event::Inputs(inputs)
    }

    /// All values were read: the last ones may be no tasks of this run.
    pub(super) fn end_of_list(&mut self, effects: &mut Vec<Effect>) -> Event {
        let others = self.inputs.share.take_others();
        self.engine.step(Event::OfOthers(others), self.clock.now(), effects);
        match self.inputs.share.digest().map(|digest| self.log.note_list(digest)) {
            Some(Err(why)) => Event::InputFailed(why),
            _ => Event::InputsEnded,
        }
    }

    /// What happened to a task before. Where the journal does not know it, a joblog or the files of
    /// results may do.
    ///
    /// # Errors
    /// The joblog is of other commands: one line.
    fn done_elsewhere(&self, earlier: Earlier, value: &[u8], seq: u64) -> Result<Earlier, String> {
        let is_known = match &earlier {
            Earlier::Nothing => false,
            Earlier::Tried(tried) => *tried != Tried::default(),
            _ => true,
        };
        let Some(resuming) = self.inputs.resuming.as_ref().filter(|_| !is_known) else {
            return Ok(earlier);
        };
        if let Some(logged) = &resuming.logged {
            let (command, key) =
                (self.queue.describe(value, seq), self.queue.outline_key(value, seq));
            let state = logged.look(seq, &command, &key, self.inputs.block_len(value));
            let state = state.map_err(|other| other.to_string())?;
            match state {
                LoggedState::Open => {}
                LoggedState::Succeeded => return Ok(Earlier::Succeeded),
                LoggedState::Failed => return Ok(Earlier::PassedOver { has_failed: true }),
            }
        }
        let has_results =
            || self.shown.filer.as_ref().is_some_and(|filer| filer.has_results(value, seq));
        // Whether it has succeeded is not known; it is not run again.
        let is_done = resuming.by_results && has_results();
        Ok(if is_done { Earlier::PassedOver { has_failed: false } } else { earlier })
    }
}
