//! The stages of a pipeline: which waits for which, and for what kind of items each one runs.

use std::collections::HashMap;
use std::ops::Range;

use toml::Spanned;

use super::error::{BadPipeline, Wrong};
use super::file::{PipelineFile, Separator, StageTable, distance};
use super::min::Min;
use super::references::{RESERVED, is_name};

/// A stage, by its place in the file.
pub(crate) type StageId = usize;

/// All stages.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    /// As in the file.
    pub(crate) stages: Vec<StageInfo>,
    /// Each one behind all that it waits for.
    pub(crate) order: Vec<StageId>,
}

/// A stage.
#[derive(Clone, Debug)]
pub(crate) struct StageInfo {
    pub(crate) name: String,
    pub(crate) feed: Feed,
    /// It has one task for each item of this domain.
    pub(crate) domain: Domain,
    /// The number of stages on the longest way to it, from 1.
    pub(crate) depth: u16,
    /// The stages that wait for it.
    pub(crate) readers: Vec<StageId>,
    pub(crate) has_out: bool,
    pub(crate) temporary: bool,
    pub(crate) emits: Option<Separator>,
    pub(crate) max: Option<u32>,
    pub(crate) ahead: Option<u32>,
    pub(crate) min: Min,
}

/// What a stage gets its items from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Feed {
    Source,
    After(Vec<Parent>),
    Gather(StageId),
}

/// A stage that another one waits for, item by item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parent {
    pub(crate) stage: StageId,
    pub(crate) via: Via,
}

/// How an item of a stage leads to the item of its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    /// They are the same.
    Same,
    /// It was emitted for it, over this number of stages that emit.
    Above(u16),
    /// They are of two sources and have the same value.
    Value,
    /// The parent has one task in all: it belongs to every item.
    One,
}

/// A kind of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Domain {
    /// One nameless item.
    Single,
    /// The values of the source of this stage.
    Source(StageId),
    /// The values that tasks of this stage print.
    Emitted(StageId),
}

impl Graph {
    /// # Errors
    /// The first thing that is wrong.
    pub(crate) fn of(file: &PipelineFile) -> Result<Graph, BadPipeline> {
        let ids = names(file)?;
        let mut stages = Vec::with_capacity(file.stages.len());
        for table in &file.stages {
            stages.push(stage(file, table, &ids)?);
        }
        let order = order(file, &stages)?;
        let mut graph = Graph { stages, order };
        for id in graph.order.clone() {
            graph.place(file, id)?;
        }
        Ok(graph)
    }

    /// The stages whose tasks this one waits for.
    pub(crate) fn parents(&self, id: StageId) -> &[Parent] {
        match &self.stages[id].feed {
            Feed::After(parents) => parents,
            Feed::Source | Feed::Gather(_) => &[],
        }
    }

    /// The domain above this one.
    pub(crate) fn above(&self, domain: Domain) -> Option<Domain> {
        match domain {
            Domain::Emitted(stage) => Some(self.stages[stage].domain),
            Domain::Single | Domain::Source(_) => None,
        }
    }

    /// The items that the readers of this stage run for, one by one.
    pub(crate) fn given(&self, id: StageId) -> Domain {
        match self.stages[id].emits {
            Some(_) => Domain::Emitted(id),
            None => self.stages[id].domain,
        }
    }

    /// The stages behind these, and these.
    pub(crate) fn with_descendants(&self, mut chosen: Vec<bool>) -> Vec<bool> {
        for id in &self.order {
            let waits_for = |parent: &StageId| chosen[*parent];
            chosen[*id] |= self.waits_for(*id).iter().any(waits_for);
        }
        chosen
    }

    /// The stages that these wait for, and these.
    pub(crate) fn with_ancestors(&self, mut chosen: Vec<bool>) -> Vec<bool> {
        for id in self.order.iter().rev() {
            if chosen[*id] {
                self.waits_for(*id).into_iter().for_each(|parent| chosen[parent] = true);
            }
        }
        chosen
    }

    fn waits_for(&self, id: StageId) -> Vec<StageId> {
        match &self.stages[id].feed {
            Feed::Source => Vec::new(),
            Feed::After(parents) => parents.iter().map(|parent| parent.stage).collect(),
            Feed::Gather(stage) => vec![*stage],
        }
    }

