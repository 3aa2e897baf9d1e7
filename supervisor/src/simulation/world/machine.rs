//! Simulated worker processes, the task slots, and what workers note.

use std::collections::BTreeMap;

use msup_protocol::in_flight::Entry;
use msup_protocol::packed::WorkerId;

use super::stopping::Climb;
use crate::engine::{Limits, View};

/// What a worker does.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum State {
    /// There is no process.
    #[default]
    Vacant,
    Starting,
    Idle,
    /// In this slot, with this value.
    Busy(u16, String),
}

/// A worker, one process after another.
#[derive(Clone, Debug, Default)]
pub(super) struct Worker {
    pub(super) state: State,
    /// Which process it is, from 1.
    pub(super) life: u32,
    /// It was told to exit.
    pub(super) is_leaving: bool,
}

impl Worker {
    pub(super) fn is_busy(&self) -> bool {
        matches!(self.state, State::Busy(..))
    }

    /// A new process starts. Returns which it is.
    pub(super) fn start(&mut self) -> u32 {
        *self = Worker { state: State::Starting, life: self.life + 1, is_leaving: false };
        self.life
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Slot {
    Free,
    Ready,
    Claimed,
}

/// All processes but the supervisor, and the segment.
#[derive(Debug)]
pub(super) struct Machine {
    tokens: usize,
    pub(super) workers: Vec<Worker>,
    pub(super) slots: Vec<Slot>,
    /// What workers have noted of what they take up, by task slot.
    pub(super) noted: Vec<Option<Entry>>,
    /// Whether workers can take notes.
    pub(super) can_note: bool,
    /// The attempts that are being stopped.
    pub(super) climbs: BTreeMap<WorkerId, Climb>,
}

impl Machine {
    pub(super) fn new(limits: &Limits, can_note: bool) -> Machine {
        Machine {
            tokens: limits.procs as usize,
            workers: vec![Worker::default(); usize::from(limits.max_workers)],
            slots: vec![Slot::Free; limits.task_slots],
            noted: vec![None; limits.task_slots],
            can_note,
            climbs: BTreeMap::new(),
        }
    }

    pub(super) fn worker(&mut self, worker: WorkerId) -> &mut Worker {
        &mut self.workers[usize::from(worker)]
    }

    pub(super) fn slot(&mut self, slot: u16) -> &mut Slot {
        &mut self.slots[usize::from(slot)]
    }

    fn busy(&self) -> usize {
        self.workers.iter().filter(|worker| worker.is_busy()).count()
    }

    /// Whether no process is left.
    pub(super) fn is_empty(&self) -> bool {
        self.workers.iter().all(|worker| worker.state == State::Vacant)
    }

    /// Every process is gone, and so is the segment. Notes stay.
    pub(super) fn clear(&mut self) {
        self.workers.fill(Worker::default());
        self.slots.fill(Slot::Free);
        self.climbs.clear();
    }

    /// The notes of workers, if they can take any.
    pub(super) fn notes(&self) -> Option<&[Option<Entry>]> {
        self.can_note.then_some(self.noted.as_slice())
    }

    /// An idle worker that may claim a task, and the ready tasks' slots, if there are any of each
    /// and a token is free.
    pub(super) fn claimable(&self) -> Option<(usize, Vec<usize>)> {
        let is_free = |worker: &Worker| worker.state == State::Idle && !worker.is_leaving;
        let worker = self.workers.iter().position(is_free)?;
        let ready: Vec<usize> =
            (0..self.slots.len()).filter(|slot| self.slots[*slot] == Slot::Ready).collect();
        (self.busy() < self.tokens && !ready.is_empty()).then_some((worker, ready))
    }

    /// What a supervisor sees.
    pub(super) fn view(&self) -> View {
        let count = |slot| self.slots.iter().filter(|one| **one == slot).count() as u32;
        let parked = self.workers.iter().enumerate();
        let parked = parked.filter(|(_, worker)| worker.state == State::Idle);
        View {
            idle: (self.tokens - self.busy()) as u32,
            running: self.busy() as u32,
            in_flight: count(Slot::Claimed),
            ready: count(Slot::Ready),
            parked: parked.map(|(worker, _)| (worker as WorkerId, 0)).collect(),
            ..View::default()
        }
    }

    /// The segment was overwritten: all workers are killed, and there is a fresh one. Returns the
    /// values that they ran.
    pub(super) fn begin_epoch(&mut self) -> Vec<String> {
        self.climbs.clear();
        self.slots.fill(Slot::Free);
        let mut cut_short = Vec::new();
        for worker in &mut self.workers {
            let life = worker.life + 1;
            let gone = std::mem::replace(worker, Worker { life, ..Worker::default() });
            if let State::Busy(_, value) = gone.state {
                cut_short.push(value);
            }
        }
        cut_short
    }
}
