//! A simulated machine with any number of CPUs. Commands run on it as the controller says, or a
//! fixed number of them.
//!
//! It goes from event to event, so what it costs depends on how often commands begin to compute or
//! to wait, and not on how long they do. Times are in milliseconds.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::loads::{Load, Spell};
use super::told::Told;
use crate::engine::concurrency::start_gate::Starts;

/// The length of a window.
pub(super) const WINDOW: f64 = 40.0;

/// What a start costs, on a CPU, and mostly the time from one to the next while more commands are
/// started than finish.
const START: f64 = 1.0;
const BETWEEN_STARTS: f64 = 0.5;

/// What asking a server once more costs, on a CPU.
const ASKING: f64 = 0.25;

/// Times are compared with this tolerance.
const INSTANT: f64 = 1e-9;

/// A time in a queue of events: times are not negative, so their bits are in their order.
fn key(time: f64) -> u64 {
    time.max(0.0).to_bits()
}

type Queue = BinaryHeap<Reverse<(u64, usize)>>;

fn first(queue: &Queue) -> Option<f64> {
    queue.peek().map(|Reverse((at, _))| f64::from_bits(*at))
}

/// What a command waits for.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Stage {
    Computes,
    /// Nothing shared, or it has not asked yet.
    Waits,
    /// It is being served, and others wait for its place.
    IsServed,
    /// A place.
    Queues,
    /// The time at which the server told it to come back.
    Refused,
}

pub(super) struct Running {
    /// What is left to do, the next spell last.
    spells: Vec<Spell>,
    /// The waiting of the present spell.
    wait: f64,
    pub(super) stage: Stage,
    /// When it last computed, and whether it has in this window.
    pub(super) computed: f64,
    pub(super) computes: bool,
    /// When it began, the CPU time that it has used, and the CPU clock when it began to compute.
    began: f64,
    spent: f64,
    clock: f64,
}

/// The commands in flight.
#[derive(Default)]
pub(super) struct Commands {
    pub(super) slots: Vec<Option<Running>>,
    vacant: Vec<usize>,
    pub(super) in_flight: usize,
}

/// What commands wait for.
#[derive(Default)]
struct Queues {
    /// Computing commands, by the value of `Clocks::done` at which they begin to wait.
    computing: Queue,
    /// Waiting commands, by time.
    waiting: Queue,
    /// Commands that wait for a place, and the number of places that are taken.
    places: VecDeque<usize>,
    served: usize,
}

/// The clocks of the machine.
#[derive(Default)]
pub(super) struct Clocks {
    pub(super) now: f64,
    /// What each computing command has got so far: CPU time, and the part of it that got something
    /// done.
    cpu: f64,
    done: f64,
    /// Sums over the run: CPU time used and idle, and commands in flight × time.
    pub(super) used: f64,
    pub(super) idle: f64,
    in_flight: f64,
}

/// What decides the number in flight.
pub(super) enum Pilot {
    Fixed(usize),
    Controller(Box<Starts>),
}

pub(super) struct SimulatedMachine {
    pub(super) load: Load,
    pub(super) cpus: f64,
    /// Processes of others that always compute.
    pub(super) neighbours: f64,
    pub(super) pilot: Pilot,
    pub(super) clocks: Clocks,
    pub(super) commands: Commands,
    queues: Queues,
    next_start: f64,
    pub(super) between_starts: f64,
    pub(super) told: Told,
    random: u64,
    /// Commands that have finished.
    pub(super) finished: u64,
}

impl SimulatedMachine {
    pub(super) fn new(load: Load, cpus: u32, pilot: Pilot, seed: u64) -> SimulatedMachine {
        SimulatedMachine {
            load,
            cpus: f64::from(cpus),
            neighbours: 0.0,
            pilot,
            clocks: Clocks::default(),
            commands: Commands::default(),
            queues: Queues::default(),
            next_start: 0.0,
            between_starts: BETWEEN_STARTS,
            told: Told::new(),
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            finished: 0,
        }
    }

    /// From now on new commands are of this kind; commands that queue for something else go on.
    pub(super) fn change(&mut self, load: Load) {
        self.load = load;
        for id in std::mem::take(&mut self.queues.places) {
            self.ask(id);
        }
    }

    /// The number that may be in flight.
    pub(super) fn target(&self) -> usize {
        match &self.pilot {
            Pilot::Fixed(number) => *number,
            Pilot::Controller(starts) => starts.target() as usize,
        }
    }

    /// Commands in flight × milliseconds so far.
    pub(super) fn in_flight_so_far(&self) -> f64 {
        self.clocks.in_flight
    }

    /// Goes on for this number of seconds.
    pub(super) fn run(&mut self, seconds: f64) {
        let end = self.clocks.now + seconds * 1000.0;
        while self.clocks.now + INSTANT < end {
            self.start();
            let starts = (self.commands.in_flight < self.target()).then_some(self.next_start);
            let events = [starts, self.computed_at(), first(&self.queues.waiting)];
            let window = self.told.at + WINDOW;
            let next = events.into_iter().flatten().fold(end.min(window), f64::min);
            self.advance(next.max(self.clocks.now));
            self.finish_computing();
            self.finish_waiting();
            if self.clocks.now + INSTANT >= window {
                self.tell();
            }
        }
    }