    /// Finds out for which items a stage runs. Those that it waits for have their place.
    fn place(&mut self, file: &PipelineFile, id: StageId) -> Result<(), BadPipeline> {
        let waits_for = self.waits_for(id);
        let depth = waits_for.iter().map(|parent| self.stages[*parent].depth).max();
        let domain = match &self.stages[id].feed {
            Feed::Source => Domain::Source(id),
            Feed::Gather(_) => Domain::Single,
            Feed::After(parents) => {
                let stages: Vec<StageId> = parents.iter().map(|parent| parent.stage).collect();
                let (domain, parents) = self.join(&stages).map_err(|(one, other)| {
                    let name = |id: StageId| self.stages[id].name.clone();
                    let why = Wrong::NoLineage { one: name(one), other: name(other) };
                    let span = file.stages[id].after.as_ref().map_or(0..0, Spanned::span);
                    BadPipeline::new(&file.text, span, why)
                })?;
                self.stages[id].feed = Feed::After(parents);
                domain
            }
        };
        let stage = &mut self.stages[id];
        (stage.domain, stage.depth) = (domain, depth.unwrap_or(0) + 1);
        waits_for.into_iter().for_each(|parent| self.stages[parent].readers.push(id));
        Ok(())
    }

    /// The items that these stages have in common, and how each is found from one of them.
    ///
    /// # Errors
    /// Two stages that have none.
    fn join(&self, stages: &[StageId]) -> Result<(Domain, Vec<Parent>), (StageId, StageId)> {
        let mut failed = (stages[0], stages[0]);
        for stage in stages {
            let domain = self.given(*stage);
            let mut parents = Vec::with_capacity(stages.len());
            for other in stages {
                match self.via(domain, self.given(*other)) {
                    Some(via) => parents.push(Parent { stage: *other, via }),
                    None => failed = (*stage, *other),
                }
            }
            if parents.len() == stages.len() {
                return Ok((domain, parents));
            }
        }
        Err(failed)
    }

    fn via(&self, from: Domain, to: Domain) -> Option<Via> {
        match (self.steps(from, to), from, to) {
            (Some(0), ..) => Some(Via::Same),
            (Some(steps), ..) => Some(Via::Above(steps)),
            (None, Domain::Source(_), Domain::Source(_)) => Some(Via::Value),
            (None, _, Domain::Single) => Some(Via::One),
            (None, ..) => None,
        }
    }

    /// The number of steps up from a domain to another one, if that is above it.
    pub(super) fn steps(&self, from: Domain, to: Domain) -> Option<u16> {
        let above = std::iter::successors(Some(from), |domain| self.above(*domain));
        above.zip(0..).find(|(domain, _)| *domain == to).map(|(_, steps)| steps)
    }
}

/// The stages by their names.
fn names(file: &PipelineFile) -> Result<HashMap<&str, StageId>, BadPipeline> {
    let mut ids = HashMap::new();
    for (id, table) in file.stages.iter().enumerate() {
        let name = table.name.get_ref().as_str();
        let wrong = |why| Err(BadPipeline::new(&file.text, table.name.span(), why));
        if !is_name(name) {
            return wrong(Wrong::Name(name.to_owned()));
        }
        if RESERVED.contains(&name) {
            return wrong(Wrong::Reserved(name.to_owned()));
        }
        if ids.insert(name, id).is_some() {
            return wrong(Wrong::Twice(name.to_owned()));
        }
    }
    Ok(ids)
}

/// A stage without its place among the others.
fn stage(
    file: &PipelineFile,
    table: &StageTable,
    ids: &HashMap<&str, StageId>,
) -> Result<StageInfo, BadPipeline> {
    let name = table.name.get_ref().clone();
    let wrong = |span: Range<usize>, why| BadPipeline::new(&file.text, span, why);
    let feed = feed(file, table, ids)?;
    match (&table.run, &table.worker) {
        (None, None) => return Err(wrong(table.name.span(), Wrong::NoAction(name))),
        (Some(_), Some(worker)) => return Err(wrong(worker.span(), Wrong::TwoActions(name))),
        _ => {}
    }
    let (emits, out) = (table.emits.as_ref(), table.out.as_ref());
    if let (Some(_), Some(out)) = (emits, out) {
        return Err(wrong(out.span(), Wrong::EmitsOut));
    }
    let temporary = table.temporary.as_ref().filter(|is| *is.get_ref());
    if let (Some(temporary), None) = (temporary, out) {
        return Err(wrong(temporary.span(), Wrong::TemporaryWithoutOut("`temporary`")));
    }
    let positive = |number: &Option<Spanned<u32>>| match number {
        Some(zero) if *zero.get_ref() == 0 => Err(wrong(zero.span(), Wrong::Zero)),
        number => Ok(number.as_ref().map(|number| *number.get_ref())),
    };
    positive(&table.threads)?;
    let min = match &table.min {
        None => Min::All,
        Some(min) if !matches!(feed, Feed::Gather(_)) => {
            return Err(wrong(min.span(), Wrong::MinWithoutGather));
        }
        Some(min) => Min::parse(&min.get_ref().0).ok_or_else(|| wrong(min.span(), Wrong::Min))?,
    };
    Ok(StageInfo {
        name,
        feed,
        domain: Domain::Single,
        depth: 0,
        readers: Vec::new(),
        has_out: out.is_some(),
        temporary: temporary.is_some(),
        emits: emits.map(|emits| *emits.get_ref()),
        max: positive(&table.max)?,
        ahead: positive(&table.ahead)?,
        min,
    })
}

