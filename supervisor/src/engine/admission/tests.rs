//! The controller against simulated machines, in virtual time: no process, no clock.

use super::*;

/// A step of the simulation, and a window, in milliseconds.
const STEP: f64 = 0.25;
const WINDOW: f64 = 40.0;

/// What a command does: milliseconds on a CPU, then milliseconds of waiting, so many times.
#[derive(Clone, Copy)]
struct Load {
    cpu: f64,
    wait: f64,
    rounds: u32,
    /// All waiting is for one thing that serves so many at once, `wait` each.
    served: Option<usize>,
    /// It waits in a queue that can be seen.
    disk: bool,
    /// The part by which computing takes more CPU time for each in flight beyond eight.
    dearer: f64,
    /// The part of the CPU time that is in nobody's account.
    unseen: f64,
}

const START: f64 = 1.0;

fn load(cpu: f64, wait: f64, rounds: u32) -> Load {
    Load { cpu, wait, rounds, served: None, disk: false, dearer: 0.0, unseen: 0.0 }
}

#[derive(Clone, Copy)]
struct Running {
    /// CPU time left of this round, then waiting time left.
    cpu: f64,
    wait: f64,
    rounds: u32,
    /// When it last computed, and whether it has in this window.
    computed: f64,
    computes: bool,
    /// When it began, and what CPU time it has used, in milliseconds.
    began: f64,
    spent: f64,
}

struct Machine {
    load: Load,
    cpus: f64,
    /// CPUs that somebody else keeps busy.
    neighbours: f64,
    running: Vec<Running>,
    admission: Admission,
    seed: u64,
    window_ended: Ended,
    /// Sums over the run.
    ended: u64,
    in_flight: f64,
    steps: f64,
    targets: Vec<u32>,
    cycle: f64,
    /// Milliseconds in which CPUs idled, since that was last told.
    idle: f64,
    idle_told: f64,
}

impl Machine {
    fn new(load: Load, cpus: u32) -> Machine {
        Machine {
            load,
            cpus: f64::from(cpus),
            neighbours: 0.0,
            running: Vec::new(),
            admission: Admission::new(cpus, 200),
            seed: 1,
            window_ended: Ended::default(),
            ended: 0,
            in_flight: 0.0,
            steps: 0.0,
            targets: Vec::new(),
            cycle: WINDOW,
            idle: 0.0,
            idle_told: 0.0,
        }
    }

