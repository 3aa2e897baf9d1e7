//! The values of a simulated run, and how far they were read.

use std::collections::{BTreeMap, HashMap};

use crate::engine::Earlier;
use crate::journal::End;
use crate::journal::entries::{KnownTasks, earlier};
use crate::simulation::text;

/// All values, and what is known of their tasks.
#[derive(Debug)]
pub(super) struct Values {
    pub(super) all: Vec<String>,
    /// The number that were read in this generation.
    read: usize,
    /// Some of the input is lost.
    pub(super) are_cut_off: bool,
    /// What earlier generations did, if there were any.
    known: Option<KnownTasks>,
    /// Tasks that have finished then, and whose outputs were not shown.
    pub(super) unshown: HashMap<String, End>,
    /// Tasks that others have added, by their numbers; and those that this generation has not taken
    /// in yet.
    pub(super) added: BTreeMap<u64, String>,
    pub(super) to_add: Vec<(u64, Vec<u8>)>,
}

impl Values {
    /// The values of a run that begins.
    pub(super) fn fresh(all: impl Iterator<Item = String>) -> Values {
        Values {
            all: all.collect(),
            read: 0,
            are_cut_off: false,
            known: None,
            unshown: HashMap::new(),
            added: BTreeMap::new(),
            to_add: Vec::new(),
        }
    }

    /// They are read from the beginning, where this is known.
    pub(super) fn begin_again(
        &mut self,
        known: KnownTasks,
        unshown: HashMap<String, End>,
        added: &[(u64, Vec<u8>)],
    ) {
        (self.read, self.known, self.unshown) = (0, Some(known), unshown);
        self.added = added.iter().map(|(seq, value)| (*seq, text(value))).collect();
        self.to_add = added.to_vec();
    }

    pub(super) fn left(&self) -> usize {
        self.all.len() - self.read
    }

    /// Reads the next ones. At least this number must be left.
    pub(super) fn read(&mut self, number: usize) -> Vec<Vec<u8>> {
        let group = &self.all[self.read..self.read + number];
        self.read += number;
        group.iter().map(|value| value.clone().into_bytes()).collect()
    }

    /// What happened to the task of this value, which was read as the one with this number, in
    /// earlier generations. `now`: seconds.
    pub(super) fn earlier(&mut self, seq: u64, value: &[u8], now: f64) -> Earlier {
        let earlier = self.known.as_mut().map(|known| earlier(known.find(seq, value), now));
        earlier.unwrap_or_default()
    }

    /// The value with this number.
    pub(super) fn at(&self, seq: u64) -> String {
        let of_list = || self.all[seq as usize - 1].clone();
        self.added.get(&seq).cloned().unwrap_or_else(of_list)
    }
}
