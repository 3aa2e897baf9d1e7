//! What earlier runs of a pipeline have done.

use std::cell::OnceCell;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::keys::{Made, TaskKey};

/// What is known of one task. There are as many of them as tasks: what few have is in a box.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TaskPast {
    /// What it did when it ran last.
    pub(crate) key: TaskKey,
    /// Of that: the command, and what it read.
    pub(crate) command: TaskKey,
    pub(crate) inputs: TaskKey,
    /// Like the key, by the contents of what it read (`--check hash`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content: Option<Box<TaskKey>>,
    /// Its last success with this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) success: Option<Success>,
    /// It has failed since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) failed: bool,
    /// Before its last success it had failed or was cut off: its readers did not run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) recovered: bool,
    /// It has not finished since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unfinished: Option<Box<Unfinished>>,
}

impl TaskPast {
    /// Whether an attempt has started and not finished since the last success.
    pub(crate) fn was_cut_off(&self) -> bool {
        self.unfinished.as_ref().is_some_and(|unfinished| unfinished.attempts > 0)
    }
}

/// A success.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Success {
    /// What keys of its readers say of its output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) identity: Option<Made>,
    /// The output, where it differs from that: it is a temporary one that was made again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) again: Option<Box<Made>>,
    /// The content of the output (`--check hash`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hash: Option<Box<TaskKey>>,
    /// What it has emitted.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty", with = "super::texts")]
    pub(crate) values: Box<[Vec<u8>]>,
    /// How long it took, in seconds.
    pub(crate) seconds: f32,
}

impl Success {
    /// The output as it is on the disk, unless something has changed it.
    pub(crate) fn on_disk(&self) -> Option<Made> {
        self.again.as_deref().copied().or(self.identity)
    }
}

/// Attempts of a task that has not finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Unfinished {
    pub(crate) attempts: u32,
    pub(crate) failures: u32,
    pub(crate) crashes: u32,
    /// It was in flight when msup was killed; and how often it was alone then.
    pub(crate) is_suspect: bool,
    pub(crate) alone: u32,
}

/// Names of tasks by what they have done with success.
type Doers = HashMap<TaskKey, TaskKey>;

/// What is known of all tasks.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    tasks: HashMap<TaskKey, TaskPast>,
    /// Both are made when they are first asked: only tasks with a new name ask, and only for those
    /// of earlier runs.
    by_key: OnceCell<Doers>,
    by_content: OnceCell<Doers>,
}

impl History {
    /// Takes in what is known of a task; what was known before is forgotten.
    pub(crate) fn insert(&mut self, name: TaskKey, past: TaskPast) {
        self.tasks.insert(name, past);
    }

    /// What is known of this task.
    pub(crate) fn of(&self, name: TaskKey) -> Option<&TaskPast> {
        self.tasks.get(&name)
    }

    /// What is known of the task of this name, if it has done this with success.
    pub(crate) fn done(&self, name: TaskKey, key: TaskKey) -> Option<&TaskPast> {
        self.of(name).filter(|past| past.key == key && past.success.is_some())
    }

    /// The name of a task that has done this with success.
    pub(super) fn doer(&self, key: TaskKey) -> Option<TaskKey> {
        let by_key = self.by_key.get_or_init(|| self.doers(|past| Some(past.key)));
        by_key.get(&key).copied().filter(|name| self.done(*name, key).is_some())
    }

    /// The same by the contents of what it read.
    pub(super) fn doer_by_content(&self, content: TaskKey) -> Option<TaskKey> {
        let made = || self.doers(|past| past.content.as_deref().copied());
        let name = *self.by_content.get_or_init(made).get(&content)?;
        self.has_done_by_content(name, content).then_some(name)
    }

    fn doers(&self, did: impl Fn(&TaskPast) -> Option<TaskKey>) -> Doers {
        let succeeded = self.tasks.iter().filter(|(_, past)| past.success.is_some());
        succeeded.filter_map(|(name, past)| Some((did(past)?, *name))).collect()
    }

    /// Whether the task of this name has done this with success, by the contents of what it read.
    pub(super) fn has_done_by_content(&self, name: TaskKey, content: TaskKey) -> bool {
        let is_it =
            |past: &TaskPast| past.content.as_deref() == Some(&content) && past.success.is_some();
        self.of(name).is_some_and(is_it)
    }

    /// What is known of one task is known of another one from now on.
    pub(super) fn rename(&mut self, from: TaskKey, to: TaskKey) {
        if let Some(past) = self.tasks.remove(&from) {
            self.insert(to, past);
        }
    }

    /// All tasks, in the order of their names.
    pub(crate) fn all(&self) -> Vec<(TaskKey, &TaskPast)> {
        let mut all: Vec<_> = self.tasks.iter().map(|(name, past)| (*name, past)).collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        all
    }
}
