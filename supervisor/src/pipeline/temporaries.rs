//! Temporary outputs: removed when every task that reads them has succeeded, made again when one of
//! these must run again.

use std::collections::HashSet;

use super::checking::Arguments;
use super::graph::{Domain, Feed, StageId, Via};
use super::items::ItemId;
use super::state::Pipeline;
use super::task::{Removal, RunReason, TaskId, TaskState};

/// Tasks that were found on the way through others; each once.
#[derive(Default)]
struct Read {
    found: Vec<TaskId>,
    passed: HashSet<TaskId>,
}

impl Pipeline {
    /// A task is to run, as soon as the temporary outputs that it reads are there.
    pub(super) fn make_ready(&mut self, id: TaskId) {
        self.task_mut(id).state = TaskState::Ready;
        self.await_inputs(id);
    }

    fn await_inputs(&mut self, id: TaskId) {
        let read = self.read_by(id);
        let is_lost = |task: &TaskId| self.gathers(id) == Some(task.stage);
        // A gather must not do with less than it had.
        if self.outputs.lost.iter().any(is_lost) {
            return self.skip(id);
        }
        for parent in &read {
            let task = self.task(*parent);
            if task.state.is_good() && !task.is_there {
                self.make_again(*parent);
            }
        }
        if read.iter().any(|parent| self.task(*parent).state.is_bad()) {
            // It could not be made again, for another reader or for this one.
            return self.skip(id);
        }
        let missing = read.iter().filter(|parent| self.task(**parent).state.is_again()).count();
        self.task_mut(id).waits_for = missing as u32;
        if missing == 0 {
            let expected = self.expected(id);
            self.ready.push(id, expected);
        }
    }

    fn make_again(&mut self, id: TaskId) {
        self.task_mut(id).state = TaskState::Again;
        self.note_reason(id, RunReason::MadeAgain);
        self.await_inputs(id);
    }

    /// In a dry run: the temporary outputs that this task reads would be made again. Each counts
    /// once.
    pub(super) fn note_missing(&mut self, id: TaskId) {
        for parent in self.read_by(id) {
            let task = self.task_mut(parent);
            if task.state.is_good() && !std::mem::replace(&mut task.is_there, true) {
                self.note_reason(parent, RunReason::MadeAgain);
                self.note_missing(parent);
            }
        }
    }

    /// The tasks with temporary outputs that this one reads.
    fn read_by(&self, id: TaskId) -> Vec<TaskId> {
        let mut read = Read::default();
        match self.graph.stages[id.stage].feed {
            Feed::Source => {}
            Feed::Gather(stage) => {
                for task in self.gathered_tasks(stage) {
                    self.look_through(task, &mut read);
                }
            }
            Feed::After(_) => {
                for (_, task) in self.parents_of(id) {
                    task.into_iter().for_each(|task| self.look_through(task, &mut read));
                }
            }
        }
        read.found
    }

    /// The task with the output that this one shows: it may show what it reads itself.
    fn look_through(&self, id: TaskId, read: &mut Read) {
        if !read.passed.insert(id) {
            return;
        }
        if self.graph.stages[id.stage].temporary {
            read.found.push(id);
        } else if self.passes_on(id.stage) {
            for (_, task) in self.parents_of(id) {
                task.into_iter().for_each(|task| self.look_through(task, read));
            }
        }
    }

    /// Whether tasks of a stage show what they read as their own.
    fn passes_on(&self, stage: StageId) -> bool {
        let stage = &self.graph.stages[stage];
        !stage.has_out && stage.emits.is_none() && matches!(stage.feed, Feed::After(_))
    }

    /// A temporary output is there again.
    pub(super) fn release_waiting(&mut self, id: TaskId) {
        for reader in self.waiting_for(id) {
            let waits = &mut self.task_mut(reader).waits_for;
            *waits -= 1;
            if *waits == 0 {
                let expected = self.expected(reader);
                self.ready.push(reader, expected);
            }
        }
        self.remove_if_unneeded(id);
    }

    /// A temporary output could not be made again.
    pub(super) fn fail_waiting(&mut self, id: TaskId) {
        for reader in self.waiting_for(id) {
            self.task_mut(reader).waits_for = 0;
            self.skip(reader);
        }
    }

    /// What a task reads cannot be made.
    fn skip(&mut self, id: TaskId) {
        match self.task(id).state {
            TaskState::Again => {
                self.task_mut(id).state = TaskState::Skipped;
                self.outputs.lost.insert(id);
                self.fail_waiting(id);
            }
            _ => self.settle(id, TaskState::Skipped),
        }
    }

    /// The tasks that wait for the temporary output of this one.
    fn waiting_for(&self, id: TaskId) -> Vec<TaskId> {
        let mut read = Read::default();
        self.readers_through(id, &mut read);
        let mut readers = read.found;
        readers.retain(|reader| {
            let task = self.task(*reader);
            task.waits_for > 0 && matches!(task.state, TaskState::Ready | TaskState::Again)
        });
        readers
    }

