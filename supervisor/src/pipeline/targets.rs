//! What can be found wrong with the items before anything runs.

use super::Files;
use super::graph::{Domain, Feed, Parent, StageId, Via};
use super::items::ItemId;
use super::outputs::{Clash, WantedFile};
use super::state::Pipeline;
use super::task::TaskId;

impl Pipeline {
    /// Makes sure that no two tasks that are known make the same file, that none makes a file of a
    /// source, and that items that are joined have each other.
    ///
    /// # Errors
    /// What is wrong with a stage.
    pub(crate) fn check_items(&mut self, files: &mut dyn Files) -> Result<(), (StageId, String)> {
        self.refuse_lonely_items()?;
        self.note_real_sources(files);
        for stage in 0..self.graph.stages.len() {
            let of = &self.graph.stages[stage];
            let items = match of.domain {
                _ if !of.has_out => 0,
                // They are judged when they are known.
                Domain::Emitted(_) => 0,
                Domain::Single | Domain::Source(_) => self.tasks[stage].len() as ItemId,
            };
            for item in 0..items {
                let id = TaskId { stage, item };
                let Some(path) = self.output_before(id) else { continue };
                if let Some(clash) = self.claim(id, &path, files) {
                    return Err((stage, self.shown_clash(id, clash)));
                }
            }
        }
        let mut stages = self.graph.stages.iter();
        if !stages.any(|of| of.has_out && matches!(of.domain, Domain::Emitted(_))) {
            self.outputs.forget_makers();
        }
        Ok(())
    }

    /// A task is going to make this file. Returns why it must not.
    pub(super) fn claim(
        &mut self,
        id: TaskId,
        path: &[u8],
        files: &mut dyn Files,
    ) -> Option<Clash> {
        let is_new = || self.history.of(self.name_of(id)).is_none();
        let is_emitted = matches!(self.graph.stages[id.stage].domain, Domain::Emitted(_));
        let may_be_value = self.outputs.may_be_values() || is_emitted;
        let was_there = may_be_value && is_new() && files.look(path).is_some();
        let real = self.real_path(path, files);
        self.outputs.claim(id, &WantedFile { path, real: real.as_deref(), was_there })
    }

    /// This path with the real name of its folder, if that is known.
    fn real_path(&mut self, path: &[u8], files: &mut dyn Files) -> Option<Vec<u8>> {
        let at = path.iter().rposition(|byte| *byte == b'/');
        let (folder, name) = path.split_at(at.map_or(0, |at| at + 1));
        if !self.outputs.folders.contains_key(folder) {
            let real = files.real_folder(if folder.is_empty() { b"." } else { folder });
            let real = real.filter(|real| !self.outputs.is_as_written(folder, real));
            self.outputs.folders.insert(folder.to_vec(), real);
        }
        let real = self.outputs.folders.get(folder)?.as_deref()?;
        Some([real, b"/", name].concat())
    }

    /// What sources have found counts by the real names of its folders, too.
    fn note_real_sources(&mut self, files: &mut dyn Files) {
        for stage in 0..self.graph.stages.len() {
            let domain = Domain::Source(stage);
            for item in 0..self.items.len(domain) as ItemId {
                let value = self.items.value(domain, item).to_vec();
                if self.outputs.is_found(&value)
                    && let Some(real) = self.real_path(&value, files)
                {
                    self.outputs.also_found(&real);
                }
            }
        }
    }

    /// Why a task must not make its file, for people.
    pub(super) fn shown_clash(&self, id: TaskId, clash: Clash) -> String {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let own = text(self.shown_name(id));
        let path = text(self.output_before(id).unwrap_or_default());
        match clash {
            Clash::MadeBy(other) => {
                let other = text(self.shown_name(other));
                if other == own {
                    return format!("two tasks make the same file: {path}: {own} comes twice");
                }
                format!("two tasks make the same file: {path}: {other}, and {own}")
            }
            Clash::Found => {
                format!("{own} would make {path}, which the glob of a source finds as an input")
            }
            Clash::Own => {
                format!("{own} would overwrite {path}, which the pipeline itself needs")
            }
            Clash::Listed => {
                format!(
                    "{own} would overwrite {path}, which a source lists and which was there before"
                )
            }
        }
    }

    /// # Errors
    /// An item of one source has no counterpart in another one.
    fn refuse_lonely_items(&self) -> Result<(), (StageId, String)> {
        let is_joined = |stage: &&StageId| {
            let by_value = |parent: &Parent| parent.via == Via::Value;
            self.graph.parents(**stage).iter().any(by_value)
        };
        let stages: Vec<StageId> = (0..self.tasks.len()).collect();
        for stage in stages.iter().filter(is_joined) {
            let domains =
                self.graph.parents(*stage).iter().map(|parent| self.graph.given(parent.stage));
            let mut sources = domains.filter(|domain| matches!(domain, Domain::Source(_)));
            if let Some(Domain::Source(source)) = sources.find(|domain| self.items.repeat(*domain))
            {
                let name = &self.graph.stages[source].name;
                let why = format!("the source of '{name}' repeats values: it cannot be joined");
                return Err((*stage, why));
            }
            for item in 0..self.tasks[*stage].len() as ItemId {
                let id = TaskId { stage: *stage, item };
                let parents = self.parents_of(id);
                let own = self.tasks[*stage].len();
                let lonely = parents.iter().find(|(parent, task)| {
                    // Items that only the other source has would be left out.
                    let others = self.items.len(self.graph.given(parent.stage));
                    task.is_none() || parent.via == Via::Value && others != own
                });
                if let Some((parent, _)) = lonely {
                    return Err((*stage, self.lonely(*stage, parent.stage)));
                }
            }
        }
        Ok(())
    }

    /// What two sources that are joined do not have in common.
    fn lonely(&self, stage: StageId, parent: StageId) -> String {
        let given = |of: StageId| self.graph.given(of);
        let (own, other) = (self.graph.stages[stage].domain, given(parent));
        let missing = |from, within| {
            let mut items =
                (0..self.items.len(from) as ItemId).map(|item| self.items.value(from, item));
            items.find(|value| self.items.with_value(within, value).is_none())
        };
        let name = |domain: Domain| match domain {
            Domain::Source(source) => self.graph.stages[source].name.as_str(),
            _ => "",
        };
        let (value, from, within) = match (missing(own, other), missing(other, own)) {
            (Some(value), _) => (value, own, other),
            (None, Some(value)) => (value, other, own),
            // Without repeated values one of them is missing.
            (None, None) => return String::from("the two sources have different values"),
        };
        let value = String::from_utf8_lossy(value);
        format!("'{value}' of stage '{}' is not among the values of '{}'", name(from), name(within))
    }

    /// The output of a task, known before anything runs.
    fn output_before(&self, id: TaskId) -> Option<Vec<u8>> {
        let is_joined = self.parents_of(id).iter().all(|(_, task)| task.is_some());
        let path = match self.graph.stages[id.stage].feed {
            Feed::Gather(_) => self.stages.get(id.stage).output(None),
            _ if is_joined => self.output(id),
            _ => return None,
        };
        path.ok().filter(|path| !path.is_empty())
    }
}