    /// Between a half and one and a half.
    fn jitter(&mut self) -> f64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        0.5 + (self.seed >> 40) as f64 / (1_u64 << 24) as f64
    }

    fn start(&mut self, target: usize) {
        // Two a millisecond: starting takes time.
        let mut starts = 2;
        while self.running.len() < target && starts > 0 {
            starts -= 1;
            let cpu = self.load.cpu * self.jitter() + START;
            let wait = self.load.wait * self.jitter();
            self.running.push(Running {
                cpu,
                wait,
                rounds: self.load.rounds,
                computed: self.steps * STEP,
                computes: true,
                began: self.steps * STEP,
                spent: 0.0,
            });
        }
    }

    fn step(&mut self) -> f64 {
        let computing = self.running.iter().filter(|one| one.cpu > 0.0).count() as f64;
        let share = self.cpus / (computing + self.neighbours).max(self.cpus);
        let beyond = (self.running.len() as f64 - 8.0).max(0.0);
        let gets_done = 1.0 / (1.0 + self.load.dearer * beyond);
        self.idle += (self.cpus - computing - self.neighbours).max(0.0) * STEP;
        let mut served = self.load.served.unwrap_or(usize::MAX);
        let mut used = 0.0;
        let (load, mut at) = (self.load, 0);
        while at < self.running.len() {
            let mut one = self.running[at];
            if one.cpu > 0.0 {
                let step = (STEP * share).min(one.cpu / gets_done);
                one.cpu -= step * gets_done;
                used += step;
                one.spent += step;
                one.computes = true;
            } else if one.wait > 0.0 && served > 0 {
                served -= 1;
                one.wait -= STEP;
            }
            if one.cpu <= 0.0 && one.wait <= 0.0 {
                one.rounds -= 1;
                (one.cpu, one.wait) = (load.cpu * self.jitter(), load.wait * self.jitter());
            }
            if one.rounds == 0 {
                self.running.remove(at);
                let wall = self.steps * STEP - one.began;
                self.window_ended.add(one.spent / 1000.0, wall / 1000.0);
                self.ended += 1;
                continue;
            }
            self.running[at] = one;
            at += 1;
        }
        used
    }

    /// Goes on for so many seconds with the controller, or with a fixed number in flight.
    fn run(&mut self, seconds: f64, fixed: Option<usize>) {
        let (mut used, mut in_window) = (0.0, 0.0);
        for _ in 0..(seconds * 1000.0 / STEP) as u64 {
            self.start(fixed.unwrap_or(self.admission.target() as usize));
            used += self.step();
            self.in_flight += self.running.len() as f64;
            self.steps += 1.0;
            in_window += STEP;
            if in_window >= WINDOW {
                let computing = self.running.iter().filter(|one| one.cpu > 0.0).count() as f64;
                let len = self.running.len().max(1) as f64;
                let (cycle, idle) = (self.cycle(), self.idle());
                self.admission.measured(&Window {
                    span: Duration::from_secs_f64(in_window / 1000.0),
                    used: Duration::from_secs_f64(used * (1.0 - self.load.unseen) / 1000.0),
                    in_flight: self.running.len() as u32,
                    cycle,
                    runnable: Some(computing / len),
                    idle,
                    queued: if self.load.disk { 1.0 - computing / len } else { 0.0 },
                    had_more: true,
                    ended: std::mem::take(&mut self.window_ended),
                    ..Window::default()
                });
                self.targets.push(self.admission.target());
                (used, in_window) = (0.0, 0.0);
            }
        }
    }

    /// As the supervisor looks at it: now and then.
    fn idle(&mut self) -> Option<f64> {
        let (now, then) = (self.steps * STEP, self.idle_told);
        if now - then < 500.0 {
            return None;
        }
        self.idle_told = now;
        Some(std::mem::take(&mut self.idle) / (now - then) / self.cpus)
    }

    /// As the supervisor finds it: from one window in which a command computed to the next.
    fn cycle(&mut self) -> Duration {
        let now = self.steps * STEP;
        for one in self.running.iter_mut().filter(|one| one.computes) {
            self.cycle += 0.05 * (now - one.computed - self.cycle);
            (one.computed, one.computes) = (now, false);
        }
        Duration::from_secs_f64(self.cycle / 1000.0)
    }

    fn mean(&self) -> f64 {
        self.in_flight / self.steps
    }
}

