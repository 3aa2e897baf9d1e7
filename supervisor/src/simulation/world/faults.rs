//! The faults of a simulated run, including the death of the supervisor, and how the run is
//! resumed.

use std::collections::BTreeSet;

use super::{Happening, RUN, SIGKILL, SIGSEGV, SIGTERM, Slot, Worker, World, text};
use crate::engine::{Counted, Event, Halt, TaskRecord, Threshold};
use crate::journal::entries::KnownTasks;
use crate::journal::{Journal, Record, Seed, Sync, Trouble, read};
use crate::simulation::disk::FakeFile;
use crate::simulation::history::History;
use msup_protocol::exit::WorkerEnd;
use msup_protocol::packed::WorkerId;

impl World {
    /// The supervisor is gone, and everything with it.
    pub(super) fn crash(&mut self, power_cut: bool) {
        self.history.all_die(power_cut || !self.notes);
        if power_cut {
            // What was not synced of this is lost as well.
            self.noted.fill(None);
        }
        self.dies_writing &= !power_cut;
        self.happenings.clear();
        self.climbs.clear();
        self.workers.fill((Worker::Vacant, 0, false));
        self.slots.fill(Slot::Free);
        let files = [Some(self.records.clone()), self.spool.clone()];
        for file in files.iter().flatten() {
            file.set_full(false);
            if power_cut {
                file.lose_power(&mut self.random);
            }
        }
        let mut left = BTreeSet::new();
        let kept = read(&*self.records.bytes(), &Seed::new(RUN), |_, record| {
            if let Record::End(end) = record {
                left.insert(text(&end.value.0));
            }
        });
        assert!(kept.is_ok(), "memory can be read");
        self.history.keeps(&left, power_cut);
        self.resume();
    }

    pub(super) fn resume(&mut self) {
        self.trouble = Trouble::None;
        self.workers.fill((Worker::Vacant, 0, false));
        self.slots.fill(Slot::Free);
        self.happenings.clear();
        self.climbs.clear();
        self.is_urgent = false;
        let Ok(mut past) = self.past() else {
            // Not even its beginning has survived: the user starts it again.
            self.records.truncate(0);
            if let Some(spool) = &self.spool {
                spool.truncate(0);
            }
            self.history = History::new(self.notes);
            (self.known, self.cut_off, self.read) = (None, false, 0);
            self.values = self.natures.keys().cloned().collect();
            let (records, spool) = (self.records.clone(), self.spool.clone());
            self.journal = Journal::over(records, spool, 1, RUN, Sync::none());
            self.begin(1, Vec::new());
            return;
        };
        let generation = past.generations + 1;
        self.records.truncate(past.condition.whole as usize);
        self.read = self.records.len();
        if let Some(spool) = &self.spool {
            let whole = spool.bytes().iter().rposition(|byte| *byte == 0).map_or(0, |at| at + 1);
            spool.truncate(whole);
            let kept: Vec<String> =
                spool.bytes()[..whole].split(|byte| *byte == 0).map(text).collect();
            self.values = kept[..kept.len() - 1].to_vec();
            let kept = self.values.len() as u64;
            self.cut_off = past.inputs.is_none_or(|total| kept < total);
        }
        let next = past.condition.next;
        let noted = self.planted.notes(self.notes.then_some(self.noted.as_slice()));
        let cut_off = self.planted.cut_off(past.cut_off(noted));
        self.journal = Journal::over(self.records.clone(), None, next, RUN, Sync::none());
        self.known = Some(KnownTasks::of(past, |value, _| value.to_vec()));
        self.begin(generation, cut_off);
    }

    /// Now and then a generation is halted after some tasks.
    pub(super) fn halt(&mut self) -> Option<Halt> {
        if self.faults == 0 || !self.random.once_in(3) {
            return None;
        }
        self.faults -= 1;
        let counted = [Counted::Fail, Counted::Success, Counted::Done];
        Some(Halt {
            now: self.random.once_in(2),
            what: counted[self.random.below(3) as usize],
            at: Threshold::Number(1 + self.random.below(6)),
        })
    }

    pub(super) fn fault(&mut self) {
        if self.faults == 0 {
            return;
        }
        self.faults -= 1;
        self.later(150, Happening::Fault);
        let worker = self.random.below(self.workers.len() as u64) as WorkerId;
        let life = self.workers[usize::from(worker)].1;
        match self.random.below(12) {
            0..4 => self.dies(worker, life, WorkerEnd::Signaled(SIGKILL), None),
            4 => self.dies(worker, life, WorkerEnd::Signaled(SIGSEGV), None),
            5 => self.end_epoch(),
            6 => {
                self.set_full(true);
                self.later(200, Happening::Space);
            }
            7 if self.random.once_in(2) => self.crash(false),
            7 => self.dies_writing = true,
            8 => self.crash(true),
            9 => {
                self.step(Event::OutputPressure(true));
                self.later(100, Happening::PressureEnds);
            }
            10 => self.step(Event::StopSignal(SIGTERM)),
            _ => {
                // In this order: what is journaled of the input is in the spool.
                self.spool.iter().for_each(FakeFile::sync);
                self.records.sync();
            }
        }
    }

    fn end_epoch(&mut self) {
        let busy: Vec<String> = self
            .workers
            .iter()
            .filter_map(|one| match &one.0 {
                Worker::Busy(_, value) => Some(value.clone()),
                _ => None,
            })
            .collect();
        for value in &busy {
            self.history.stops(value);
            self.history.is_killed(value);
        }
        self.climbs.clear();
        for (state, life, leaves) in &mut self.workers {
            (*state, *life, *leaves) = (Worker::Vacant, *life + 1, false);
        }
        let is_unstarted = |slot: &u16| {
            let task = self.engine.task(*slot);
            let noted = self.noted[usize::from(*slot)].map(|entry| (entry.seq, entry.attempt));
            let attempt = |task: &TaskRecord| self.planted.attempt(task.attempt);
            task.is_some_and(|task| self.notes && noted != Some((task.seq, attempt(task))))
        };
        let unstarted = (0..self.slots.len() as u16).filter(is_unstarted).collect();
        self.slots.fill(Slot::Free);
        self.step(Event::EpochEnded { why: "noise".into(), failed: None, unstarted });
    }
}