    /// The tasks that read the output of this one, also those that it is shown to by others.
    fn readers_through(&self, id: TaskId, read: &mut Read) {
        for reader in &self.graph.stages[id.stage].readers {
            let shows_it = self.passes_on(*reader);
            for task in self.readers_in(*reader, id) {
                if read.passed.insert(task) {
                    read.found.push(task);
                    if shows_it {
                        self.readers_through(task, read);
                    }
                }
            }
        }
    }

    /// A task has finished with what it reads.
    pub(super) fn finish_with_inputs(&mut self, id: TaskId) {
        for parent in self.read_by(id) {
            self.remove_if_unneeded(parent);
        }
        for (_, task) in self.parents_of(id) {
            let Some(task) = task else { continue };
            if std::mem::replace(&mut self.task_mut(task).is_ahead, false) {
                self.progress[task.stage].ahead -= 1;
            }
        }
        if self.graph.stages[id.stage].emits.is_some() {
            self.finish_beside(id);
        }
    }

    /// What a task has emitted is known: joins with the items above may have no items.
    fn finish_beside(&mut self, id: TaskId) {
        let (emitted, own) = (Domain::Emitted(id.stage), self.graph.stages[id.stage].domain);
        let mut beside = Read::default();
        for stage in &self.graph.stages {
            let Feed::After(parents) = &stage.feed else { continue };
            let Some(below) = self.graph.steps(stage.domain, emitted) else { continue };
            for parent in parents {
                let item = match parent.via {
                    Via::Above(steps) if steps > below => {
                        self.items.above(&self.graph, own, id.item, steps - 1 - below)
                    }
                    Via::One => 0,
                    _ => continue,
                };
                if self.graph.stages[parent.stage].emits.is_none() {
                    self.look_through(TaskId { stage: parent.stage, item }, &mut beside);
                }
            }
        }
        beside.found.into_iter().for_each(|task| self.remove_if_unneeded(task));
    }

    /// Has a temporary output removed, if every task that reads it has succeeded.
    pub(super) fn remove_if_unneeded(&mut self, id: TaskId) {
        let stage = &self.graph.stages[id.stage];
        let task = self.task(id);
        let may_go = stage.temporary && task.is_there && task.state.is_good();
        if !may_go || self.asked.keep_temporary || self.asked.is_dry || self.is_needed(id) {
            return;
        }
        let made = self.outputs.made_again.remove(&id).or(self.task(id).identity);
        if let (Ok(path), Some(made)) = (self.output(id), made) {
            self.removals.push(Removal { path, made });
        }
        self.task_mut(id).is_there = false;
    }

    /// Whether a task has not finished that reads this output.
    fn is_needed(&self, id: TaskId) -> bool {
        let (readers, mut seen) = (&self.graph.stages[id.stage].readers, HashSet::new());
        readers.iter().any(|reader| self.is_needed_by(*reader, id, &mut seen))
    }

    /// `seen`: what was asked before, and was not so.
    fn is_needed_by(
        &self,
        reader: StageId,
        id: TaskId,
        seen: &mut HashSet<(StageId, TaskId)>,
    ) -> bool {
        if !seen.insert((reader, id)) {
            return false;
        }
        let progress = &self.progress[reader];
        if !progress.is_active || !self.are_readers_known(reader, id) {
            return true;
        }
        let is_for_all = self
            .graph
            .parents(reader)
            .iter()
            .any(|parent| parent.stage == id.stage && parent.via == Via::One);
        // With many readers, each of them is looked at once, at the end.
        if is_for_all && progress.settled < self.tasks[reader].len() {
            return true;
        }
        let stage = &self.graph.stages[reader];
        let shows_it = self.passes_on(reader);
        self.readers_in(reader, id).into_iter().any(|task| {
            let is_done = self.task(task).state.is_good();
            !is_done
                || shows_it && stage.readers.iter().any(|next| self.is_needed_by(*next, task, seen))
        })
    }

    /// Whether no more tasks of a stage can come that read this output.
    fn are_readers_known(&self, reader: StageId, id: TaskId) -> bool {
        let stage = &self.graph.stages[reader];
        let Feed::After(parents) = &stage.feed else { return true };
        let via = parents.iter().find(|parent| parent.stage == id.stage).map(|parent| parent.via);
        let steps = match (via, stage.domain) {
            (Some(Via::Above(steps)), _) => steps,
            (Some(Via::One), Domain::Emitted(emitter)) => {
                return self.progress[emitter].is_finished;
            }
            _ => return true,
        };
        let mut emitters = Vec::new();
        let mut domain = stage.domain;
        while let Domain::Emitted(emitter) = domain
            && emitters.len() < usize::from(steps)
        {
            emitters.push(emitter);
            domain = self.graph.stages[emitter].domain;
        }
        let mut items = vec![id.item];
        for emitter in emitters.into_iter().rev() {
            let task = |item: &ItemId| self.task(TaskId { stage: emitter, item: *item });
            if !items.iter().all(|item| task(item).state.is_settled()) {
                return false;
            }
            let emitted = |item| self.items.emitted(Domain::Emitted(emitter), item);
            items = items.into_iter().flat_map(emitted).collect();
        }
        true
    }

    /// Whether the lists of what a task gathers must be written.
    pub(super) fn wants_lists(&self, stage: StageId) -> bool {
        self.kinds[stage].arguments == Arguments::Lists
    }
}
