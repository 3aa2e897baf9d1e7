//! A run in virtual time: workers, slots, a disk, and what happens to them.

mod agenda;
mod attempts;
mod faults;
mod machine;
mod natures;
mod perform;
mod stopping;
mod supervisor;
mod values;

use std::collections::BTreeMap;
use std::time::Duration;

use msup_protocol::exit::{self, WorkerEnd};
use msup_protocol::packed::WorkerId;

use super::disk::Disk;
use super::history::History;
use super::planted::Planted;
use super::random::Random;
use super::telling::Telling;
use super::{RUN, text};
use crate::engine::{AtCap, Event, Input, Limits, OutputPressure, Policy, StartRules};
use crate::journal::record::{Again, AgainKind};
use crate::journal::{Journal, Record, Sync};

use agenda::{Agenda, Happening};
use faults::Faults;
use machine::{Machine, Slot, State};
use natures::Nature;
use supervisor::Supervisor;
use values::Values;

/// A run that has not finished after this number of steps never will.
const STEPS_AT_MOST: u32 = 30_000;

/// A supervisor looks at everything at least this often.
const LOOK_EVERY: Duration = Duration::from_millis(100);

const SIGKILL: u8 = 9;
const SIGSEGV: u8 = 11;
const SIGTERM: u8 = 15;

/// A simulated run. Everything but the supervisor outlives the supervisor.
#[derive(Debug)]
pub(super) struct World {
    telling: Telling,
    planted: Planted,
    random: Random,
    agenda: Agenda,
    faults: Faults,
    limits: Limits,
    /// What the tasks do, by their values.
    natures: BTreeMap<String, Nature>,
    values: Values,
    machine: Machine,
    disk: Disk,
    supervisor: Supervisor,
    history: History,
}

fn draw_starts(random: &mut Random) -> StartRules {
    if !random.once_in(4) {
        return StartRules::default();
    }
    let ms = Duration::from_millis;
    StartRules {
        delay: ms(random.below(20)),
        adapts: random.once_in(2),
        looks: random.once_in(2),
        may_stop: random.once_in(2),
        settles: ms(random.below(5)),
        asks: random.once_in(3),
    }
}

fn draw_limits(random: &mut Random, seed: u64) -> Limits {
    let ms = Duration::from_millis;
    let procs = 1 + random.below(3) as u32;
    let max_workers = procs as u16 + random.below(3) as u16;
    let task_slots = 2 + random.below(6) as usize;
    Limits {
        worker_program: "worker".into(),
        procs,
        max_workers,
        task_slots,
        most_published: 1 + random.below(task_slots as u64) as usize,
        idle_timeout: ms(50 + random.below(1000)),
        at_cap: AtCap::Wait,
        admits: false,
        has_client: false,
        longest_first: random.once_in(5),
        needs_total: false,
        starts: draw_starts(random),
        memory: None,
        policy: Policy {
            tries: 1 + random.below(3) as u32,
            backoff: [ms(1), ms(1 + random.below(200))],
            ..Policy::default()
        },
        seed,
    }
}

impl World {
    pub(super) fn new(seed: u64, planted: Planted, telling: Telling) -> World {
        let mut random = Random::new(seed);
        let mut limits = draw_limits(&mut random, seed);
        let natures = natures::draw(&mut random);
        let can_note = !random.once_in(10);
        let disk = Disk::new(random.once_in(2));
        let mut faults = Faults::draw(&mut random);
        let is_calm = faults.are_over();
        limits.policy.halt = faults.halt(&mut random);
        let (records, spool) = (disk.records.clone(), disk.spool.clone());
        let journal = Journal::over(records, spool, 1, RUN, Sync::none());
        let mut world = World {
            telling,
            planted,
            random,
            agenda: Agenda::default(),
            faults,
            values: Values::fresh(natures.keys().cloned()),
            natures,
            machine: Machine::new(&limits, can_note),
            disk,
            supervisor: Supervisor::new(1, 1, limits.clone(), journal, is_calm),
            limits,
            history: History::new(can_note),
        };
        world.take_up(&[]);
        world
    }

    /// What happened, if it was kept.
    pub(super) fn story(self) -> Vec<String> {
        self.telling.into_story()
    }

