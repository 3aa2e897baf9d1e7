//! A simulated machine on which commands run as the controller says, or a fixed number of them.

use std::time::Duration;

use crate::engine::concurrency::limit::{Ended, Window};
use crate::engine::concurrency::start_gate::Starts;
use crate::engine::concurrency::wake_times::Naps;

/// A step of the simulation, and a window, in milliseconds.
const STEP: f64 = 0.25;
const WINDOW: f64 = 40.0;

/// What a start costs, in milliseconds on a CPU.
const START: f64 = 1.0;
/// And what asking once more does.
const ASKING: f64 = 0.25;

/// Milliseconds on a CPU, then milliseconds of waiting.
pub(super) type Spell = (f64, f64);

/// What a command does.
#[derive(Clone, Copy)]
pub(super) enum Plan {
    /// About this, so many times.
    Drawn { spell: Spell, rounds: usize },
    /// Just what one of these commands did.
    Recorded(&'static [Vec<Spell>]),
}

/// The commands of a run, and what they share.
#[derive(Clone, Copy)]
pub(super) struct Load {
    pub(super) plan: Plan,
    /// All waiting is for one thing that serves so many at once, each for as long as it waits.
    pub(super) served: Option<usize>,
    /// Who comes when all of them are served is told to come back later, in milliseconds.
    pub(super) refused_for: Option<f64>,
    /// It waits in a queue that can be seen.
    pub(super) disk: bool,
    /// The part by which computing takes more CPU time for each in flight beyond eight.
    pub(super) dearer: f64,
    /// The part of the CPU time that is in nobody's account.
    pub(super) unseen: f64,
}

/// Commands that compute and wait, milliseconds each, so many times, and share nothing.
pub(super) fn load(cpu: f64, wait: f64, rounds: usize) -> Load {
    of(Plan::Drawn { spell: (cpu, wait), rounds })
}

/// The same, for any plan.
pub(super) fn of(plan: Plan) -> Load {
    Load { plan, served: None, refused_for: None, disk: false, dearer: 0.0, unseen: 0.0 }
}

/// Where a command stands in its waiting.
#[derive(Clone, Copy, PartialEq)]
enum Turn {
    /// It has not asked yet.
    Comes,
    /// It is served.
    IsServed,
    /// It comes back when so many milliseconds have passed.
    Refused(f64),
}

struct Running {
    /// What is left to do, the next one last, and of the one it is at.
    spells: Vec<Spell>,
    cpu: f64,
    wait: f64,
    turn: Turn,
    /// When it last computed, and whether it has in this window.
    computed: f64,
    computes: bool,
    /// When it began, and what CPU time it has used, in milliseconds.
    began: f64,
    spent: f64,
}

/// What runs, and what was seen of it.
pub(super) struct Machine {
    pub(super) load: Load,
    /// CPUs that somebody else keeps busy.
    pub(super) neighbours: f64,
    pub(super) starts: Starts,
    /// The target after each window.
    pub(super) targets: Vec<u32>,
    cpus: f64,
    running: Vec<Running>,
    /// What is drawn by chance depends on it.
    pub(super) seed: u64,
    window_ended: Ended,
    /// Sums over the run.
    pub(super) ended: u64,
    in_flight: f64,
    steps: f64,
    cycle: f64,
    naps: Naps,
    /// Milliseconds in which CPUs idled, since that was last told.
    idle: f64,
    idle_told: f64,
}

impl Machine {
    pub(super) fn new(load: Load, cpus: u32) -> Machine {
        Machine {
            load,
            neighbours: 0.0,
            starts: Starts::new(cpus, 200, None),
            targets: Vec::new(),
            cpus: f64::from(cpus),
            running: Vec::new(),
            seed: 1,
            window_ended: Ended::default(),
            ended: 0,
            in_flight: 0.0,
            steps: 0.0,
            cycle: WINDOW,
            naps: Naps::default(),
            idle: 0.0,
            idle_told: 0.0,
        }
    }

    /// Goes on for so many seconds with the controller, or with a fixed number in flight.
    pub(super) fn run(&mut self, seconds: f64, fixed: Option<usize>) {
        let (mut used, mut in_window) = (0.0, 0.0);
        for _ in 0..(seconds * 1000.0 / STEP) as u64 {
            self.start(fixed.unwrap_or(self.starts.target() as usize));
            used += self.step();
            self.in_flight += self.running.len() as f64;
            self.steps += 1.0;
            in_window += STEP;
            if in_window >= WINDOW {
                self.tell(in_window, used);
                (used, in_window) = (0.0, 0.0);
            }
        }
    }

    /// The mean in flight.
    pub(super) fn mean(&self) -> f64 {
        self.in_flight / self.steps
    }

    fn now(&self) -> f64 {
        self.steps * STEP
    }

    fn computing(&self) -> f64 {
        self.running.iter().filter(|one| one.cpu > 0.0).count() as f64
    }