/// Commands ended with the controller by those ended with the best fixed number, its mean in flight, and
/// the smallest fixed number that is within three per cent of the best.
fn against_the_best(load: Load, cpus: u32, seconds: f64) -> (f64, f64, f64) {
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

#[test]
fn what_only_computes_runs_once_per_token() {
    let mut machine = Machine::new(load(20.0, 0.0, 1), 2);
    machine.run(5.0, None);
    assert!(machine.targets.iter().all(|target| *target == 2), "{:?}", machine.targets);
}

#[test]
fn somebody_elses_load_is_no_reason_for_more() {
    let mut machine = Machine::new(load(20.0, 0.0, 1), 2);
    machine.neighbours = 2.0;
    machine.run(10.0, None);
    assert!(machine.targets[10..].iter().all(|target| *target == 2), "{:?}", machine.targets);
}

/// Tokens are wanted all the time with far fewer than it would take to get all the CPU time.
#[test]
fn somebody_elses_load_does_not_drive_it_to_the_cap() {
    let mut machine = Machine::new(load(10.0, 50.0, 10), 2);
    machine.neighbours = 2.0;
    machine.run(20.0, None);
    let late = &machine.targets[machine.targets.len() / 2..];
    assert!(late.iter().all(|target| (6..=48).contains(target)), "{late:?}");
}

#[test]
fn waiting_is_filled_with_few() {
    for (cpu, wait, rounds) in [(10.0, 50.0, 2), (1.0, 5.0, 20), (2.0, 200.0, 3), (0.5, 2.0, 100)] {
        let (share, mean, enough) = against_the_best(load(cpu, wait, rounds), 2, 20.0);
        assert!(share >= 0.95, "{cpu}/{wait}: {share}");
        assert!(mean <= 1.5 * enough, "{cpu}/{wait}: {mean} in flight, {enough} are enough");
    }
}

/// The CPUs are full, but their use does not show that.
#[test]
fn what_is_not_seen_does_not_call_for_more() {
    let unseen = Load { unseen: 0.04, ..load(1.0, 5.0, 4) };
    let (share, mean, enough) = against_the_best(unseen, 2, 20.0);
    assert!(share >= 0.95, "{share}, {mean} in flight");
    assert!(mean <= 1.5 * enough, "{mean} in flight, {enough} are enough");
}

/// What waits so seldom looks as if it never did.
#[test]
fn gaps_are_filled() {
    for (cpu, wait, rounds) in [(4.0, 0.2, 2), (7.6, 0.7, 5), (30.0, 2.0, 1)] {
        let (share, mean, enough) = against_the_best(load(cpu, wait, rounds), 2, 20.0);
        // Without looking for gaps it is 0.94.
        assert!(share >= 0.97, "{cpu}/{wait}: {share}, {mean} in flight");
        assert!(
            mean <= 1.5 * enough.max(2.0),
            "{cpu}/{wait}: {mean} in flight, {enough} are enough"
        );
    }
}

/// A lock, a disk, a server that serves so many at once: more would only wait longer.
#[test]
fn what_is_full_is_not_flooded() {
    for (served, disk) in [(1, true), (4, true), (8, false)] {
        let full = Load { served: Some(served), disk, ..load(0.5, 5.0, 4) };
        let (share, mean, enough) = against_the_best(full, 2, 20.0);
        assert!(share >= 0.95, "{served} at once: {share}");
        assert!(mean <= 2.0 * enough.max(served as f64), "{served} at once: {mean} of {enough}");
    }
}

/// A disk, a lock: the more there are the more CPU time each takes, and the CPUs never become idle for it.
#[test]
fn what_gets_dearer_is_kept_few() {
    let dear = Load { dearer: 0.02, disk: true, ..load(0.5, 2.0, 10) };
    let (share, mean, enough) = against_the_best(dear, 2, 20.0);
    // Without looking for the knee it is 0.86.
    assert!(share >= 0.9, "{share}, {mean} in flight, {enough} are enough");
    assert!(mean <= 2.0 * enough, "{mean} in flight, {enough} are enough");
}

#[test]
fn it_follows_when_things_change() {
    let mut machine = Machine::new(load(20.0, 0.0, 1), 2);
    machine.run(3.0, None);
    machine.load = load(2.0, 100.0, 5);
    machine.run(3.0, None);
    assert!(machine.admission.target() >= 60, "{:?}", machine.targets);
    machine.load = load(20.0, 0.0, 1);
    machine.run(5.0, None);
    assert!(machine.admission.target() <= 3, "{:?}", machine.targets);
}

#[test]
fn a_steady_load_gives_a_steady_target() {
    let mut machine = Machine::new(load(2.0, 20.0, 50), 2);
    machine.run(20.0, None);
    let late = &machine.targets[machine.targets.len() / 2..];
    let (least, most) = (late.iter().min().expect("some"), late.iter().max().expect("some"));
    assert!(*most <= 2 * *least, "from {least} to {most}: {late:?}");
}
