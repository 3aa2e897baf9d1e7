//! The judge of the controller: simulated machines with 2 to 128 CPUs, all loads, neighbours.
//!
//! `cargo test -p msup --release judge -- --ignored --nocapture` prints the tables, with
//! `MSUP_JUDGE_CPUS=N` only those of this number of CPUs. A small fixed slice runs with all other
//! tests.

#![expect(clippy::print_stdout, reason = "its tables are what it is for")]

mod loads;
mod machine;
pub(in crate::engine::concurrency) mod recorded;
mod told;

use crate::engine::concurrency::start_gate::Starts;
use loads::{Load, computes, disk, load, server, steady};
use machine::{Pilot, SimulatedMachine};

/// Fixed numbers in flight for each CPU, of which the best is what the controller is compared with.
const FIXED: [f64; 10] = [1.0, 1.1, 1.25, 1.5, 2.0, 4.0, 8.0, 16.0, 32.0, 100.0];

/// A number is enough if it gets this part of what the best one gets.
const ENOUGH: f64 = 0.97;

/// The first second is not judged where the number in flight is.
const FIRST: f64 = 1.0;

/// A machine, and what else runs on it: the part of the CPUs that processes of others want.
#[derive(Clone, Copy)]
struct Place {
    cpus: u32,
    cap: u32,
    neighbours: f64,
}

impl Place {
    fn new(cpus: u32, neighbours: f64) -> Place {
        // The default cap.
        Place { cpus, cap: 100 * cpus, neighbours }
    }

    fn machine(self, load: Load, pilot: Pilot, seed: u64) -> SimulatedMachine {
        let mut machine = SimulatedMachine::new(load, self.cpus, pilot, seed);
        machine.neighbours = self.neighbours * f64::from(self.cpus);
        machine
    }

    fn controller(self) -> Pilot {
        Pilot::Controller(Box::new(Starts::new(self.cpus, self.cap, None)))
    }

    /// Commands that finish in this time with a fixed number in flight.
    fn fixed(self, load: Load, number: usize, seconds: f64) -> f64 {
        let mut machine = self.machine(load, Pilot::Fixed(number), 1);
        machine.run(seconds);
        machine.finished as f64
    }

    /// What finishes with the best fixed number, and the least number that is enough. Beside
    /// neighbours the number is that of a machine without them: more commands would only take CPU
    /// time from the neighbours.
    fn best(self, load: Load, seconds: f64) -> (f64, usize) {
        let alone = Place { neighbours: 0.0, ..self };
        let numbers = FIXED.map(|times| (times * f64::from(self.cpus)) as usize);
        let results = numbers.map(|number| alone.fixed(load, number, seconds));
        let best = results.iter().copied().fold(1.0, f64::max);
        let enough = results.iter().position(|one| *one >= ENOUGH * best).unwrap_or(0);
        let enough = numbers[enough];
        match self.neighbours > 0.0 {
            true => (self.fixed(load, enough, seconds).max(1.0), enough),
            false => (best, enough),
        }
    }
}

/// What the controller reached with a load.
struct Verdict {
    /// What finished, as a part of the best.
    share: f64,
    /// The mean number in flight after the first second, and the least number that is enough.
    mean: f64,
    enough: usize,
}

fn judge(place: Place, load: Load, seconds: f64, seeds: std::ops::RangeInclusive<u64>) -> Verdict {
    let (best, enough) = place.best(load, seconds);
    let runs = seeds.clone().count() as f64;
    let (mut share, mut mean) = (0.0, 0.0);
    for seed in seeds {
        let mut machine = place.machine(load, place.controller(), seed);
        machine.run(FIRST);
        let before = machine.in_flight_so_far();
        machine.run(seconds - FIRST);
        share += machine.finished as f64 / best / runs;
        mean += (machine.in_flight_so_far() - before) / ((seconds - FIRST) * 1000.0) / runs;
    }
    Verdict { share, mean, enough }
}

/// A part of a run: its load, and what the processes of others want of the CPUs.
type Part = (Load, f64);

/// Runs whose load changes, or whose neighbours do.
fn changing() -> Vec<(&'static str, Vec<Part>)> {
    let waits = load(2.0, 100.0, 5);
    let refusing = server(8, Some(1000.0), load(1.0, 50.0, 1));
    let free = load(1.0, 50.0, 1);
    vec![
        ("computes, waits, computes", vec![(computes(), 0.0), (waits, 0.0), (computes(), 0.0)]),
        ("slow disk, then computes", vec![(disk(2, load(1.0, 33.0, 1)), 0.0), (computes(), 0.0)]),
        ("free, then a refusing server", vec![(free, 0.0), (refusing, 0.0)]),
        ("a refusing server, then free", vec![(refusing, 0.0), (free, 0.0)]),
        ("a neighbour arrives", vec![(waits, 0.0), (waits, 1.0)]),
        ("a neighbour leaves", vec![(waits, 1.0), (waits, 0.0)]),
    ]
}

/// What finished in each part, as a part of the best fixed number for it.
fn judge_changes(cpus: u32, parts: &[Part], seconds: f64, seed: u64) -> Vec<f64> {
    let place = Place::new(cpus, 0.0);
    let mut machine = place.machine(parts[0].0, place.controller(), seed);
    let mut shares = Vec::new();
    for (load, neighbours) in parts {
        let (best, _) = Place { neighbours: *neighbours, ..place }.best(*load, seconds);
        machine.change(*load);
        machine.neighbours = neighbours * f64::from(cpus);
        let before = machine.finished;
        machine.run(seconds);
        shares.push((machine.finished - before) as f64 / best);
    }
    shares
}