    /// The part of a CPU that each computing command gets, and how much more CPU time it takes than
    /// it would alone.
    fn share_and_price(&self) -> (f64, f64) {
        let wanted = self.queues.computing.len() as f64 + self.neighbours;
        let beyond = (self.commands.in_flight as f64 - 8.0).max(0.0);
        (self.cpus / wanted.max(self.cpus), 1.0 + self.load.dearer * beyond)
    }

    /// When the next command begins to wait, if nothing changes before.
    fn computed_at(&self) -> Option<f64> {
        let (share, price) = self.share_and_price();
        let left = first(&self.queues.computing)? - self.clocks.done;
        Some(self.clocks.now + left.max(0.0) * price / share)
    }

    fn advance(&mut self, to: f64) {
        let time = to - self.clocks.now;
        let (share, price) = self.share_and_price();
        let computing = self.queues.computing.len() as f64;
        let clocks = &mut self.clocks;
        clocks.now = to;
        clocks.cpu += time * share;
        clocks.done += time * share / price;
        clocks.used += time * share * computing;
        clocks.idle += time * (self.cpus - computing - self.neighbours).max(0.0);
        clocks.in_flight += time * self.commands.in_flight as f64;
    }

    /// At least 0, less than 1.
    fn draw(&mut self) -> f64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.random >> 40) as f64 / (1_u64 << 24) as f64
    }

    fn start(&mut self) {
        if self.commands.in_flight < self.target() && self.clocks.now + INSTANT >= self.next_start {
            self.next_start = self.clocks.now + self.between_starts;
            self.start_one();
        }
    }

    fn start_one(&mut self) {
        let load = self.load;
        let spells = load.spells(|| self.draw());
        let now = self.clocks.now;
        let command = Running {
            spells,
            wait: 0.0,
            stage: Stage::Waits,
            computed: now,
            computes: true,
            began: now,
            spent: 0.0,
            clock: 0.0,
        };
        let id = self.commands.vacant.pop().unwrap_or(self.commands.slots.len());
        if id == self.commands.slots.len() {
            self.commands.slots.push(None);
        }
        self.commands.slots[id] = Some(command);
        self.commands.in_flight += 1;
        self.next_spell(id, START);
    }

    fn command(&mut self, id: usize) -> &mut Running {
        self.commands.slots[id].as_mut().expect("in flight")
    }

    fn compute(&mut self, id: usize, time: f64) {
        let (clock, until) = (self.clocks.cpu, self.clocks.done + time);
        let command = self.command(id);
        (command.stage, command.clock, command.computes) = (Stage::Computes, clock, true);
        self.queues.computing.push(Reverse((key(until), id)));
    }

    /// Begins the next spell, which takes `more` CPU time than the load says; or finishes.
    fn next_spell(&mut self, id: usize, more: f64) {
        let Some((cpu, wait)) = self.command(id).spells.pop() else { return self.finish(id) };
        self.command(id).wait = wait;
        self.compute(id, cpu + more);
    }

    fn finish(&mut self, id: usize) {
        let Some(command) = self.commands.slots[id].take() else { return };
        self.commands.vacant.push(id);
        self.commands.in_flight -= 1;
        self.finished += 1;
        let wall = self.clocks.now - command.began;
        self.told.finished.add(wall / 1000.0);
        // Its worker goes on to the next one.
        if self.commands.in_flight < self.target() {
            self.start_one();
        }
    }

    fn finish_computing(&mut self) {
        while first(&self.queues.computing).is_some_and(|at| at <= self.clocks.done + INSTANT) {
            let Some(Reverse((_, id))) = self.queues.computing.pop() else { return };
            let (now, cpu) = (self.clocks.now, self.clocks.cpu);
            let command = self.command(id);
            command.spent += cpu - command.clock;
            (command.stage, command.computed) = (Stage::Waits, now);
            if command.wait > 0.0 {
                self.ask(id);
            } else {
                self.next_spell(id, 0.0);
            }
        }
    }

    /// It begins to wait, if it gets a place.
    fn ask(&mut self, id: usize) {
        let (now, wait) = (self.clocks.now, self.command(id).wait);
        let Some(shared) = self.load.shared else {
            self.command(id).stage = Stage::Waits;
            return self.queues.waiting.push(Reverse((key(now + wait), id)));
        };
        if self.queues.served < shared.at_once {
            self.queues.served += 1;
            self.command(id).stage = Stage::IsServed;
            self.queues.waiting.push(Reverse((key(now + wait), id)));
        } else if let Some(pause) = shared.refused_for {
            self.command(id).stage = Stage::Refused;
            self.queues.waiting.push(Reverse((key(now + pause), id)));
        } else {
            self.command(id).stage = Stage::Queues;
            self.queues.places.push_back(id);
        }
    }

    fn finish_waiting(&mut self) {
        while first(&self.queues.waiting).is_some_and(|at| at <= self.clocks.now + INSTANT) {
            let Some(Reverse((_, id))) = self.queues.waiting.pop() else { return };
            match self.command(id).stage {
                Stage::Refused => self.compute(id, ASKING),
                Stage::IsServed => {
                    self.queues.served -= 1;
                    if let Some(next) = self.queues.places.pop_front() {
                        self.ask(next);
                    }
                    self.next_spell(id, 0.0);
                }
                Stage::Computes | Stage::Waits | Stage::Queues => self.next_spell(id, 0.0),
            }
        }
    }
}
