//! Pipelines in virtual time: random stages over files in memory, with failures, deaths of msup at
//! any moment, and edits between runs.
//!
//! At the end there is a run without faults. After it, every output must be what a first run in a
//! clean folder makes of the same inputs; no temporary output is left, and one more run does
//! nothing.

mod plan;
mod world;

use world::World;

use super::random::Random;
use super::{caught, first_failing, from_environment};

/// Seeds of a normal test run; CI plays many more.
const SEEDS: u64 = 2_000;

/// A bug that stands between a pipeline and the simulated world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    /// A join does not know of its last parent.
    ForgetsParent,
    /// A temporary output is removed when the first of its readers has finished.
    RemovesTooEarly,
    /// Keys do not tell commands apart.
    ForgetsCommand,
}

/// Why a seed fails, if it does.
fn fails(seed: u64, bug: Option<Bug>) -> Option<String> {
    caught(|| {
        let mut random = Random::new(seed);
        World::new(&mut random, bug).play(&mut random)
    })
}

fn play(seeds: std::ops::Range<u64>, bug: Option<Bug>) -> Option<(u64, String)> {
    first_failing(seeds, |seed| fails(seed, bug))
}

#[test]
fn pipelines_make_what_an_undisturbed_run_makes() {
    if let Some(seed) = from_environment("MSUP_SEED") {
        assert_eq!(fails(seed, None), None, "MSUP_SEED={seed}");
        return;
    }
    let seeds = from_environment("MSUP_SEEDS").unwrap_or(SEEDS);
    if let Some((seed, why)) = play(0..seeds, None) {
        panic!("{why}\nplay it again: MSUP_SEED={seed} cargo test -p msup simulation::pipelines");
    }
}

/// A judge that finds nothing proves nothing: planted bugs must be detected.
#[test]
fn broken_pipelines_are_found_out() {
    for bug in [Bug::ForgetsParent, Bug::RemovesTooEarly, Bug::ForgetsCommand] {
        assert!(play(0..SEEDS, Some(bug)).is_some(), "{bug:?} was not noticed in {SEEDS} runs");
    }
}
