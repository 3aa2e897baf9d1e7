//! `--check hash`: files are compared by their contents where times differ.

use super::Files;
use super::history::{Success, TaskPast};
use super::keys::{Digester, TaskKey};
use super::state::Pipeline;
use super::task::TaskId;

/// What a task does and makes, by contents.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Contents {
    /// Like its key, with the contents of what it reads instead of their times.
    key: TaskKey,
    /// The content of its output.
    output: Option<TaskKey>,
}

impl Pipeline {
    /// The key of a task by contents.
    pub(super) fn content_key(&mut self, id: TaskId, files: &mut dyn Files) -> TaskKey {
        let arguments = self.arguments_for_key(id);
        let inputs = self.content_read(id, files);
        let stage = self.stages.get(id.stage);
        let mut digester = Digester::default();
        digester.add(b"contents").add(&stage.command(arguments.as_deref())).add(&stage.outline);
        digester.add(inputs.bytes()).add(&self.output(id).unwrap_or_default());
        let key = digester.key();
        self.contents.entry(id).or_default().key = key;
        key
    }

    /// The contents that a task reads.
    fn content_read(&mut self, id: TaskId, files: &mut dyn Files) -> TaskKey {
        let mut digester = Digester::default();
        let add_file = |digester: &mut Digester, path: &[u8], files: &mut dyn Files| {
            digester.add(path).add(files.hash(path).as_ref().map_or(b"-", TaskKey::bytes));
        };
        if let Some(gathered) = self.gathers(id) {
            if self.graph.stages[gathered].emits.is_some() {
                for (value, ..) in self.gathered(gathered) {
                    add_file(&mut digester, &value, files);
                }
                return digester.key();
            }
            for task in self.gathered_tasks(gathered) {
                let (path, content) = (self.shown(task, None), self.content_of(task, files));
                digester.add(&path).add(content.bytes());
            }
            return digester.key();
        }
        let parents = self.parents_of(id);
        if parents.is_empty() {
            add_file(&mut digester, self.item_of(id), files);
        }
        for (parent, task) in parents {
            let Some(task) = task else { continue };
            match self.emitted_value(id, parent) {
                Some(value) => add_file(&mut digester, value, files),
                None => {
                    let output = self.output(task).unwrap_or_default();
                    digester.add(&output).add(self.content_of(task, files).bytes());
                }
            }
        }
        digester.key()
    }

    /// The content of what a task has made; of one without an output, what it has done.
    fn content_of(&mut self, id: TaskId, files: &mut dyn Files) -> TaskKey {
        let known = self.contents.get(&id).copied().unwrap_or_default();
        if let Some(output) = known.output {
            return output;
        }
        let past = self.past_of(id);
        let recorded = past.and_then(|past| past.success.as_ref()?.hash.as_deref().copied());
        let path = self.output(id).unwrap_or_default();
        let content = match path.is_empty() {
            true => Some(known.key),
            false => files.hash(&path).or(recorded),
        };
        let content = content.unwrap_or_default();
        self.contents.entry(id).or_default().output = Some(content);
        content
    }

    /// Whether a task with other times has done this, and its output has the same content. Then it
    /// counts as done with these times.
    pub(super) fn is_same_by_content(
        &mut self,
        id: TaskId,
        (key, inputs, content): (TaskKey, TaskKey, TaskKey),
        files: &mut dyn Files,
    ) -> bool {
        let name = self.name_of(id);
        if !self.history.has_done_by_content(name, content)
            && let Some(other) = self.history.doer_by_content(content)
            && !self.has_task(other)
        {
            self.history.rename(other, name);
        }
        if !self.history.has_done_by_content(name, content) {
            return false;
        }
        let past = self.history.of(name).filter(|past| !past.failed);
        let Some(success) = past.and_then(|past| past.success.clone()) else { return false };
        let path = self.output(id).unwrap_or_default();
        let is_temporary = self.graph.stages[id.stage].temporary;
        let now = if path.is_empty() { None } else { files.look(&path) };
        let is_same = match now {
            None => path.is_empty() || is_temporary,
            Some(now) => {
                Some(now) == success.on_disk()
                    || files.hash(&path) == success.hash.as_deref().copied()
            }
        };
        if !is_same {
            return false;
        }
        let identity = now.or(success.identity);
        let success = Success { identity, again: None, ..success };
        let (command, content) = (self.kinds[id.stage].command, Some(Box::new(content)));
        let past = TaskPast {
            key,
            command,
            inputs,
            content,
            success: Some(success),
            ..TaskPast::default()
        };
        self.history.insert(name, past);
        true
    }

    /// Records the contents of a task that is up to date.
    pub(super) fn record_contents(&mut self, id: TaskId, files: &mut dyn Files) {
        let Some(past) = self.past_of(id).cloned() else { return };
        let hash = Some(self.content_of(id, files)).filter(|_| self.graph.stages[id.stage].has_out);
        let hash = hash.map(Box::new);
        let content = self.contents.get(&id).map(|contents| Box::new(contents.key));
        let success = past.success.map(|success| Success { hash, ..success });
        self.history.insert(self.name_of(id), TaskPast { content, success, ..past });
    }

    /// A task has succeeded, and its history says so: the content of its output is added, if
    /// contents count.
    pub(crate) fn note_content(&mut self, id: TaskId, files: &mut dyn Files) {
        if !self.asked.by_content || !self.graph.stages[id.stage].has_out {
            return;
        }
        let hash = self.output(id).ok().and_then(|path| files.hash(&path)).map(Box::new);
        let Some(past) = self.past_of(id).cloned() else { return };
        let success = past.success.map(|success| Success { hash, ..success });
        self.history.insert(self.name_of(id), TaskPast { success, ..past });
    }

    /// The key by contents of a task that is to run.
    pub(super) fn content_of_order(&self, id: TaskId) -> Option<TaskKey> {
        self.contents.get(&id).map(|contents| contents.key)
    }
}
