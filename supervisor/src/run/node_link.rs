//! What a run whose tasks come from a queue hears from its node (`msup node`), and tells it: how
//! many tasks it can have, which have finished, and which it gives back.
//!
//! A task that has made a file has finished when the file is complete. The node makes its result
//! known first, and only then the file is renamed to its place: of several nodes that run a task,
//! one places its file.

use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::mpsc::TryRecvError;
use std::time::{SystemTime, UNIX_EPOCH};

use msup_protocol::codec::{
    FinishedTask, MadeFile, NodeNote, NodeOrder, OutcomeFrame, QueuedTask, TriedKind,
};
use msup_protocol::sync::now_ns;

use super::Run;
use super::error::RunError;
use super::serving;
use crate::engine::{Earlier, Effect, Entry, Event, Input, Kind, Tried, View};
use crate::input::Group;
use crate::journal::Made;
use crate::output::Delivery;
use crate::output::files::committer::{CommitReport, Committer, Pair};
use crate::output::frames;

/// The signal that a node stops its tasks with, as far as the engine sees.
const SIGTERM: u8 = 15;

/// The node, and the tasks that are in its name here.
pub(super) struct NodeLink {
    /// Places files, or removes them.
    committer: Committer,
    /// The tasks that the node has sent and that have not finished.
    open: HashSet<u64>,
    /// Files that wait for an order, by the numbers of their tasks.
    made: HashMap<u64, (Pair, Made)>,
    /// Tasks whose files are being placed, by the names that the committer has for them.
    placing: HashMap<u16, u64>,
    next: u16,
    /// What the node was told last.
    capacity: Option<u32>,
    /// More tasks wait in the queue.
    has_more: bool,
    /// No more orders come.
    is_closed: bool,
}

impl NodeLink {
    /// # Errors
    /// No thread can be started.
    pub(super) fn open(doorbell: OwnedFd) -> Result<NodeLink, RunError> {
        // A power cut must not undo a rename that the node is told of: the task is done then.
        let is_durable = true;
        Ok(NodeLink {
            committer: Committer::start(is_durable, None, None, doorbell)?,
            open: HashSet::new(),
            made: HashMap::new(),
            placing: HashMap::new(),
            next: 0,
            capacity: None,
            has_more: false,
            is_closed: false,
        })
    }

    /// Whether files wait for orders, or are being placed.
    pub(super) fn is_busy(&self) -> bool {
        !self.placing.is_empty() || !self.made.is_empty() && !self.is_closed
    }

    /// Whether tasks wait that are not here.
    pub(super) fn has_more(&self) -> bool {
        self.has_more
    }

    fn place(&mut self, seq: u64) {
        let Some((pair, made)) = self.made.remove(&seq) else { return };
        while self.placing.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        self.placing.insert(self.next, seq);
        self.committer.place_together(Pair { slot: self.next, ..pair }, made);
        self.next = self.next.wrapping_add(1);
    }

    /// The result of another node counts.
    fn remove(&mut self, seq: u64) {
        if let Some((pair, _)) = self.made.remove(&seq) {
            self.committer.remove(pair.temporary);
        }
    }

    /// Files that were placed, or could not be: what the node is told.
    fn placed(&mut self) -> Vec<NodeNote> {
        let notes = self.committer.reports().into_iter().filter_map(|report| match report {
            CommitReport::Placed(name, placed) => {
                let seq = self.placing.remove(&name)?;
                Some(NodeNote::Placed { seq, why: placed.err().map(|why| why.to_string()) })
            }
            CommitReport::Secured(..) | CommitReport::JournalLost(_) => None,
        });
        notes.collect()
    }

    /// Tasks that have left the engine without an outcome: these are in its slots.
    fn returned(&mut self, in_slots: &HashSet<u64>) -> Vec<NodeNote> {
        self.open.extract_if(|seq| !in_slots.contains(seq)).map(NodeNote::Returned).collect()
    }
}