    /// At least 0, less than 1.
    fn draw(&mut self) -> f64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.seed >> 40) as f64 / (1_u64 << 24) as f64
    }

    /// What a new command is going to do, the first last.
    fn spells(&mut self) -> Vec<Spell> {
        match self.load.plan {
            Plan::Drawn { spell: (cpu, wait), rounds } => {
                let mut about = |time: f64| time * (0.5 + self.draw());
                (0..rounds).map(|_| (about(cpu), about(wait))).collect()
            }
            Plan::Recorded(runs) => {
                let drawn = (self.draw() * runs.len() as f64) as usize;
                runs[drawn].iter().rev().copied().collect()
            }
        }
    }

    fn start(&mut self, target: usize) {
        // Two a millisecond: starting takes time.
        let mut starts = 2;
        while self.running.len() < target && starts > 0 {
            starts -= 1;
            let mut spells = self.spells();
            let (cpu, wait) = spells.pop().expect("it does something");
            let began = self.now();
            self.running.push(Running {
                spells,
                cpu: cpu + START,
                wait,
                turn: Turn::Comes,
                computed: began,
                computes: true,
                began,
                spent: 0.0,
            });
        }
    }

    /// Lets all of them go on by one step, and returns the CPU time they used.
    fn step(&mut self) -> f64 {
        let computing = self.computing();
        let share = self.cpus / (computing + self.neighbours).max(self.cpus);
        let beyond = (self.running.len() as f64 - 8.0).max(0.0);
        let price = (1.0 + self.load.dearer * beyond) / share;
        self.idle += (self.cpus - computing - self.neighbours).max(0.0) * STEP;
        let is_served = |one: &&Running| one.turn == Turn::IsServed;
        let served = self.running.iter().filter(is_served).count();
        let mut places = self.load.served.unwrap_or(usize::MAX) - served;
        let (mut used, now) = (0.0, self.now());
        for one in &mut self.running {
            let mut left = STEP;
            if one.cpu > 0.0 {
                let computes = left.min(one.cpu * price);
                one.cpu -= computes / price;
                left -= computes;
                one.spent += computes * share;
                used += computes * share;
                one.computes = true;
            }
            if one.cpu <= 1e-9 && left > 0.0 {
                one.cpu = 0.0;
                one.wait(left, &mut places, self.load.refused_for);
            }
        }
        self.running.retain(|one| {
            let goes_on = one.cpu > 0.0 || one.wait > 0.0 || !one.spells.is_empty();
            if !goes_on {
                self.window_ended.add(one.spent / 1000.0, (now - one.began) / 1000.0);
                self.ended += 1;
            }
            goes_on
        });
        used
    }

    /// Ends a window.
    fn tell(&mut self, span: f64, used: f64) {
        let runnable = self.computing() / self.running.len().max(1) as f64;
        let ((cycle, waking), idle) = (self.cycle(), self.idle());
        let window = Window {
            span: Duration::from_secs_f64(span / 1000.0),
            used: Duration::from_secs_f64(used * (1.0 - self.load.unseen) / 1000.0),
            in_flight: self.running.len() as u32,
            cycle,
            waking,
            runnable: Some(runnable),
            idle,
            queued: if self.load.disk { 1.0 - runnable } else { 0.0 },
            had_more: true,
            ended: std::mem::take(&mut self.window_ended),
            ..Window::default()
        };
        self.starts.measured(&window, None, Duration::from_secs_f64(self.now() / 1000.0));
        self.targets.push(self.starts.target());
    }

    /// As the supervisor looks at it: now and then.
    fn idle(&mut self) -> Option<f64> {
        let (now, then) = (self.now(), self.idle_told);
        if now - then < 500.0 {
            return None;
        }
        self.idle_told = now;
        Some(std::mem::take(&mut self.idle) / (now - then) / self.cpus)
    }

    /// As the supervisor finds it: from one window in which a command computed to the next. And how
    /// many wake.
    fn cycle(&mut self) -> (Duration, Option<u32>) {
        let now = self.now();
        for one in self.running.iter_mut().filter(|one| one.computes) {
            self.cycle += 0.05 * (now - one.computed - self.cycle);
            self.naps.note((now - one.computed) / 1000.0, WINDOW / 1000.0);
            (one.computed, one.computes) = (now, false);
        }
        // One in five has not computed for so long.
        let mut still: Vec<f64> = self.running.iter().map(|one| now - one.computed).collect();
        still.iter_mut().for_each(|still| *still /= 1000.0);
        let waking = self.naps.about_to_wake(&still, WINDOW / 1000.0);
        still.sort_by(f64::total_cmp);
        let stillness = still.get(still.len() * 4 / 5).copied().unwrap_or(0.0);
        (Duration::from_secs_f64((self.cycle / 1000.0).max(stillness)), waking)
    }
}

impl Running {
    /// Waits for so long, if it gets one of the places that are left; goes on to the next spell at
    /// the end.
    fn wait(&mut self, time: f64, places: &mut usize, refused_for: Option<f64>) {
        if let Turn::Refused(left) = self.turn {
            self.turn = Turn::Refused(left - time);
            if left <= time {
                (self.turn, self.cpu) = (Turn::Comes, ASKING);
            }
            return;
        }
        if self.turn == Turn::Comes && *places > 0 {
            *places -= 1;
            self.turn = Turn::IsServed;
        }
        match (self.turn, refused_for) {
            (Turn::IsServed, _) => self.wait -= time,
            (_, Some(pause)) => self.turn = Turn::Refused(pause),
            _ => {}
        }
        if self.wait <= 0.0 {
            self.turn = Turn::Comes;
            (self.cpu, self.wait) = self.spells.pop().unwrap_or_default();
        }
    }
}

/// Commands ended with the controller by those ended with the best fixed number, its mean in
/// flight, and the smallest fixed number that is within three per cent of the best.
pub(super) fn against_the_best(load: Load, cpus: u32, seconds: f64) -> (f64, f64, f64) {
    let ended = |fixed| {
        let mut machine = Machine::new(load, cpus);
        machine.run(seconds, Some(fixed));
        machine.ended as f64
    };
    let fixed = [1, 2, 4, 8, 16, 32, 100].map(|times| times * cpus as usize);
    let results = fixed.map(ended);
    let best = results.iter().copied().fold(0.0, f64::max);
    let enough = results.iter().position(|one| *one >= 0.97 * best).expect("the best one");
    let mut machine = Machine::new(load, cpus);
    machine.run(seconds, None);
    (machine.ended as f64 / best, machine.mean(), fixed[enough] as f64)
}
