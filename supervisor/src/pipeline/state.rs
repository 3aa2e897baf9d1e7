//! The state of a pipeline that runs.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::rc::Rc;

use super::checking::Arguments;
use super::contents::Contents;
use super::file::Separator;
use super::graph::{Domain, Feed, Graph, Parent, StageId};
use super::history::{History, TaskPast};
use super::items::{ItemId, Items};
use super::keys::TaskKey;
use super::outputs::{OutputFiles, SourceValues};
use super::queue::ReadyTasks;
use super::task::{Removal, RunReason, Task, TaskId};
use crate::arguments::Length;
use crate::template::Stages;

/// What the user has asked for beyond the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    /// These stages run whatever the history says, and those behind them.
    pub(crate) force: Vec<StageId>,
    /// Only these stages, and those that they wait for; with none all.
    pub(crate) until: Vec<StageId>,
    /// Only items with one of these values from a source; with none all.
    pub(crate) only: Vec<Vec<u8>>,
    pub(crate) keep_temporary: bool,
    /// Only tasks that have failed, and those behind them.
    pub(crate) only_failed: bool,
    /// Nothing runs.
    pub(crate) is_dry: bool,
    /// Contents count where times differ.
    pub(crate) by_content: bool,
    /// How far stages with temporary outputs may be ahead of their readers.
    pub(crate) ahead: u32,
    /// The folder of the pipeline file, an absolute path, and the name of the file in it.
    pub(crate) here: Vec<u8>,
    pub(crate) file: Vec<u8>,
    /// Lists of what is gathered are below this folder.
    pub(crate) folder: Vec<u8>,
    /// How long command lines may become.
    pub(crate) room: Length,
}

/// What has happened to the tasks of a stage.
#[derive(Clone, Debug, Default)]
pub(super) struct StageProgress {
    /// The number of those of which it is known what has become of them.
    pub(super) settled: usize,
    /// Those of them that have succeeded in an earlier run.
    pub(super) up_to_date: usize,
    /// All of them, and no others can come.
    pub(super) is_finished: bool,
    /// Those that were handed out and have not finished.
    pub(super) in_flight: u32,
    /// Those whose outputs no reader has finished with.
    pub(super) ahead: u32,
    /// Whether it runs at all, and whether it runs whatever the history says.
    pub(super) is_active: bool,
    pub(super) is_forced: bool,
    /// Why tasks run: how many, and the first ones.
    pub(super) reasons: BTreeMap<RunReason, (usize, Vec<ItemId>)>,
}

/// What all tasks of a stage have in common.
#[derive(Clone, Debug)]
pub(crate) struct StageKind {
    pub(crate) arguments: Arguments,
    /// The command before anything is put into it, as a key.
    pub(crate) command: TaskKey,
}

/// A pipeline.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(super) graph: Graph,
    pub(super) stages: Rc<Stages>,
    pub(super) kinds: Vec<StageKind>,
    pub(super) asked: Scope,
    pub(super) items: Items,
    pub(super) tasks: Vec<Vec<Task>>,
    pub(super) progress: Vec<StageProgress>,
    pub(super) history: History,
    pub(super) outputs: OutputFiles,
    /// The names of all tasks, if they were asked for.
    pub(super) names: OnceCell<HashSet<TaskKey>>,
    /// Tasks whose parents have finished: what becomes of them is to be decided.
    pub(super) undecided: VecDeque<TaskId>,
    pub(super) ready: ReadyTasks,
    pub(super) removals: Vec<Removal>,
    /// Items with a task that has failed of itself.
    pub(super) failed_items: HashSet<(Domain, ItemId)>,
    /// What is known by contents, if that counts.
    pub(super) contents: HashMap<TaskId, Contents>,
}

