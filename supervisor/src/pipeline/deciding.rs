//! What becomes of a task when those that it waits for have finished: whether it must run, and why.

use super::Files;
use super::graph::Domain;
use super::history::TaskPast;
use super::keys::{Digester, TaskKey};
use super::state::Pipeline;
use super::task::{RunReason, TaskId, TaskState};

/// Of each reason for running, this number of items is named.
const NAMED: usize = 3;

impl Pipeline {
    pub(super) fn decide(&mut self, id: TaskId, files: &mut dyn Files) {
        let parents = self.parents_of(id);
        let states: Vec<Option<TaskState>> =
            parents.iter().map(|(_, task)| task.map(|task| self.task(task).state)).collect();
        if states.contains(&Some(TaskState::Left)) {
            return self.settle(id, TaskState::Left);
        }
        if states.iter().any(|state| state.is_none_or(TaskState::is_bad)) {
            return self.settle(id, TaskState::Skipped);
        }
        let would_run = states.contains(&Some(TaskState::WouldRun));
        let inputs = self.inputs_of(id, files);
        let has_run = parents.iter().flat_map(|(_, task)| task).any(|task| self.has_run(*task));
        self.conclude(id, inputs, (would_run, has_run), files);
    }

    /// What a task reads, as a key.
    fn inputs_of(&self, id: TaskId, files: &mut dyn Files) -> TaskKey {
        let mut digester = Digester::default();
        let parents = self.parents_of(id);
        if parents.is_empty() {
            let value = self.item_of(id);
            // What a task makes is nothing that it reads.
            let is_output = self.outputs.may_be_values() && self.makes_its_item(id);
            digester.add(value).add_made(if is_output { None } else { files.look(value) });
        }
        for (parent, task) in parents {
            let Some(task) = task else { continue };
            let stage = &self.graph.stages[parent.stage];
            if stage.emits.is_some() {
                let value = self.emitted_value(id, parent).unwrap_or_default();
                digester.add(value).add_made(files.look(value));
            } else if stage.has_out {
                let output = self.output(task).unwrap_or_default();
                digester.add(&output).add_made(self.task(task).identity);
            }
            if stage.emits.is_none() {
                // Whatever its output looks like now: the parent has done something else, or has
                // run again where it has no output.
                digester.add(self.task(task).key.bytes());
                digester.add_made(self.task(task).identity.filter(|_| !stage.has_out));
            }
        }
        digester.key()
    }

    /// Decides about a task whose inputs are known; `would_run`: but for those of a dry run.
    pub(super) fn conclude(
        &mut self,
        id: TaskId,
        inputs: TaskKey,
        (would_run, has_run): (bool, bool),
        files: &mut dyn Files,
    ) {
        let (key, reason) = self.decision(id, inputs, would_run, files);
        (self.task_mut(id).key, self.task_mut(id).inputs) = (key, inputs);
        let Some(reason) = reason else { return self.take_over(id, files) };
        let is_asked_for =
            reason.is_of_failure() || has_run || self.asked.only_failed && self.is_waited_for(id);
        if self.asked.only_failed && !is_asked_for {
            return self.settle(id, TaskState::Left);
        }
        self.note_reason(id, reason);
        if self.asked.is_dry {
            self.note_missing(id);
            return self.settle(id, TaskState::WouldRun);
        }
        self.make_ready(id);
    }

    /// Whether a task has succeeded in this run, or in an earlier one after it had failed: then its
    /// readers may not have run since.
    pub(super) fn has_run(&self, id: TaskId) -> bool {
        match self.task(id).state {
            TaskState::Succeeded => true,
            TaskState::UpToDate => self.past_of(id).is_some_and(|past| past.recovered),
            _ => false,
        }
    }

    /// Whether a task that reads what this one makes, or one behind it, has failed.
    fn is_waited_for(&self, id: TaskId) -> bool {
        self.graph.stages[id.stage].readers.iter().any(|reader| {
            self.readers_in(*reader, id).into_iter().any(|task| {
                let past = self.history.of(self.name_of(task));
                past.is_some_and(|past| past.failed || past.was_cut_off())
                    || self.is_waited_for(task)
            })
        })
    }

