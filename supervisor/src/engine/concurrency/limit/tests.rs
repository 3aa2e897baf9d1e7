//! The controller against simulated machines, in virtual time: no process, no clock.

mod machine;

use std::time::Duration;

use super::{Admission, Window};
use crate::engine::concurrency::judge::recorded;
use machine::{Load, Machine, Plan, against_the_best, load, of};

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
    // Tokens that seem to be free for a moment make it jump, and it comes down from there: not to
    // the 200 that are allowed.
    assert!(late.iter().all(|target| (6..=64).contains(target)), "{late:?}");
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

/// So few end in a second that chance looks like a gain, and like a loss.
#[test]
fn a_slow_disk_is_not_flooded() {
    for served in [1, 2, 4, 8] {
        let slow = Load { served: Some(served), disk: true, ..load(1.0, 33.0, 1) };
        let run = |seed: u64, fixed| {
            let mut machine = Machine::new(slow, 2);
            machine.seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            machine.run(20.0, fixed);
            (machine.ended as f64, machine.mean())
        };
        for seed in 1..=10 {
            let (ended, mean) = run(seed, None);
            let share = ended / run(seed, Some(2 * served.max(2))).0;
            // Where a gain is believed that a few windows show, 1 at once has up to 8.7 in flight,
            // and mostly more than 4.
            let enough = if served == 1 { 4.0 } else { 2.6 * served as f64 };
            assert!(mean <= enough, "{served} at once, seed {seed}: {mean} in flight");
            assert!(share >= 0.92, "{served} at once, seed {seed}: {share}, {mean} in flight");
        }
    }
}

/// A server that serves so many at once and tells all others to come back in a second, as `curl
/// --retry` does.
#[test]
fn who_is_refused_is_not_joined_by_more() {
    for served in [4, 8, 20] {
        let server = Load { served: Some(served), refused_for: Some(1000.0), ..load(1.0, 50.0, 1) };
        let (share, mean, enough) = against_the_best(server, 2, 20.0);
        // Where those that sleep take all places when there are to be fewer it is 0.5 to 0.7.
        assert!(share >= 0.92, "{served} at once: {share}, {mean} in flight");
        assert!(mean <= 2.0 * enough, "{served} at once: {mean} in flight, {enough} are enough");
    }
}

/// A disk, a lock: the more there are the more CPU time each takes, and the CPUs never become idle
/// for it.
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
    assert!(machine.starts.target() >= 60, "{:?}", machine.targets);
    machine.load = load(20.0, 0.0, 1);
    machine.run(5.0, None);
    assert!(machine.starts.target() <= 3, "{:?}", machine.targets);
}

#[test]
fn a_steady_load_gives_a_steady_target() {
    let mut machine = Machine::new(load(2.0, 20.0, 50), 2);
    machine.run(20.0, None);
    let late = &machine.targets[machine.targets.len() / 2..];
    let (least, most) = (late.iter().min().expect("some"), late.iter().max().expect("some"));
    assert!(*most <= 2 * *least, "from {least} to {most}: {late:?}");
}

/// What real programs did, recorded by `tests/bench/spells`.
#[test]
fn recorded_programs_keep_the_cpus_full_with_few() {
    for (name, runs) in recorded::programs() {
        let (share, mean, enough) = against_the_best(of(Plan::Recorded(runs)), 2, 20.0);
        assert!(share >= 0.95, "{name}: {share}, {mean} in flight, {enough} are enough");
        assert!(mean <= 1.5 * enough, "{name}: {mean} in flight, {enough} are enough");
    }
}

/// From one program to another, and back: as in a run over files of two kinds.
#[test]
fn recorded_programs_follow_each_other() {
    let all: Vec<_> = recorded::programs().collect();
    for (first, second) in [("download", "compress"), ("compress", "database")] {
        let of = |name| of(Plan::Recorded(all.iter().find(|(one, _)| *one == name).expect(name).1));
        let alone = |name| {
            let mut machine = Machine::new(of(name), 2);
            machine.run(20.0, None);
            f64::from(machine.starts.target())
        };
        let mut machine = Machine::new(of(first), 2);
        machine.run(10.0, None);
        machine.load = of(second);
        machine.run(10.0, None);
        let (after, alone) = (f64::from(machine.starts.target()), alone(second));
        let is_like = after <= 1.5 * alone && alone <= 1.5 * after;
        assert!(is_like, "{first}, then {second}: {after} in flight, {alone} alone");
    }
}

/// Starting costs CPU time, and who is refused sleeps: that the use rises says nothing as long as
/// nobody has come round.
#[test]
fn near_the_goal_it_waits_for_what_was_started() {
    let mut admission = Admission::new(2, 200);
    let span = Duration::from_millis(40);
    let mut go_on = |share: f64, windows: u32| {
        for _ in 0..windows {
            let used = (span * 2).mul_f64(share);
            let in_flight = admission.target();
            let cycle = Duration::from_secs(1);
            let window =
                Window { span, used, in_flight, cycle, runnable: Some(0.2), ..Window::default() };
            admission.measured(&Window { had_more: true, ..window });
        }
        admission.target()
    };
    let after_ramp = go_on(0.5, 3).max(go_on(0.9, 5));
    let (soon, later) = (go_on(0.9, 7), go_on(0.9, 40));
    assert!(soon <= after_ramp * 5 / 4, "from {after_ramp} to {soon}");
    assert!(later > after_ramp * 5 / 4, "from {after_ramp} to {later}");
}
