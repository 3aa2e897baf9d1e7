//! Simulated supervisors: how one takes up the run, dies, and is followed by another.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Happening, Values, World};
use crate::engine::{Engine, Failure, Limits};
use crate::journal::entries::KnownTasks;
use crate::journal::{Bytes, Journal, Record, Run, SCHEMA, State, Sync, Trouble};
use crate::simulation::disk::FakeFile;
use crate::simulation::history::History;
use crate::simulation::{RUN, text};

/// The time between two supervisors.
const PAUSE: Duration = Duration::from_secs(100);

/// What dies with a supervisor.
#[derive(Debug)]
pub(super) struct Supervisor {
    /// Which one it is. Unlike generations, these numbers are never used again.
    number: u64,
    pub(super) generation: u32,
    pub(super) engine: Engine,
    pub(super) journal: Journal<FakeFile>,
    /// The trouble with the journal that the engine knows of.
    pub(super) trouble: Trouble,
    /// Something was noted that must be written before anything is published.
    pub(super) is_urgent: bool,
    /// The values of finished tasks with an output.
    pub(super) outputs: BTreeSet<String>,
    /// Tasks that have added others, and whose outputs are not shown.
    pub(super) emitting: BTreeSet<u64>,
    /// The tasks that have failed in it, and whose ends are in the journal.
    pub(super) failed: Vec<Failure>,
    /// It began when no fault was left.
    pub(super) is_calm: bool,
    /// The exit status, once it has finished.
    pub(super) finished: Option<u8>,
}

impl Supervisor {
    pub(super) fn new(
        number: u64,
        generation: u32,
        limits: Limits,
        journal: Journal<FakeFile>,
        is_calm: bool,
    ) -> Supervisor {
        Supervisor {
            number,
            generation,
            engine: Engine::new(limits),
            journal,
            trouble: Trouble::None,
            is_urgent: false,
            outputs: BTreeSet::new(),
            emitting: BTreeSet::new(),
            failed: Vec::new(),
            is_calm,
            finished: None,
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl World {
    /// Whether the supervisor with this number has been killed.
    pub(super) fn is_dead(&self, number: u64) -> bool {
        self.supervisor.number != number
    }

    /// The supervisor is gone, and everything with it.
    pub(super) fn crash(&mut self, power_cut: bool) {
        self.history.all_die(power_cut || !self.machine.can_note);
        self.disk.set_full(false);
        if power_cut {
            // What was not synced of this is lost as well.
            self.machine.noted.fill(None);
            self.disk.lose_power(&mut self.random);
        }
        self.history.keeps(&self.ends_left(), power_cut);
        self.resume();
    }

    /// The tasks that have ends in the journal, and whether they have succeeded.
    pub(super) fn ends_left(&self) -> BTreeMap<String, bool> {
        let mut left = BTreeMap::new();
        self.disk.read(|record| {
            if let Record::End(end) = record {
                left.insert(text(&end.value.0), end.state == State::Succeeded);
            }
        });
        left
    }

    /// Another supervisor takes up the run.
    pub(super) fn resume(&mut self) {
        self.machine.clear();
        self.agenda.clear();
        self.history.is_taken_up(&self.ends_left());
        let Ok(mut past) = self.disk.past() else {
            // Not even its beginning has survived: the user starts it again.
            self.disk.clear();
            self.history = History::new(self.machine.can_note);
            self.values = Values::fresh(self.natures.keys().cloned());
            let (records, spool) = (self.disk.records.clone(), self.disk.spool.clone());
            self.begin(1, Journal::over(records, spool, 1, RUN, Sync::none()), &[]);
            return;
        };
        self.disk.keep_whole_records(past.condition.whole as usize);
        if let Some(values) = self.disk.keep_whole_values() {
            let kept = values.len() as u64;
            self.values.all = values;
            self.values.are_cut_off = past.inputs.is_none_or(|total| kept < total);
        }
        let (generation, next) = (past.generations + 1, past.condition.next);
        let noted = self.planted.notes(self.machine.notes());
        let cut_off = self.planted.cut_off(past.cut_off(noted));
        let unshown = past.take_unshown(&self.disk.kept).into_values();
        let unshown = unshown.map(|end| (text(&end.value.0), end)).collect();
        let added = past.added();
        self.values.begin_again(KnownTasks::of(past, |value, _| value.to_vec()), unshown, &added);
        self.history.wait(self.values.unshown.keys().cloned());
        let records = self.disk.records.clone();
        self.begin(generation, Journal::over(records, None, next, RUN, Sync::none()), &cut_off);
    }

    fn begin(&mut self, generation: u32, journal: Journal<FakeFile>, cut_off: &[Record]) {
        let is_calm = self.faults.are_over();
        self.limits.policy.halt = self.faults.halt(&mut self.random);
        let (number, limits) = (self.supervisor.number + 1, self.limits.clone());
        self.supervisor = Supervisor::new(number, generation, limits, journal, is_calm);
        self.take_up(cut_off);
    }

    /// The supervisor takes up the run, after recording what the one before has left behind.
    pub(super) fn take_up(&mut self, cut_off: &[Record]) {
        let number = self.supervisor.number;
        self.agenda.rest(PAUSE);
        let run = Run {
            schema: SCHEMA,
            run: RUN.into(),
            version: "0".into(),
            generation: self.supervisor.generation,
            arguments: Vec::new(),
            folder: Bytes(Vec::new()),
            pid: 1,
            within: None,
            shard: None,
            work: String::new(),
            machine: None,
        };
        cut_off.iter().for_each(|record| self.supervisor.journal.note(record));
        self.supervisor.journal.note(&Record::Run(run));
        self.flush();
        if self.is_dead(number) {
            // It was killed while it wrote that.
            return;
        }
        self.machine.noted.fill(None);
        self.later(1, Happening::Reads);
        self.later(1, Happening::Look);
        self.later(100, Happening::Fault);
    }
}
