//! Runs without processes, clocks or disks: the engine and the journal against everything that can
//! go wrong, drawn from a seed, in virtual time.
//!
//! A run has a phase of faults, in which workers are killed, commands crash, the segment is
//! overwritten, disks are full, and the supervisor itself dies, with or without a power cut; and
//! then a phase without faults, in which it must finish. [`history`] judges what happened.
//! `MSUP_SEED=N cargo test -p msup simulation` replays one seed and prints what happens;
//! `MSUP_SEEDS=N` plays that number of seeds.

#![expect(clippy::print_stdout, reason = "tests tell what happens")]

mod disk;
mod history;
mod pipelines;
mod planted;
mod random;
mod telling;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use planted::{Bug, Planted};
use telling::Telling;
use world::World;

/// Seeds of a normal test run; CI plays many more.
const SEEDS: u64 = 2_000;

/// The run's id.
const RUN: &str = "simulated";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Plays these seeds on all CPUs. Returns the first one that fails, and why.
fn first_failing(
    seeds: std::ops::Range<u64>,
    fails: impl Fn(u64) -> Option<String> + Sync,
) -> Option<(u64, String)> {
    let threads = std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64);
    let fails = &fails;
    std::thread::scope(|scope| {
        let mut shares = Vec::new();
        for share in 0..threads {
            let seeds = seeds.clone().filter(move |seed| seed % threads == share);
            let failing = |seed| Some((seed, fails(seed)?));
            shares.push(scope.spawn(move || seeds.into_iter().find_map(failing)));
        }
        let failures = shares.into_iter().filter_map(|share| share.join().expect("caught"));
        failures.min_by_key(|(seed, _)| *seed)
    })
}

/// What is wrong, panics included.
fn caught(play: impl FnOnce() -> Result<(), String>) -> Option<String> {
    match catch_unwind(AssertUnwindSafe(play)) {
        Ok(judged) => judged.err(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Some(format!("panicked: {}", text.unwrap_or_default()))
        }
    }
}

fn play(seeds: std::ops::Range<u64>, bug: Option<Bug>) -> Option<(u64, String)> {
    first_failing(seeds, |seed| fails(seed, Planted(bug), Telling::nothing()))
}

/// Why a seed fails, if it does.
fn fails(seed: u64, planted: Planted, telling: Telling) -> Option<String> {
    caught(|| World::new(seed, planted, telling).play())
}

#[test]
fn nothing_is_lost_whatever_happens() {
    if let Some(seed) = from_environment("MSUP_SEED") {
        assert_eq!(fails(seed, Planted(None), Telling::aloud()), None, "MSUP_SEED={seed}");
        return;
    }
    let seeds = from_environment("MSUP_SEEDS").unwrap_or(SEEDS);
    if let Some((seed, why)) = play(0..seeds, None) {
        panic!("{why}\nplay it again: MSUP_SEED={seed} cargo test -p msup simulation");
    }
}

/// A judge that finds nothing proves nothing: planted bugs must be detected.
#[test]
fn broken_engines_are_found_out() {
    // Panics are expected here.
    for bug in Bug::ALL {
        let found = play(0..SEEDS, Some(bug));
        assert!(found.is_some(), "{bug:?} was not noticed in {SEEDS} runs");
    }
}

/// The same seed gives the same run.
#[test]
fn a_seed_is_a_run() {
    for seed in 0..20 {
        let told = || {
            let mut world = World::new(seed, Planted(None), Telling::kept());
            let judged = world.play();
            (judged, world.story())
        };
        assert_eq!(told(), told(), "seed {seed}");
    }
}
