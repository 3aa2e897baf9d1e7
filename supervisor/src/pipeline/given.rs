//! What a task is given, and what it is called: its item, its arguments, its output.

use super::checking::Arguments;
use super::graph::{Feed, Parent};
use super::state::Pipeline;
use super::task::TaskId;
use crate::arguments;
use crate::template::OutFileError;

/// The number of paths of outputs that are kept: those of the stages behind one item.
const PATHS_KEPT: usize = 4096;

impl Pipeline {
    /// The value that a task shows as `{}` to its readers, and, where it differs, its item.
    pub(super) fn shown(&self, id: TaskId, emitted: Option<&[u8]>) -> Vec<u8> {
        if let Some(value) = emitted {
            return value.to_vec();
        }
        let stage = &self.graph.stages[id.stage];
        if stage.has_out {
            return self.output(id).unwrap_or_default();
        }
        match self.parents_of(id).first() {
            Some((parent, Some(above))) => {
                let value = self.emitted_value(id, *parent);
                self.shown(*above, value)
            }
            _ => self.items.value(stage.domain, id.item).to_vec(),
        }
    }

    /// The value that this parent has emitted for the item of a task.
    pub(super) fn emitted_value(&self, id: TaskId, parent: Parent) -> Option<&[u8]> {
        self.graph.stages[parent.stage].emits?;
        let item = self.items.of_parent(&self.graph, id.stage, id.item, parent)?;
        Some(self.items.value(self.graph.given(parent.stage), item))
    }

    /// The value for which a task runs; empty where there is one task in all.
    pub(super) fn item_of(&self, id: TaskId) -> &[u8] {
        self.items.value(self.graph.stages[id.stage].domain, id.item)
    }

    /// What a task gets: the outputs of its parents and its item, or what it gathers. Nothing if it
    /// gathers nothing.
    pub(super) fn arguments_of(&self, id: TaskId) -> Option<Vec<u8>> {
        let mut all: Vec<Vec<u8>> = Vec::new();
        match (self.kinds[id.stage].arguments, &self.graph.stages[id.stage].feed) {
            (Arguments::Inputs, Feed::Gather(gathered)) => {
                all.extend(self.gathered(*gathered).into_iter().map(|(path, ..)| path));
            }
            (Arguments::Lists | Arguments::Inputs, _) => {
                let name = self.graph.stages[id.stage].name.as_bytes();
                let list = |end: &[u8]| [&self.asked.folder, &b"/"[..], name, end].concat();
                all.extend([list(b".list"), list(b".list0")]);
            }
            (Arguments::Parents { has_item }, _) => {
                for (parent, task) in self.parents_of(id) {
                    let emitted = self.emitted_value(id, parent);
                    all.extend(task.map(|task| self.shown(task, emitted)));
                }
                if has_item {
                    all.push(self.item_of(id).to_vec());
                }
            }
        }
        (!all.is_empty()).then(|| arguments::join(all))
    }

    /// The same as it counts for the key: the names of lists do not.
    pub(super) fn arguments_for_key(&self, id: TaskId) -> Option<Vec<u8>> {
        match self.kinds[id.stage].arguments {
            Arguments::Lists => Some(arguments::join(vec![b"list".to_vec(), b"list0".to_vec()])),
            _ => self.arguments_of(id),
        }
    }

    /// The output of a task. The outputs of its parents stand in it, and theirs. The last ones are
    /// kept, or every way through the stages would be gone.
    pub(super) fn output(&self, id: TaskId) -> Result<Vec<u8>, OutFileError> {
        if let Some(path) = self.outputs.paths.borrow().get(&id) {
            return Ok(path.clone());
        }
        let path = self.stages.get(id.stage).output(self.arguments_of(id).as_deref())?;
        let mut paths = self.outputs.paths.borrow_mut();
        if paths.len() >= PATHS_KEPT {
            paths.clear();
        }
        paths.insert(id, path.clone());
        Ok(path)
    }

    /// Whether the output of a task with a source is the value of that: a name of what it makes.
    pub(super) fn makes_its_item(&self, id: TaskId) -> bool {
        self.graph.stages[id.stage].has_out
            && self.output(id).is_ok_and(|out| out == self.item_of(id))
    }

    /// A task as a person knows it.
    pub(crate) fn shown_name(&self, id: TaskId) -> Vec<u8> {
        let (stage, item) = (self.graph.stages[id.stage].name.as_bytes(), self.item_of(id));
        match item.is_empty() {
            true => stage.to_vec(),
            false => [stage, b": ", item].concat(),
        }
    }
}
