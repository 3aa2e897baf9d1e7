//! What follows for the readers of a task when it is known what has become of it.

use super::Files;
use super::graph::{Domain, Feed, StageId};
use super::items::ItemId;
use super::keys::{Digester, Made, TaskKey};
use super::min::Min;
use super::state::Pipeline;
use super::task::{RunReason, Task, TaskEnd, TaskId, TaskState};

impl Pipeline {
    /// Adds the tasks of a stage for new items.
    pub(super) fn begin(&mut self, stage: StageId, items: std::ops::Range<ItemId>) {
        self.tasks[stage].reserve(items.len());
        for item in items {
            let id = TaskId { stage, item };
            let name = self.items.name(&self.graph, stage, item);
            self.tasks[stage].push(Task { name, ..Task::default() });
            self.names.get_mut().map(|names| names.insert(name));
            if !self.progress[stage].is_active {
                continue;
            }
            let mut waits_for = 0;
            let mut is_bad = false;
            if let Feed::Gather(_) = self.graph.stages[stage].feed {
                waits_for = 1;
            }
            for (parent, task) in self.parents_of(id) {
                match task {
                    _ if self.graph.stages[parent.stage].emits.is_some() => {}
                    // The parent's tasks come later in this source: none has finished.
                    Some(task) if (task.item as usize) < self.tasks[task.stage].len() => {
                        let state = self.task(task).state;
                        is_bad |= state.is_bad();
                        waits_for += u32::from(!state.is_settled());
                    }
                    Some(_) => waits_for += 1,
                    None => is_bad = true,
                }
            }
            self.task_mut(id).waits_for = waits_for;
            if waits_for == 0 || is_bad {
                self.undecided.push_back(id);
            }
        }
    }

    /// Decides what becomes of at most this number of tasks.
    pub(crate) fn advance(&mut self, at_most: usize, files: &mut dyn Files) {
        for _ in 0..at_most {
            let Some(id) = self.undecided.pop_front() else { return };
            if self.task(id).state != TaskState::Waiting {
                continue;
            }
            match self.graph.stages[id.stage].feed {
                Feed::Gather(gathered) => self.decide_gather(id, gathered, files),
                Feed::Source | Feed::After(_) => self.decide(id, files),
            }
        }
    }

    /// Whether [`Pipeline::advance`] has more to do.
    pub(crate) fn has_undecided(&self) -> bool {
        !self.undecided.is_empty()
    }

    /// A gather whose stage has finished.
    fn decide_gather(&mut self, id: TaskId, gathered: StageId, files: &mut dyn Files) {
        let min = self.graph.stages[id.stage].min;
        // A task that was to emit items for it, and has not, stands for one item at least.
        let stages = std::iter::once(gathered).chain(self.emitters_above(gathered));
        let states = stages.flat_map(|stage| self.tasks[stage].iter().map(|task| task.state));
        let (mut bad, mut left, mut would_run) = (0, false, false);
        for state in states {
            bad += u64::from(state.is_bad());
            left |= state == TaskState::Left;
            would_run |= state == TaskState::WouldRun;
        }
        let inputs = self.gathered(gathered);
        let all = bad + inputs.len() as u64;
        if left {
            return self.settle(id, TaskState::Left);
        }
        if !min.is_met(all - bad, all) {
            if min == Min::All {
                return self.settle(id, TaskState::Skipped);
            }
            let why = format!("min = {min}: {} of {all} items got there", all - bad);
            self.outputs.refused.insert(id, why);
            self.note_reason(id, RunReason::CannotRun);
            return match self.asked.is_dry {
                true => self.settle(id, TaskState::WouldRun),
                false => self.make_ready(id),
            };
        }
        let mut digester = Digester::default();
        let emits = self.graph.stages[gathered].emits.is_some();
        for (path, made, key) in &inputs {
            let made = if emits { files.look(path) } else { *made };
            digester.add(path).add_made(made).add(key.bytes());
        }
        let ids = 0..self.tasks[gathered].len() as ItemId;
        let has_run = ids.into_iter().any(|item| self.has_run(TaskId { stage: gathered, item }));
        self.conclude(id, digester.key(), (would_run, has_run), files);
    }

    /// The stages whose tasks emit the items of this one, and the items of those.
    fn emitters_above(&self, stage: StageId) -> impl Iterator<Item = StageId> {
        let emitter = |stage: StageId| match self.graph.stages[stage].domain {
            Domain::Emitted(emitter) => Some(emitter),
            Domain::Single | Domain::Source(_) => None,
        };
        std::iter::successors(emitter(stage), move |stage| emitter(*stage))
    }

    /// The tasks whose outputs a gather of this stage reads.
    pub(super) fn gathered_tasks(&self, stage: StageId) -> Vec<TaskId> {
        let domain = self.graph.stages[stage].domain;
        let items = self.items.in_order(&self.graph, domain).into_iter();
        let tasks = items.map(|item| TaskId { stage, item });
        tasks.filter(|task| !self.task(*task).state.is_bad()).collect()
    }