/// The table of steady loads on a machine with this number of CPUs.
fn print_steady(cpus: u32, neighbours: f64, seconds: f64) {
    let place = Place::new(cpus, neighbours);
    println!("\n{cpus} CPUs, neighbours want {:.0} % of them", neighbours * 100.0);
    println!("{:28} {:>7} {:>9} {:>7}", "load", "share", "in flight", "enough");
    let mut shares = Vec::new();
    for (name, load) in steady() {
        let Verdict { share, mean, enough } = judge(place, load, seconds, 1..=3);
        println!("{name:28} {share:7.3} {mean:9.1} {enough:7}");
        shares.push(share);
    }
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    let least = shares.iter().copied().fold(f64::MAX, f64::min);
    println!("{:28} {mean:7.3}, least {least:.3}", "mean");
}

#[test]
#[ignore = "takes minutes: run it by name, in release mode"]
fn judge_of_the_controller() {
    let only: Option<u32> =
        std::env::var("MSUP_JUDGE_CPUS").ok().and_then(|cpus| cpus.parse().ok());
    for cpus in [2, 16, 64, 128].into_iter().filter(|cpus| only.is_none_or(|only| only == *cpus)) {
        for neighbours in [0.0, 0.5, 1.0] {
            print_steady(cpus, neighbours, 20.0);
        }
        println!("\n{cpus} CPUs, changing loads: the share of the best in each part of 10 s");
        for (name, parts) in changing() {
            let shares = judge_changes(cpus, &parts, 10.0, 1);
            let shares: Vec<String> = shares.iter().map(|share| format!("{share:.3}")).collect();
            println!("{name:32} {}", shares.join("  "));
        }
    }
}

/// Whatever the neighbours take: more commands would only take it back from them.
#[test]
fn commands_that_compute_are_as_many_as_cpus() {
    for (cpus, neighbours) in [(2, 0.0), (2, 1.0), (16, 0.5), (128, 0.1)] {
        let place = Place::new(cpus, neighbours);
        let Verdict { share, mean, enough } = judge(place, computes(), 3.0, 1..=1);
        assert!(share >= 0.98, "{cpus} CPUs: {share}");
        assert!(mean <= 1.05 * f64::from(cpus), "{cpus} CPUs: {mean} in flight");
        assert_eq!(enough, cpus as usize);
    }
}

/// A small part of the tables: no more than half is lost anywhere, and little on the whole.
#[test]
fn a_slice_of_the_tables_is_near_the_best_fixed_number() {
    for (cpus, neighbours) in [(2, 0.0), (2, 1.0), (16, 0.0)] {
        let place = Place::new(cpus, neighbours);
        let loads = steady().into_iter().step_by(3);
        let shares: Vec<(String, f64)> =
            loads.map(|(name, load)| (name, judge(place, load, 10.0, 1..=1).share)).collect();
        let mean = shares.iter().map(|(_, share)| share).sum::<f64>() / shares.len() as f64;
        assert!(mean >= 0.9, "{cpus} CPUs: {mean}, {shares:?}");
        assert!(shares.iter().all(|(_, share)| *share >= 0.5), "{cpus} CPUs: {shares:?}");
    }
}

/// What it costs to start commands is no use that shows what a number of them gets done: few are
/// started in a second here, and they sleep for long.
#[test]
fn commands_that_sleep_become_many_though_they_start_slowly() {
    let place = Place::new(64, 0.0);
    let mut machine = place.machine(load(3.0, 15_000.0, 1), place.controller(), 1);
    machine.between_starts = 2.5;
    machine.run(20.0);
    let before = machine.in_flight_so_far();
    machine.run(1.0);
    let in_flight = (machine.in_flight_so_far() - before) / 1000.0;
    assert!(in_flight >= 4000.0, "{in_flight} of 6400");
}

#[test]
fn one_disk_is_not_crowded() {
    let place = Place::new(2, 0.0);
    let Verdict { share, mean, .. } = judge(place, disk(2, load(1.0, 33.0, 1)), 20.0, 1..=1);
    assert!(share >= 0.9 && mean <= 8.0, "{share} of the best with {mean} in flight");
}

/// In each part of 10 s, at least half of what the best fixed number for that part gets done.
#[test]
fn changes_are_noticed() {
    for (name, parts) in changing() {
        let shares = judge_changes(2, &parts, 10.0, 1);
        assert!(shares.iter().all(|share| *share >= 0.5), "{name}: {shares:?}");
    }
}

/// The simulation itself: numbers that can be reckoned by hand.
#[test]
fn the_machine_does_what_it_should() {
    let place = Place::new(4, 0.0);
    // 10 ms of CPU time, and 1 ms to start, on each of four CPUs.
    let computing = place.fixed(load(10.0, 0.0, 1), 4, 20.0);
    assert!((computing / (20.0 * 4.0 * 1000.0 / 11.0) - 1.0).abs() < 0.02, "{computing}");
    // One at a time, 33 ms each.
    let disk = place.fixed(disk(1, load(1.0, 33.0, 1)), 16, 20.0);
    assert!((disk / (20.0 * 1000.0 / 33.0) - 1.0).abs() < 0.03, "{disk}");
    // Half of the CPUs belong to others.
    let shared = Place::new(4, 1.0).fixed(load(10.0, 0.0, 1), 4, 20.0);
    assert!((shared / computing - 0.5).abs() < 0.02, "{shared} of {computing}");
    // Commands that wait ten times as long as they compute: 11 in flight fill a CPU.
    let waiting = place.fixed(load(9.0, 100.0, 1), 8, 20.0);
    assert!((waiting / (20.0 * 8.0 * 1000.0 / 110.0) - 1.0).abs() < 0.03, "{waiting}");
}
