//! What simulated tasks do.

use std::collections::BTreeMap;

use crate::simulation::random::Random;

/// What a task does when it runs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Nature {
    Good,
    /// Fails or crashes now and then.
    Flaky,
    /// Always exits with a status.
    Bad,
    /// Always crashes its process.
    Poison,
    /// Waits without a worker a few times, each time with a longer state.
    Parks,
    /// Adds two more tasks when it succeeds.
    Emits,
    /// Never exits: it is stopped.
    Hangs,
    /// Leaves processes running that never exit.
    Leaves,
    /// Kills the supervisor, too.
    Killer,
}

/// The values of the tasks that this one adds.
pub(super) fn added_by(value: &str) -> [String; 2] {
    [format!("{value}a"), format!("{value}b")]
}

/// Draws some values, and what their tasks do.
pub(super) fn draw(random: &mut Random) -> BTreeMap<String, Nature> {
    let number = random.below(20);
    let mut nature = || match random.below(17) {
        0..6 => Nature::Good,
        6 | 7 => Nature::Flaky,
        8 => Nature::Bad,
        9 => Nature::Poison,
        10 => Nature::Hangs,
        11 => Nature::Leaves,
        12 | 13 => Nature::Parks,
        14 | 15 => Nature::Emits,
        _ => Nature::Killer,
    };
    (0..number).map(|n| (format!("v{n:02}"), nature())).collect()
}