fn feed(
    file: &PipelineFile,
    table: &StageTable,
    ids: &HashMap<&str, StageId>,
) -> Result<Feed, BadPipeline> {
    let name = || table.name.get_ref().clone();
    let wrong = |span: Range<usize>, why| BadPipeline::new(&file.text, span, why);
    let found = |span: &Range<usize>, name: &str| match ids.get(name) {
        Some(id) => Ok(*id),
        None => {
            let near = ids.keys().map(|known| (distance(name, known), *known)).min();
            let near = near.filter(|(mistakes, _)| *mistakes <= 2).map(|(_, near)| near.to_owned());
            let why = Wrong::NoStage { name: name.to_owned(), near };
            Err(wrong(named_within(&file.text, span, name), why))
        }
    };
    match (&table.from, &table.after, &table.gather) {
        (Some(_), None, None) => Ok(Feed::Source),
        (None, None, Some(gathered)) => {
            Ok(Feed::Gather(found(&gathered.span(), gathered.get_ref())?))
        }
        (None, Some(after), None) => {
            let (span, names) = (after.span(), &after.get_ref().0);
            let mut parents: Vec<Parent> = Vec::with_capacity(names.len());
            for name in names {
                let stage = found(&span, name)?;
                if parents.iter().any(|parent| parent.stage == stage) {
                    let why = Wrong::ParentTwice(name.clone());
                    return Err(wrong(named_within(&file.text, &span, name), why));
                }
                parents.push(Parent { stage, via: Via::Same });
            }
            match parents.is_empty() {
                true => Err(wrong(span, Wrong::AfterNothing)),
                false => Ok(Feed::After(parents)),
            }
        }
        (None, None, None) => Err(wrong(table.name.span(), Wrong::NoOrigin(name()))),
        (_, after, gather) => {
            let second = gather.as_ref().map(Spanned::span);
            let second = second.or_else(|| after.as_ref().map(Spanned::span));
            Err(wrong(second.unwrap_or(0..0), Wrong::ManyOrigins(name())))
        }
    }
}

/// Where this name stands in a part of the file.
fn named_within(text: &str, span: &Range<usize>, name: &str) -> Range<usize> {
    let quoted = ["\"", "'"].map(|quote| format!("{quote}{name}{quote}"));
    let found = quoted.iter().find_map(|quoted| text[span.clone()].find(quoted.as_str()));
    found.map_or(span.clone(), |at| span.start + at..span.start + at + name.len() + 2)
}

/// The stages, each behind all that it waits for.
fn order(file: &PipelineFile, stages: &[StageInfo]) -> Result<Vec<StageId>, BadPipeline> {
    let graph = Graph { stages: stages.to_vec(), order: Vec::new() };
    let (mut order, mut is_placed) = (Vec::new(), vec![false; stages.len()]);
    while order.len() < stages.len() {
        let free = |id: &StageId| {
            !is_placed[*id] && graph.waits_for(*id).iter().all(|parent| is_placed[*parent])
        };
        let Some(next) = (0..stages.len()).find(free) else {
            return Err(cycle(file, &graph, &is_placed));
        };
        is_placed[next] = true;
        order.push(next);
    }
    Ok(order)
}

/// Says which stages wait for each other.
fn cycle(file: &PipelineFile, graph: &Graph, is_placed: &[bool]) -> BadPipeline {
    let mut way: Vec<StageId> = (0..is_placed.len()).filter(|id| !is_placed[*id]).take(1).collect();
    let first = loop {
        let waits_for = graph.waits_for(way[way.len() - 1]);
        let next = waits_for.into_iter().find(|parent| !is_placed[*parent]).unwrap_or(way[0]);
        match way.iter().position(|id| *id == next) {
            Some(at) => break at,
            None => way.push(next),
        }
    };
    let way = &way[first..];
    let names: Vec<&str> =
        way.iter().chain(&way[..1]).map(|id| graph.stages[*id].name.as_str()).collect();
    let table = &file.stages[way[0]];
    let span = table.after.as_ref().map(Spanned::span);
    let span = span.or_else(|| table.gather.as_ref().map(Spanned::span)).unwrap_or(0..0);
    BadPipeline::new(&file.text, span, Wrong::Cycle(names.join(" after ")))
}