impl Pipeline {
    /// A pipeline with the values of its sources, each by the stage that has it.
    pub(crate) fn new(
        (graph, stages, kinds): (Graph, Rc<Stages>, Vec<StageKind>),
        sources: Vec<SourceValues>,
        history: History,
        asked: Scope,
    ) -> Pipeline {
        let count = graph.stages.len();
        let chosen = is_active(&graph, &asked).into_iter().zip(forced(&graph, &asked));
        let progress = chosen.map(|(is_active, is_forced)| StageProgress {
            is_active,
            is_forced,
            ..StageProgress::default()
        });
        let outputs = OutputFiles::new(asked.here.clone(), &asked.file, &sources);
        let mut pipeline = Pipeline {
            outputs,
            items: Items::new(),
            tasks: vec![Vec::new(); count],
            progress: progress.collect(),
            names: OnceCell::new(),
            undecided: VecDeque::new(),
            ready: ReadyTasks::new(&graph),
            removals: Vec::new(),
            failed_items: HashSet::new(),
            contents: HashMap::new(),
            graph,
            stages,
            kinds,
            asked,
            history,
        };
        let only = pipeline.asked.only.clone();
        for SourceValues { stage, values, .. } in sources {
            let wanted = values.into_iter().filter(|value| only.is_empty() || only.contains(value));
            pipeline.items.add(Domain::Source(stage), 0, wanted);
        }
        pipeline.index_joined();
        for stage in pipeline.graph.order.clone() {
            let domain = pipeline.graph.stages[stage].domain;
            if matches!(domain, Domain::Source(_) | Domain::Single) {
                let items = 0..pipeline.items.len(domain) as ItemId;
                pipeline.begin(stage, items);
            }
        }
        for stage in pipeline.graph.order.clone() {
            pipeline.note_finished(stage);
        }
        pipeline
    }

    /// Sources that are joined by values are prepared for that.
    fn index_joined(&mut self) {
        let domains: HashSet<Domain> = self
            .graph
            .stages
            .iter()
            .map(|stage| stage.domain)
            .chain((0..self.tasks.len()).map(Domain::Source))
            .collect();
        domains.into_iter().for_each(|domain| self.items.index(domain));
    }

    pub(super) fn task(&self, id: TaskId) -> &Task {
        &self.tasks[id.stage][id.item as usize]
    }

    pub(super) fn task_mut(&mut self, id: TaskId) -> &mut Task {
        &mut self.tasks[id.stage][id.item as usize]
    }

    /// The tasks that this one waits for, without those of a gather.
    pub(super) fn parents_of(&self, id: TaskId) -> Vec<(Parent, Option<TaskId>)> {
        let parents = self.graph.parents(id.stage).iter().copied();
        let of = |parent: Parent| {
            let item = self.items.of_parent(&self.graph, id.stage, id.item, parent);
            // What a task has emitted is an item of its own: it is the task above that counts.
            let item = match self.graph.stages[parent.stage].emits {
                Some(_) => item.map(|item| self.items.emitter(&self.graph, parent.stage, item)),
                None => item,
            };
            (parent, item.map(|item| TaskId { stage: parent.stage, item }))
        };
        parents.map(of).collect()
    }

    /// The tasks of a stage that read the output of this one.
    pub(super) fn readers_in(&self, reader: StageId, of: TaskId) -> Vec<TaskId> {
        let graph = &self.graph;
        let task = |item| TaskId { stage: reader, item };
        match &graph.stages[reader].feed {
            Feed::Source => Vec::new(),
            Feed::Gather(_) => vec![task(0)],
            Feed::After(parents) => {
                let Some(parent) = parents.iter().find(|parent| parent.stage == of.stage) else {
                    return Vec::new();
                };
                let (domain, from) = (graph.stages[reader].domain, graph.given(of.stage));
                let items = match graph.stages[of.stage].emits {
                    None => self.items.below(graph, domain, parent.via, (from, of.item)),
                    Some(_) => {
                        let emitted = self.items.emitted(from, of.item);
                        let below =
                            |item| self.items.below(graph, domain, parent.via, (from, item));
                        emitted.flat_map(below).collect()
                    }
                };
                let known = self.tasks[reader].len() as ItemId;
                items.into_iter().filter(|item| *item < known).map(task).collect()
            }
        }
    }