    pub(super) fn note_reason(&mut self, id: TaskId, reason: RunReason) {
        let (count, named) = self.progress[id.stage].reasons.entry(reason).or_default();
        *count += 1;
        if named.len() < NAMED {
            named.push(id.item);
        }
    }

    /// The key of a task, and why it must run, if it must.
    fn decision(
        &mut self,
        id: TaskId,
        inputs: TaskKey,
        would_run: bool,
        files: &mut dyn Files,
    ) -> (TaskKey, Option<RunReason>) {
        let arguments = self.arguments_for_key(id);
        let stage = self.stages.get(id.stage);
        let output = stage.output(arguments.as_deref()).ok().filter(|path| !path.is_empty());
        let mut digester = Digester::default();
        let command = stage.command(arguments.as_deref());
        digester.add(&command).add(&stage.outline).add(inputs.bytes());
        digester.add(output.as_deref().unwrap_or_default());
        let (key, name) = (digester.key(), self.name_of(id));
        // A stage or an item may have another name now.
        if self.history.done(name, key).is_none()
            && let Some(other) = self.history.doer(key)
            && !self.has_task(other)
        {
            self.history.rename(other, name);
        }
        let is_forced = self.progress[id.stage].is_forced;
        if let (Domain::Emitted(_), Some(path)) = (self.graph.stages[id.stage].domain, &output)
            && let Some(clash) = self.claim(id, path, files)
        {
            let why = self.shown_clash(id, clash);
            self.outputs.refused.insert(id, why);
            return (key, Some(RunReason::CannotRun));
        }
        let reason = match self.history.done(name, key) {
            _ if would_run => Some(self.why(id, None)),
            _ if is_forced => Some(RunReason::Forced),
            Some(past) if past.failed => Some(RunReason::FailedBefore),
            Some(past) if past.was_cut_off() => Some(RunReason::CutOff),
            Some(past) => {
                let made = past.success.as_ref().and_then(|success| success.on_disk());
                let is_temporary = self.graph.stages[id.stage].temporary;
                match (made, output) {
                    (Some(made), Some(path)) if !is_temporary => match files.look(&path) {
                        Some(now) if now == made => None,
                        Some(_) => Some(RunReason::OutputChanged),
                        None => Some(RunReason::OutputMissing),
                    },
                    (None, Some(_)) => Some(RunReason::OutputMissing),
                    _ => None,
                }
            }
            None => Some(self.why(id, Some(inputs))),
        };
        if !self.asked.by_content || would_run || is_forced {
            return (key, reason);
        }
        let content = self.content_key(id, files);
        self.task_mut(id).key = key;
        match reason {
            Some(_) if self.is_same_by_content(id, (key, inputs, content), files) => (key, None),
            Some(reason) => (key, Some(reason)),
            None => {
                self.record_contents(id, files);
                (key, None)
            }
        }
    }

    /// Why a task runs whose key is not known; `inputs`: what it reads, if that is known.
    fn why(&self, id: TaskId, inputs: Option<TaskKey>) -> RunReason {
        match self.history.of(self.name_of(id)) {
            None => RunReason::NeverRun,
            Some(TaskPast { failed: true, .. }) => RunReason::FailedBefore,
            Some(past) if past.was_cut_off() => RunReason::CutOff,
            Some(past) if past.command != self.kinds[id.stage].command => RunReason::CommandChanged,
            Some(TaskPast { success: None, .. }) => RunReason::NeverRun,
            Some(past) if inputs == Some(past.inputs) => RunReason::CommandChanged,
            Some(_) => RunReason::InputChanged,
        }
    }

    /// A task need not run.
    fn take_over(&mut self, id: TaskId, files: &mut dyn Files) {
        let success = self.past_of(id).and_then(|past| past.success.clone());
        let success = success.unwrap_or_default();
        let (identity, on_disk) = (success.identity, success.on_disk());
        self.task_mut(id).identity = identity;
        if self.graph.stages[id.stage].temporary
            && let Ok(path) = self.output(id)
        {
            let is_there = on_disk.is_some() && files.look(&path) == on_disk;
            self.task_mut(id).is_there = is_there;
            if let Some(again) = success.again {
                self.outputs.made_again.insert(id, *again);
            }
        }
        self.emit(id, success.values.into());
        self.settle(id, TaskState::UpToDate);
    }
}
