//! Which of the tasks that could run is next.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use super::graph::{Feed, Graph, StageId};
use super::items::ItemId;
use super::state::Pipeline;
use super::task::{GatheredLists, TaskId, TaskOrder, TaskState};

/// The tasks that could run, by stage; of each stage the longest first.
#[derive(Debug)]
pub(super) struct ReadyTasks {
    tasks: Vec<BTreeSet<(Reverse<u64>, ItemId)>>,
    /// The stages, the last ones of the pipeline first.
    stages: Vec<StageId>,
}

impl ReadyTasks {
    pub(super) fn new(graph: &Graph) -> ReadyTasks {
        let mut stages = graph.order.clone();
        stages.sort_by_key(|stage| Reverse(graph.stages[*stage].depth));
        ReadyTasks { tasks: vec![BTreeSet::new(); stages.len()], stages }
    }

    pub(super) fn push(&mut self, id: TaskId, expected: Duration) {
        let millis = u64::try_from(expected.as_millis()).unwrap_or(u64::MAX);
        self.tasks[id.stage].insert((Reverse(millis), id.item));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.iter().all(BTreeSet::is_empty)
    }
}

impl Pipeline {
    /// Takes the next task that may run. `wants_first`: tasks of the first stages are wanted, too;
    /// those of later stages are taken while fewer than `room` of these are in flight.
    pub(crate) fn take(&mut self, wants_first: bool, room: u32) -> Option<TaskOrder> {
        let stage = self.next_stage(wants_first, room)?;
        let (_, item) = self.ready.tasks[stage].pop_first()?;
        let id = TaskId { stage, item };
        self.progress[stage].in_flight += 1;
        let state = &mut self.task_mut(id).state;
        *state =
            if *state == TaskState::Again { TaskState::RunningAgain } else { TaskState::Running };
        Some(self.order(id))
    }

    fn next_stage(&self, wants_first: bool, room: u32) -> Option<StageId> {
        let mut in_flight = 0;
        let mut held_back = None;
        for stage in &self.ready.stages {
            in_flight += self.progress[*stage].in_flight;
            if self.ready.tasks[*stage].is_empty() {
                continue;
            }
            let is_wanted = wants_first || self.graph.stages[*stage].depth > 1 && in_flight < room;
            if !is_wanted || self.is_full(*stage) {
                continue;
            }
            if !self.is_far_ahead(*stage) {
                return Some(*stage);
            }
            held_back = held_back.or(Some(*stage));
        }
        // Readers may wait for outputs of several stages, each of which is ahead.
        held_back.filter(|_| self.in_flight() == 0)
    }

    /// Whether no more tasks of a stage may run at once.
    fn is_full(&self, stage: StageId) -> bool {
        let max = self.graph.stages[stage].max;
        max.is_some_and(|max| self.progress[stage].in_flight >= max)
    }

    fn is_far_ahead(&self, stage: StageId) -> bool {
        let of = &self.graph.stages[stage];
        let limit = of.ahead.or_else(|| of.temporary.then_some(self.asked.ahead));
        let progress = &self.progress[stage];
        limit.is_some_and(|limit| progress.ahead + progress.in_flight >= limit)
    }

    /// A task has succeeded: it is ahead of its readers, if each item has one of its own.
    pub(super) fn count_ahead(&mut self, id: TaskId, state: TaskState) {
        let reads_each = |reader: &StageId| {
            let is_each = matches!(self.graph.stages[*reader].feed, Feed::After(_));
            is_each && self.progress[*reader].is_active
        };
        let is_ahead = self.graph.stages[id.stage].readers.iter().any(reads_each);
        if is_ahead && state == TaskState::Succeeded {
            self.task_mut(id).is_ahead = true;
            self.progress[id.stage].ahead += 1;
        }
    }

    /// How long a task took when it ran last.
    pub(super) fn expected(&self, id: TaskId) -> Duration {
        let success = self.history.of(self.name_of(id)).and_then(|past| past.success.as_ref());
        let seconds = success.map_or(0.0, |success| success.seconds);
        Duration::try_from_secs_f32(seconds).unwrap_or_default()
    }

    /// Whether a task was found to be one that must not run.
    pub(crate) fn is_refused(&self, id: TaskId) -> bool {
        self.outputs.refused.contains_key(&id)
    }

    /// Why a task cannot run, if it cannot.
    fn refusal(&self, id: TaskId) -> Option<String> {
        if let Some(why) = self.outputs.refused.get(&id) {
            return Some(why.clone());
        }
        let arguments = self.arguments_of(id).unwrap_or_default();
        let job = self.stages.get(id.stage);
        if job.cannot_read(&arguments) {
            return Some("a worker cannot read a path with a tab or a newline".to_owned());
        }
        let is_long = job.for_none.is_some() && !job.fits(&arguments, self.asked.room);
        is_long.then(|| "{inputs} do not fit on a command line: use {list} or {list0}".to_owned())
    }

    fn order(&self, id: TaskId) -> TaskOrder {
        let gathers = match self.graph.stages[id.stage].feed {
            Feed::Gather(gathered) if self.wants_lists(id.stage) => Some(gathered),
            _ => None,
        };
        let lists = gathers.map(|gathered| GatheredLists {
            paths: self.gathered(gathered).into_iter().map(|(path, ..)| path).collect(),
            reads_lines: self.stages.get(id.stage).reads_lines,
        });
        let name = self.name_of(id);
        let key = self.task(id).key;
        let unfinished = self.history.of(name).filter(|past| past.key == key);
        TaskOrder {
            task: id,
            name,
            key,
            command: self.kinds[id.stage].command,
            inputs: self.task(id).inputs,
            content: self.content_of_order(id),
            has_out: self.graph.stages[id.stage].has_out,
            keeps: self.keeps(id),
            value: self.shown_name(id),
            arguments: self.arguments_of(id),
            lists,
            refused: self.refusal(id),
            rank: self.graph.stages[id.stage].depth,
            expected: self.expected(id),
            unfinished: unfinished.and_then(|past| past.unfinished.as_deref().copied()),
        }
    }
}
