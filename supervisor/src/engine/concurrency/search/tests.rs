//! The search, window by window. What it reaches on simulated machines is the judge's subject.

use super::*;
use crate::engine::concurrency::window::Ended;

const SPAN: Duration = Duration::from_millis(40);

/// A window in which `in_flight` commands used this number of CPUs, could run for this share of the
/// time, and of which this number finished, after 100 ms each.
fn window(in_flight: u32, cpus: f64, runnable: f64, finished: u32) -> Window {
    let mut ended = Ended::default();
    (0..finished).for_each(|_| ended.add(0.1));
    Window {
        span: SPAN,
        used: SPAN.mul_f64(cpus),
        in_flight,
        runnable: Some(runnable),
        had_more: true,
        ended,
        ..Window::default()
    }
}

/// Runs commands that compute `busy` of the time, and of which no more than `at_once` make progress
/// at the same time; 0.4 of those that do finish in a window. Returns the target after each window.
fn plays(search: &mut Search, windows: u32, busy: f64, at_once: u32) -> Vec<u32> {
    let mut due = 0.0;
    let turns = (0..windows).map(|_| {
        let in_flight = search.target();
        let progress = f64::from(in_flight.min(at_once));
        due += 0.4 * progress;
        let finished = due as u32;
        due -= f64::from(finished);
        let cpus = (progress * busy).min(search.procs);
        let waiting = cpus * (1.0 / busy - 1.0) + f64::from(in_flight) - progress;
        let runnable = (1.0 - waiting / f64::from(in_flight)).clamp(0.0, 1.0);
        search.measured(&window(in_flight, cpus, runnable, finished));
        search.target()
    });
    turns.collect()
}

#[test]
fn idle_cpus_are_filled_at_once_while_nothing_is_known() {
    let mut search = Search::new(2, 200);
    let targets: Vec<u32> = (0..8)
        .map(|_| {
            search.measured(&window(search.target(), 0.1, 0.0, 0));
            search.target()
        })
        .collect();
    assert_eq!(targets, [2, 4, 8, 16, 32, 64, 64, 64], "after one look, as far as it goes");
    assert!(!search.is_ramping());
}

#[test]
fn the_ramp_waits_for_commands_that_are_being_started() {
    let mut search = Search::new(2, 200);
    (0..9).for_each(|_| search.measured(&window(2, 0.1, 0.0, 0)));
    assert_eq!(search.target(), 4, "two of them are not in flight yet");
}

#[test]
fn commands_that_only_compute_are_as_many_as_tokens_beside_other_programs() {
    for procs in [2, 16, 128] {
        for share in [1.0, 0.5, 0.1] {
            let mut search = Search::new(procs, 100 * procs);
            for nth in 0..500 {
                let cpus = f64::from(procs) * share;
                let in_flight = search.target();
                search.measured(&window(in_flight, cpus, 1.0, u32::from(nth % 5 == 0)));
                assert_eq!(search.target(), procs);
            }
        }
    }
}

/// By the closed form: commands that compute for a fifth of the time, on two CPUs.
#[test]
fn full_cpus_need_as_many_as_wait_and_some_more() {
    let mut search = Search::new(2, 200);
    let targets = plays(&mut search, 300, 0.2, 200);
    let enough = ((2.0 + SPARE * 2_f64.sqrt() * 0.8) / 0.2).round() as u32;
    assert_eq!((targets[299], search.reason().name()), (enough, "cpus-full"));
    assert!(search.is_filled_by_many());
}

#[test]
fn too_many_at_full_cpus_are_soon_fewer() {
    let mut search = Search::new(2, 200);
    plays(&mut search, 300, 0.2, 200);
    // From now on they only compute.
    let targets = plays(&mut search, 50, 1.0, 200);
    assert_eq!(targets[49], 2, "{targets:?}");
}

#[test]
fn more_that_are_of_no_use_are_given_up() {
    let mut search = Search::new(2, 200);
    let targets = plays(&mut search, 1000, 0.01, 6);
    let mean = f64::from(targets[500..].iter().sum::<u32>()) / 500.0;
    assert!((5.0..9.0).contains(&mean), "{mean} in flight where 6 make progress");
}

#[test]
fn more_are_found_to_be_of_use_again_within_five_seconds() {
    let mut search = Search::new(2, 200);
    plays(&mut search, 2000, 0.01, 6);
    let windows = plays(&mut search, 125, 0.01, 200);
    assert!(windows[124] >= 100, "{windows:?}");
}

/// A quarter of those that finish are not replaced while the target falls; all are while fewer
/// finish than before.
#[test]
fn the_way_down_leaves_most_places_taken() {
    let mut search = Search::new(2, 200);
    plays(&mut search, 100, 0.01, 40);
    (search.target, search.goal, search.smoothed.rate, search.rate_before) =
        (40.0, 10.0, 100.0, 100.0);
    search.go_on(&window(40, 0.4, 0.0, 8));
    assert_eq!(search.target, 40.0 - DESCENT * 8.0);
    search.smoothed.rate = 50.0;
    let before = search.target;
    search.go_on(&window(38, 0.4, 0.0, 8));
    assert_eq!(search.target, before.min(38.0));
}

#[test]
fn neither_fewer_than_tokens_nor_more_than_the_cap() {
    let mut search = Search::new(4, 50);
    let all = [plays(&mut search, 1000, 0.001, 1000), plays(&mut search, 3000, 0.001, 1)].concat();
    assert!(all.iter().all(|target| (4..=50).contains(target)));
    assert_eq!((all[999], all.last()), (50, Some(&4)));
}

#[test]
fn nothing_changes_while_there_is_nothing_to_start() {
    let mut search = Search::new(2, 200);
    plays(&mut search, 300, 0.2, 200);
    let before = search.target();
    for _ in 0..100 {
        search.measured(&Window { had_more: false, ..window(1, 0.1, 0.1, 1) });
    }
    assert_eq!(search.target(), before);
}

#[test]
fn pauses_grow_with_each_trial_that_is_of_no_use() {
    let seconds = Duration::from_secs;
    let mut pause = Pause::new(FEWER_AFTER);
    let pauses = [(); 7].map(|()| {
        pause.begin();
        pause.left
    });
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30].map(seconds));
}

/// Those in flight take much longer than others before: none finishes so that fewer would be left.
#[test]
fn a_number_that_stays_above_the_goal_is_measured_all_the_same() {
    for is_trial in [false, true] {
        let mut search = Search::new(2, 200);
        plays(&mut search, 100, 0.1, 20);
        let before = Evidence::default();
        let here = before;
        search.phase = match is_trial {
            true => Phase::Trial { before, from: 7.0, here, settling: 0.0 },
            false => Phase::Hold { here, settling: 0.0 },
        };
        (search.goal, search.target, search.more.left) = (4.9, 7.0, Duration::ZERO);
        let highest = (0..200).map(|_| {
            search.measured(&window(7, 0.0, 0.0, 0));
            search.target()
        });
        assert!(highest.max() > Some(7), "idle CPUs, and nothing is tried");
    }
}

/// Thousands of commands take so long to measure that each window lasts for seconds.
#[test]
fn long_windows_do_not_make_trials_longer() {
    let mut search = Search::new(2, 6400);
    for _ in 0..8 {
        search.measured(&window(search.target(), 0.0, 0.0, 0));
    }
    assert_eq!(search.target(), 64);
    for _ in 0..12 {
        let long = Window { span: SPAN * 50, ..window(search.target(), 0.0, 0.0, 0) };
        search.measured(&long);
    }
    assert!(search.target() >= 1024, "{}", search.target());
}
