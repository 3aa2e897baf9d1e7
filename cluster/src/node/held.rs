//! The tasks that a node has, from their messages to their acknowledgements.

use std::collections::HashMap;
use std::sync::Arc;

use async_nats::Subject;
use tokio::sync::OwnedSemaphorePermit;

use crate::records::{ResultRecord, Tries};

/// A finished task, before its result is known to the server.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) record: ResultRecord,
    /// Standard output and standard error.
    pub(super) outputs: [Vec<u8>; 2],
    /// Its file waits for an order to the runner.
    pub(super) is_of_runner: bool,
    /// Room among outputs that wait.
    pub(super) _room: Option<OwnedSemaphorePermit>,
}

/// How far a task has come.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Another node had it before: what has become of it is asked.
    Checking,
    /// The runner has it.
    Running,
    /// Its result is on its way to the server.
    Delivering(Arc<Finished>),
    /// Its result counts, and has this number. Its file is being placed.
    Placing(Arc<Finished>, u64),
    /// The result of another node counts, whose file is placed for it, if need be.
    Settling,
}

/// A task.
#[derive(Debug)]
pub(super) struct Held {
    /// Where acknowledgements go: the newest place counts.
    pub(super) reply: Subject,
    pub(super) value: Vec<u8>,
    /// How often it was handed out, this time included.
    pub(super) deliveries: u64,
    pub(super) tries: Tries,
    pub(super) phase: Phase,
    /// Its result is on disk, too.
    pub(super) is_kept: bool,
}

impl Held {
    /// How often it has crashed, or was lost with its node.
    pub(super) fn crashes(&self) -> u32 {
        self.tries.crashes.saturating_add(self.tries.lost(self.deliveries))
    }

    /// How often an attempt has begun elsewhere.
    pub(super) fn attempts(&self) -> u32 {
        self.tries.attempts.saturating_add(self.tries.lost(self.deliveries))
    }
}

/// All tasks of a node, by their numbers.
#[derive(Debug, Default)]
pub(super) struct HeldTasks {
    tasks: HashMap<u64, Held>,
}

impl HeldTasks {
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    pub(super) fn get(&mut self, seq: u64) -> Option<&mut Held> {
        self.tasks.get_mut(&seq)
    }

    pub(super) fn add(&mut self, seq: u64, held: Held) {
        self.tasks.insert(seq, held);
    }

    pub(super) fn remove(&mut self, seq: u64) -> Option<Held> {
        self.tasks.remove(&seq)
    }

    /// How many have a worker, or are about to get one.
    pub(super) fn under_way(&self) -> u32 {
        let is_under_way = |held: &&Held| matches!(held.phase, Phase::Checking | Phase::Running);
        self.tasks.values().filter(is_under_way).count() as u32
    }

    /// Where acknowledgements of all of them go.
    pub(super) fn replies(&self) -> Vec<Subject> {
        self.tasks.values().map(|held| held.reply.clone()).collect()
    }

    /// The numbers of those whose phase is one of these.
    pub(super) fn numbers(&self, is_one: impl Fn(&Phase) -> bool) -> Vec<u64> {
        let found = self.tasks.iter().filter(|(_, held)| is_one(&held.phase));
        found.map(|(seq, _)| *seq).collect()
    }

    /// Whether all that are left have finished, and their results are on disk.
    pub(super) fn are_all_kept(&self) -> bool {
        self.tasks.values().all(|held| held.is_kept && matches!(held.phase, Phase::Delivering(_)))
    }
}