    /// Plays until the run is over. Returns what was wrong, if anything.
    pub(super) fn play(&mut self) -> Result<(), String> {
        for _ in 0..STEPS_AT_MOST {
            let Some(happening) = self.agenda.next() else {
                return Err("nothing happens any more".into());
            };
            self.tell(|| format!("{happening:?}"));
            self.happen(happening);
            if let Some(status) = self.supervisor.finished.take()
                && let Some(judged) = self.conclude(status)
            {
                return judged;
            }
            if let Some(wrong) = self.history.wrongs.first().cloned() {
                let journal = text(&self.disk.records.bytes());
                self.tell(|| format!("the journal:\n{journal}"));
                return Err(wrong);
            }
        }
        Err("it does not finish".into())
    }

    fn tell(&mut self, what: impl FnOnce() -> String) {
        self.telling.tell(self.agenda.now(), what);
    }

    fn later(&mut self, within_ms: u64, happening: Happening) {
        let wait = Duration::from_micros(1 + self.random.below(within_ms * 1000));
        self.agenda.enter(self.agenda.now() + wait, happening);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Look => {
                let now = self.agenda.now();
                let again = self.supervisor.engine.looks_again_at().filter(|at| *at > now);
                let wait = again.map_or(LOOK_EVERY, |at| (at - now).min(LOOK_EVERY));
                self.agenda.enter(now + wait, Happening::Look);
            }
            Happening::Reads => self.reads(),
            Happening::Fault => self.fault(),
            Happening::Up(worker, life) => self.comes_up(worker, life),
            Happening::Finishes(worker, life) => self.finishes(worker, life),
            Happening::Climbs(worker, number) => self.climbs(worker, number),
            Happening::Yields(worker, number) => self.yields(worker, number),
            Happening::Dies(worker, life, signal) => {
                let end = match signal {
                    0 => WorkerEnd::Exited(0),
                    signal => WorkerEnd::Signaled(signal),
                };
                self.dies(worker, life, end, None);
            }
            Happening::Kept(seq) => {
                self.supervisor.journal.kept([seq]);
                self.is_noted(seq);
            }
            Happening::Shown(seq, value) => self.shows(seq, &value),
            Happening::Space => self.disk.set_full(false),
            Happening::Answers => self.answers(),
            Happening::PressureEnds => self.step(Event::OutputPressure(OutputPressure::None)),
        }
        self.settle();
    }

    fn comes_up(&mut self, worker: WorkerId, life: u32) {
        let at = self.machine.worker(worker);
        if at.life == life && at.state == State::Starting {
            at.state = State::Idle;
            self.step(Event::WorkerSettled(worker));
        }
    }

    fn shows(&mut self, seq: u64, value: &str) {
        self.history.shows(value);
        self.supervisor.journal.shown([seq]);
        self.is_noted(seq);
    }

    /// The end of a task is noted: what it has added may run.
    fn is_noted(&mut self, seq: u64) {
        if self.supervisor.emitting.remove(&seq) {
            self.step(Event::EndNoted(seq));
        }
    }

    /// What the loop does in every turn.
    fn settle(&mut self) {
        if self.supervisor.finished.is_some() {
            return;
        }
        self.flush();
        self.claim();
        let view = self.machine.view();
        self.step(Event::Looked(view));
        self.claim();
        self.flush();
    }

    fn step(&mut self, event: Event) {
        let number = self.supervisor.number();
        let mut effects = Vec::new();
        self.supervisor.engine.step(event, self.agenda.now(), &mut effects);
        let mut events = Vec::new();
        for effect in effects {
            self.perform(effect, &mut events);
            if self.is_dead(number) {
                // The remaining effects of the killed supervisor do not count.
                return;
            }
        }
        for event in events {
            self.step(event);
            if self.is_dead(number) {
                return;
            }
        }
    }

    /// Takes in what tasks have added in earlier generations.
    fn takes_added(&mut self) {
        let now = self.agenda.now().as_secs_f64();
        let inputs = std::mem::take(&mut self.values.to_add).into_iter().map(|(seq, value)| {
            let earlier = self.planted.earlier(self.values.earlier(seq, &value, now));
            Input { value, seq: Some(seq), earlier, ..Input::default() }
        });
        let inputs = inputs.collect();
        self.step(Event::Inputs(inputs));
    }

    fn reads(&mut self) {
        if !self.values.to_add.is_empty() {
            self.takes_added();
        }
        if !self.supervisor.engine.wants_input() {
            self.later(10, Happening::Reads);
            return;
        }
        let left = self.values.left();
        if left == 0 {
            self.step(Event::InputsEnded);
            return;
        }
        let many = 1 + self.random.below(left.min(4) as u64) as usize;
        let values = self.values.read(many);
        self.supervisor.journal.spool(&values);
        let number = self.supervisor.number();
        self.flush();
        if self.is_dead(number) {
            return;
        }
        let first = self.values.all.len() - left + 1;
        let now = self.agenda.now().as_secs_f64();
        let input = |(seq, value): (usize, Vec<u8>)| {
            let earlier = self.planted.earlier(self.values.earlier(seq as u64, &value, now));
            Input { value, earlier, ..Input::default() }
        };
        let inputs = (first..).zip(values).map(input).collect();
        self.step(Event::Inputs(inputs));
        self.later(20, Happening::Reads);
    }

    /// A supervisor has finished. Returns the judgement, unless the run goes on.
    fn conclude(&mut self, status: u8) -> Option<Result<(), String>> {
        // Outputs on their way to the terminal arrive.
        self.disk.set_full(false);
        for happening in self.agenda.take_all() {
            if let Happening::Shown(seq, value) = happening {
                self.shows(seq, &value);
            }
        }
        let is_complete = self.supervisor.engine.is_complete();
        let (journal, is_whole) =
            (&mut self.supervisor.journal, is_complete && !self.values.are_cut_off);
        journal.flush();
        assert!(journal.is_whole(), "end records are held back");
        journal.finish(status, is_whole, false);
        self.flush();
        if !self.machine.is_empty() {
            return Some(Err("a worker is left".into()));
        }
        if is_complete {
            // A retry that was cut short leaves the failure before it.
            self.history.is_taken_up(&self.ends_left());
            return Some(self.judge(status, is_whole));
        }
        if self.supervisor.is_calm {
            return Some(Err(format!("it gives up with {status}")));
        }
        self.tell(|| format!("stopped with {status}, and resumed"));
        self.resume();
        None
    }

    /// Judges a run that is over.
    fn judge(&mut self, status: u8, is_whole: bool) -> Result<(), String> {
        // What was added counts even where the list that it came from was cut off.
        let added = self.natures.iter().filter(|(value, nature)| {
            matches!(nature, natures::Nature::Emits) && self.history.has_succeeded(value)
        });
        let added: Vec<String> = added.flat_map(|(value, _)| natures::added_by(value)).collect();
        let failures = self.history.settles(&[&self.values.all[..], &added].concat());
        let engine = &self.supervisor.engine;
        // A run stopped by --halt exits with that status, even if nothing was left. So does one
        // that a signal found in its last tasks.
        let stopped_with = engine.stopped_by().map(|signal| exit::SIGNAL_BASE + signal);
        let expected = stopped_with.unwrap_or(exit::for_failures(failures));
        if !engine.is_halted() && status != expected {
            let told = &engine.tally().failures;
            let told: Vec<String> = told.iter().map(|one| text(&one.value)).collect();
            return Err(format!("status {status}, and {failures} did not succeed: {told:?}"));
        }
        let past = self.disk.past().expect("it was just written");
        if past.finished != Some((status, is_whole)) {
            return Err(format!("the journal says {:?}", past.finished));
        }
        self.judge_crashes();
        self.history.wrongs.first().map_or(Ok(()), |wrong| Err(wrong.clone()))
    }

    /// No task crashes its process more often than allowed, over all generations. One that has
    /// finished and that the user has run again is as good as new.
    fn judge_crashes(&mut self) {
        let mut crashes: BTreeMap<String, u32> = BTreeMap::new();
        let mut wrongs = Vec::new();
        let limit = self.limits.policy.crash_limit;
        self.disk.read(|record| match record {
            Record::Again(Again { value, kind: Some(AgainKind::Crashed), .. }) => {
                let value = text(&value.0);
                let crashes = crashes.entry(value.clone()).or_default();
                *crashes += 1;
                if *crashes >= limit {
                    wrongs.push(format!("{value} is run again after {crashes} crashes"));
                }
            }
            Record::End(end) => drop(crashes.remove(&text(&end.value.0))),
            _ => {}
        });
        self.history.wrongs.append(&mut wrongs);
    }
}