    /// What a gather reads, in the order of the sources: what each task shows, its identity, or its
    /// key where it has no output.
    pub(super) fn gathered(&self, stage: StageId) -> Vec<(Vec<u8>, Option<Made>, TaskKey)> {
        let of = &self.graph.stages[stage];
        let items = self.items.in_order(&self.graph, self.graph.given(stage));
        let mut all = Vec::with_capacity(items.len());
        for item in items {
            if of.emits.is_some() {
                let value = self.items.value(Domain::Emitted(stage), item);
                all.push((value.to_vec(), None, TaskKey::default()));
                continue;
            }
            let id = TaskId { stage, item };
            let task = self.task(id);
            if !task.state.is_bad() {
                let key = if of.has_out { TaskKey::default() } else { task.key };
                all.push((self.shown(id, None), task.identity, key));
            }
        }
        all
    }

    /// A task that was handed out has finished.
    pub(crate) fn ended(&mut self, id: TaskId, ended: TaskEnd) {
        self.progress[id.stage].in_flight -= 1;
        let was_again = self.task(id).state == TaskState::RunningAgain;
        match ended {
            TaskEnd::Succeeded { made, values } => {
                let keeps = self.keeps(id);
                let is_temporary = self.graph.stages[id.stage].temporary;
                let task = self.task_mut(id);
                task.identity = keeps.or(made);
                task.is_there = is_temporary && made.is_some();
                match made.filter(|made| Some(*made) != keeps && keeps.is_some()) {
                    Some(made) => drop(self.outputs.made_again.insert(id, made)),
                    None => drop(self.outputs.made_again.remove(&id)),
                }
                if was_again {
                    self.task_mut(id).state = TaskState::Succeeded;
                    self.finish_with_inputs(id);
                    return self.release_waiting(id);
                }
                self.emit(id, values);
                self.settle(id, TaskState::Succeeded);
            }
            TaskEnd::Failed => {
                let domain = self.graph.stages[id.stage].domain;
                self.failed_items.insert((domain, id.item));
                if was_again {
                    self.task_mut(id).state = TaskState::Failed;
                    self.outputs.lost.insert(id);
                    return self.fail_waiting(id);
                }
                self.settle(id, TaskState::Failed);
            }
        }
    }

    /// The identity that the output of a task keeps.
    pub(super) fn keeps(&self, id: TaskId) -> Option<Made> {
        if !self.graph.stages[id.stage].temporary || self.progress[id.stage].is_forced {
            return None;
        }
        self.past_of(id)?.success.as_ref()?.identity
    }

    /// What a task has emitted becomes items.
    pub(super) fn emit(&mut self, id: TaskId, values: Vec<Vec<u8>>) {
        if self.graph.stages[id.stage].emits.is_none() {
            return;
        }
        let domain = Domain::Emitted(id.stage);
        values.iter().for_each(|value| self.outputs.note_emitted(value));
        let added = self.items.add(domain, id.item, values);
        for stage in self.graph.order.clone() {
            if self.graph.stages[stage].domain == domain {
                self.begin(stage, added.clone());
            }
        }
    }

    /// It is known what has become of a task.
    pub(super) fn settle(&mut self, id: TaskId, state: TaskState) {
        self.task_mut(id).state = state;
        self.progress[id.stage].settled += 1;
        self.progress[id.stage].up_to_date += usize::from(state == TaskState::UpToDate);
        self.note_finished(id.stage);
        if state.is_good() {
            self.count_ahead(id, state);
        }
        self.finish_with_inputs(id);
        if self.graph.stages[id.stage].emits.is_some() {
            return;
        }
        for reader in self.graph.stages[id.stage].readers.clone() {
            let is_gather = matches!(self.graph.stages[reader].feed, Feed::Gather(_));
            if is_gather || !self.progress[reader].is_active {
                continue;
            }
            for task in self.readers_in(reader, id) {
                let waits = &mut self.task_mut(task).waits_for;
                *waits = waits.saturating_sub(1);
                if *waits == 0 || state.is_bad() {
                    self.undecided.push_back(task);
                }
            }
        }
        self.remove_if_unneeded(id);
    }

    /// Finds out whether a stage has finished, and what follows.
    pub(super) fn note_finished(&mut self, stage: StageId) {
        let is_complete = match self.graph.stages[stage].domain {
            Domain::Emitted(emitter) => self.progress[emitter].is_finished,
            Domain::Single | Domain::Source(_) => true,
        };
        let progress = &mut self.progress[stage];
        let all = self.tasks[stage].len();
        if !is_complete || progress.is_finished || progress.is_active && progress.settled < all {
            return;
        }
        progress.is_finished = true;
        if !progress.is_active {
            return;
        }
        for reader in self.graph.stages[stage].readers.clone() {
            let is_gather = matches!(self.graph.stages[reader].feed, Feed::Gather(_));
            if is_gather && self.progress[reader].is_active {
                self.undecided.push_back(TaskId { stage: reader, item: 0 });
            }
        }
        for other in self.graph.order.clone() {
            if self.graph.stages[other].domain == Domain::Emitted(stage) {
                self.note_finished(other);
            }
        }
    }
}