impl Run {
    /// Takes in what the node wants, all of it: a file that waits for an order must not wait behind
    /// tasks.
    pub(super) fn take_orders(&mut self, effects: &mut Vec<Effect>) {
        loop {
            match self.inputs.reader.try_recv() {
                Ok(Group::Orders(orders)) => {
                    orders.into_iter().for_each(|order| self.obey(order, effects));
                }
                Ok(Group::End(_)) => self.lose_node(None, effects),
                Ok(Group::Failed(why)) => self.lose_node(Some(why), effects),
                Ok(Group::Values(_) | Group::Missing(_) | Group::Hint(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return,
            }
        }
    }

    /// No more orders come. Files that wait for one stay where they are.
    fn lose_node(&mut self, why: Option<String>, effects: &mut Vec<Effect>) {
        let Some(node) = &mut self.inputs.node else { return };
        node.is_closed = true;
        let event = why.map_or(Event::InputsEnded, Event::InputFailed);
        self.engine.step(event, self.clock.now(), effects);
    }

    fn obey(&mut self, order: NodeOrder, effects: &mut Vec<Effect>) {
        let Some(node) = &mut self.inputs.node else { return };
        match order {
            NodeOrder::Run(task) => self.take_queued(task, effects),
            NodeOrder::More(has_more) => node.has_more = has_more,
            NodeOrder::Place(seq) => node.place(seq),
            NodeOrder::Remove(seq) => node.remove(seq),
            NodeOrder::Keep(seq) => drop(node.made.remove(&seq)),
            NodeOrder::Stop(level) => self.stop_to(level, effects),
        }
    }

    fn take_queued(&mut self, task: QueuedTask, effects: &mut Vec<Effect>) {
        let QueuedTask { seq, value, attempts, failures, crashes } = task;
        let tried = Tried { attempts, failures, crashes, ..Tried::default() };
        let earlier = if attempts == 0 { Earlier::Nothing } else { Earlier::Tried(tried) };
        let seq_of = Some(seq);
        let mut input = Input { value: value.into_vec(), seq: seq_of, earlier, ..Input::default() };
        if let Some(commits) = &mut self.commits {
            commits.claim(&mut input, seq);
        }
        if let Some(node) = &mut self.inputs.node {
            node.open.insert(seq);
        }
        self.engine.step(Event::Inputs(vec![input]), self.clock.now(), effects);
    }

    /// Stops the run as urgently as this number of signals would, unless it stops so already: those
    /// that stop the node often reach this process, too.
    fn stop_to(&mut self, level: u8, effects: &mut Vec<Effect>) {
        let is = u8::from(self.engine.is_stopped()) + u8::from(self.engine.was_killed());
        for _ in is..level {
            self.engine.step(Event::StopSignal(SIGTERM), self.clock.now(), effects);
        }
    }

    /// A task has finished: its outcome follows.
    pub(super) fn tell_finished(
        &mut self,
        slot: u16,
        outcome: Option<&OutcomeFrame>,
        end: Option<&Entry>,
    ) {
        let (Some(node), Some(Entry::End { seq, failure, .. })) = (&mut self.inputs.node, end)
        else {
            return;
        };
        let secured = self.commits.as_mut().and_then(|commits| commits.take_secured(slot));
        let file = match (secured, failure) {
            (Some((pair, made)), None) => {
                let file = made_file(&pair, made);
                node.made.insert(*seq, (pair, made));
                Some(file)
            }
            (Some((pair, _)), Some(_)) => {
                node.committer.remove(pair.temporary);
                None
            }
            (None, _) => None,
        };
        node.open.remove(seq);
        let (status, signal) = failure.as_ref().map_or((0, 0), |(cause, _)| cause.status());
        let finished = finished(*seq, outcome, (status, signal), file);
        self.shown.output.tell(frames::note(&NodeNote::Finished(finished)));
    }

    /// An attempt has failed and its task runs again; or a task has finished that has not run.
    pub(super) fn tell_tried(&mut self, entry: &Entry) {
        let Some(node) = &mut self.inputs.node else { return };
        match entry {
            Entry::Again { seq, kind, .. } => {
                let kind = match kind {
                    Kind::Failed => TriedKind::Failed,
                    Kind::Crashed => TriedKind::Crashed,
                    Kind::Lost | Kind::Starved => TriedKind::Lost,
                };
                self.shown.output.tell(frames::note(&NodeNote::Tried { seq: *seq, kind }));
            }
            Entry::End { seq, slot: None, failure, .. } => {
                node.open.remove(seq);
                let status = failure.as_ref().map_or((0, 0), |(cause, _)| cause.status());
                let note = NodeNote::Finished(finished(*seq, None, status, None));
                self.shown.output.tell(frames::note(&note));
                let served = serving::served(entry).map(Box::new);
                self.shown.deliver(Delivery { served, ..Delivery::nothing(*seq, *seq) });
            }
            _ => {}
        }
    }

    /// Tells the node how many tasks there can be here, which files are in their places, and what
    /// it gets back.
    pub(super) fn tell_node(&mut self, view: &View) {
        let Some(node) = &mut self.inputs.node else { return };
        let capacity = self.engine.capacity(view);
        let mut notes = node.placed();
        if node.capacity.replace(capacity) != Some(capacity) {
            notes.push(NodeNote::Capacity(capacity));
        }
        if self.engine.is_stopped() && !node.open.is_empty() {
            notes.extend(node.returned(&self.engine.numbers_in_slots().collect()));
        }
        notes.iter().for_each(|note| self.shown.output.tell(frames::note(note)));
    }
}

fn made_file(pair: &Pair, made: Made) -> MadeFile {
    let absolute = |path: &Path| {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        path.as_os_str().as_bytes().to_vec().into()
    };
    let [temporary, target] = [&pair.temporary, &pair.target].map(|path| absolute(path));
    MadeFile { temporary, target, size: made.size, mtime: made.mtime }
}

fn finished(
    seq: u64,
    outcome: Option<&OutcomeFrame>,
    (status, signal): (i16, u8),
    file: Option<MadeFile>,
) -> FinishedTask {
    const NS_PER_US: u64 = 1000;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_us = now.as_micros() as u64;
    let ago = |began_ns| now_ns().saturating_sub(began_ns) / NS_PER_US;
    FinishedTask {
        seq,
        began_us: outcome.map_or(now_us, |outcome| now_us.saturating_sub(ago(outcome.began_ns))),
        wall_us: outcome.map_or(0, |outcome| outcome.wall_ns / NS_PER_US),
        cpu_us: outcome.map_or(0, |outcome| outcome.usage.cpu_ns / NS_PER_US),
        memory: outcome.map_or(0, |outcome| outcome.usage.peak),
        status,
        signal,
        file,
    }
}
