//! The items that stages run for, and which of them belong together.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::graph::{Domain, Graph, Parent, StageId, Via};
use super::keys::TaskKey;

/// An item, by its place among those of its domain.
pub(crate) type ItemId = u32;

/// A value for which stages run.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) value: Box<[u8]>,
    /// The item for which it was emitted, in the domain above.
    above: ItemId,
    /// How many before it have the same value, among those of one source or task.
    nth: u32,
}

/// The items of one domain.
#[derive(Clone, Debug, Default)]
struct Members {
    items: Vec<Item>,
    /// Of a domain of emitted items: those that each item above has, where its task has finished.
    emitted: HashMap<ItemId, Range<ItemId>>,
    /// Items by their values, if another source is joined with this one.
    by_value: HashMap<Box<[u8]>, ItemId>,
}

/// All items.
#[derive(Clone, Debug)]
pub(crate) struct Items {
    domains: BTreeMap<Domain, Members>,
}

impl Items {
    /// The one nameless item, and no others.
    pub(crate) fn new() -> Items {
        let single = Item { value: Box::default(), above: 0, nth: 0 };
        let single = Members { items: vec![single], ..Members::default() };
        Items { domains: BTreeMap::from([(Domain::Single, single)]) }
    }

    /// Adds values that a source gives, or that a task has emitted for the item above. Returns the
    /// new items.
    pub(crate) fn add(
        &mut self,
        domain: Domain,
        above: ItemId,
        values: impl IntoIterator<Item = Vec<u8>>,
    ) -> Range<ItemId> {
        let members = self.domains.entry(domain).or_default();
        let begin = members.items.len() as ItemId;
        let mut seen: HashMap<Vec<u8>, u32> = HashMap::new();
        for value in values {
            let before = seen.entry(value.clone()).or_insert(0);
            let nth = std::mem::replace(before, *before + 1);
            members.items.push(Item { value: value.into(), above, nth });
        }
        let added = begin..members.items.len() as ItemId;
        members.emitted.insert(above, added.clone());
        added
    }

    /// Prepares this source for joins.
    pub(crate) fn index(&mut self, domain: Domain) {
        let Some(members) = self.domains.get_mut(&domain) else { return };
        let items = members.items.iter().enumerate();
        members.by_value = items.map(|(id, item)| (item.value.clone(), id as ItemId)).collect();
    }

    pub(crate) fn len(&self, domain: Domain) -> usize {
        self.domains.get(&domain).map_or(0, |members| members.items.len())
    }

    pub(crate) fn value(&self, domain: Domain, item: ItemId) -> &[u8] {
        &self.domains[&domain].items[item as usize].value
    }

    /// Whether a source that was prepared for joins has a value twice.
    pub(crate) fn repeat(&self, domain: Domain) -> bool {
        let members = self.domains.get(&domain);
        members.is_some_and(|members| members.by_value.len() < members.items.len())
    }

    /// The item of this value in another source.
    pub(crate) fn with_value(&self, domain: Domain, value: &[u8]) -> Option<ItemId> {
        self.domains.get(&domain)?.by_value.get(value).copied()
    }

    /// The item of a parent that belongs to this item of a stage.
    pub(crate) fn of_parent(
        &self,
        graph: &Graph,
        stage: StageId,
        item: ItemId,
        parent: Parent,
    ) -> Option<ItemId> {
        let domain = graph.stages[stage].domain;
        match parent.via {
            Via::Same => Some(item),
            Via::One => Some(0),
            Via::Above(steps) => Some(self.above(graph, domain, item, steps)),
            Via::Value => {
                let other = graph.given(parent.stage);
                self.with_value(other, self.value(domain, item))
            }
        }
    }

    /// The item for which this one was emitted, over this number of stages that emit.
    pub(crate) fn above(&self, graph: &Graph, domain: Domain, item: ItemId, steps: u16) -> ItemId {
        let (mut domain, mut item) = (domain, item);
        for _ in 0..steps {
            item = self.domains[&domain].items[item as usize].above;
            domain = graph.above(domain).unwrap_or(Domain::Single);
        }
        item
    }

    /// The items of a domain that belong to this item of another one, over this way.
    pub(crate) fn below(
        &self,
        graph: &Graph,
        domain: Domain,
        via: Via,
        (from, item): (Domain, ItemId),
    ) -> Vec<ItemId> {
        match via {
            Via::Same => vec![item],
            Via::One => (0..self.len(domain) as ItemId).collect(),
            Via::Value => {
                let found = self.with_value(domain, self.value(from, item));
                found.into_iter().collect()
            }
            Via::Above(steps) => {
                let above = graph.above(domain).unwrap_or(Domain::Single);
                let parents = match steps {
                    1 => vec![item],
                    steps => self.below(graph, above, Via::Above(steps - 1), (from, item)),
                };
                let Some(members) = self.domains.get(&domain) else { return Vec::new() };
                let ranges = parents.iter().filter_map(|parent| members.emitted.get(parent));
                ranges.flat_map(Clone::clone).collect()
            }
        }
    }

    /// The item for whose task this item was emitted by tasks of a stage.
    pub(crate) fn emitter(&self, graph: &Graph, stage: StageId, item: ItemId) -> ItemId {
        self.above(graph, graph.given(stage), item, 1)
    }

    /// What was emitted for an item.
    pub(crate) fn emitted(&self, domain: Domain, above: ItemId) -> Range<ItemId> {
        let members = self.domains.get(&domain);
        members.and_then(|members| members.emitted.get(&above).cloned()).unwrap_or(0..0)
    }

    /// All items of a domain in the order of their sources.
    pub(crate) fn in_order(&self, graph: &Graph, domain: Domain) -> Vec<ItemId> {
        match graph.above(domain) {
            None => (0..self.len(domain) as ItemId).collect(),
            Some(above) => {
                let Some(members) = self.domains.get(&domain) else { return Vec::new() };
                let parents = self.in_order(graph, above).into_iter();
                let ranges = parents.filter_map(|parent| members.emitted.get(&parent));
                ranges.flat_map(Clone::clone).collect()
            }
        }
    }

    /// The name of a task, by which later runs know it: its stage, and where its item comes from.
    pub(crate) fn name(&self, graph: &Graph, stage: StageId, item: ItemId) -> TaskKey {
        let mut parts: Vec<Vec<u8>> = vec![graph.stages[stage].name.as_bytes().to_vec()];
        let (mut domain, mut item) = (graph.stages[stage].domain, item);
        while domain != Domain::Single {
            let Item { value, above, nth } = &self.domains[&domain].items[item as usize];
            parts.push(value.to_vec());
            parts.push(nth.to_le_bytes().to_vec());
            (domain, item) = (graph.above(domain).unwrap_or(Domain::Single), *above);
        }
        TaskKey::of(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }
}