    /// What is known of a task that has done what it is to do.
    pub(super) fn past_of(&self, id: TaskId) -> Option<&TaskPast> {
        self.history.done(self.name_of(id), self.task(id).key)
    }

    pub(super) fn name_of(&self, id: TaskId) -> TaskKey {
        self.task(id).name
    }

    /// Whether a task has this name: what is known of others may be that of a renamed one.
    pub(super) fn has_task(&self, name: TaskKey) -> bool {
        let all = || self.tasks.iter().flatten().map(|task| task.name).collect();
        self.names.get_or_init(all).contains(&name)
    }

    /// What is known of all tasks.
    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    pub(crate) fn history_mut(&mut self) -> &mut History {
        &mut self.history
    }

    /// Whether contents count where times differ.
    pub(crate) fn counts_by_content(&self) -> bool {
        self.asked.by_content
    }

    /// The stage whose outputs a task gathers, if it gathers any.
    pub(super) fn gathers(&self, id: TaskId) -> Option<StageId> {
        match self.graph.stages[id.stage].feed {
            Feed::Gather(stage) => Some(stage),
            Feed::Source | Feed::After(_) => None,
        }
    }

    /// Whether a task could run.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether outputs are to be removed.
    pub(crate) fn has_removals(&self) -> bool {
        !self.removals.is_empty()
    }

    /// Whether nothing is left to do but what was handed out.
    pub(crate) fn is_over(&self) -> bool {
        self.undecided.is_empty() && self.ready.is_empty() && self.in_flight() == 0
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.progress.iter().map(|progress| progress.in_flight).sum()
    }

    /// A stage that was named and does not run, and with which flag.
    pub(crate) fn named_in_vain(&self) -> Option<(&'static str, &str)> {
        let name = |stage: &StageId| self.graph.stages[*stage].name.as_str();
        let is_inactive = |stage: &&StageId| !self.progress[**stage].is_active;
        // With --only a source may have no values.
        let is_empty = |stage: &&StageId| !self.asked.only.is_empty() && self.has_no_tasks(**stage);
        let mut forced = self.asked.force.iter();
        let forced = forced.find(|stage| is_inactive(stage) || is_empty(stage));
        let until = self.asked.until.iter().find(|stage| is_inactive(stage) || is_empty(stage));
        forced.map(|stage| ("--force", name(stage))).or(until.map(|stage| ("--until", name(stage))))
    }

    fn has_no_tasks(&self, stage: StageId) -> bool {
        let is_known = !matches!(self.graph.stages[stage].domain, Domain::Emitted(_));
        is_known && self.tasks[stage].is_empty()
    }

    /// What separates the values that a stage emits, if it does.
    pub(crate) fn emits(&self, stage: StageId) -> Option<Separator> {
        self.graph.stages[stage].emits
    }

    /// Takes the outputs that are to be removed.
    pub(crate) fn take_removals(&mut self) -> Vec<Removal> {
        std::mem::take(&mut self.removals)
    }

    /// How many distinct items have a task that has failed of itself.
    pub(crate) fn failed_items(&self) -> usize {
        self.failed_items.len()
    }
}

/// The stages that run.
fn is_active(graph: &Graph, asked: &Scope) -> Vec<bool> {
    let count = graph.stages.len();
    let mut is_active = vec![true; count];
    if !asked.until.is_empty() {
        let chosen = (0..count).map(|stage| asked.until.contains(&stage));
        is_active = graph.with_ancestors(chosen.collect());
    }
    if !asked.only.is_empty() {
        let gathers = graph.stages.iter().map(|stage| matches!(stage.feed, Feed::Gather(_)));
        let behind = graph.with_descendants(gathers.collect());
        is_active.iter_mut().zip(behind).for_each(|(is, behind)| *is &= !behind);
    }
    is_active
}

fn forced(graph: &Graph, asked: &Scope) -> Vec<bool> {
    let mut chosen = vec![false; graph.stages.len()];
    asked.force.iter().for_each(|stage| chosen[*stage] = true);
    graph.with_descendants(chosen)
}
