//! Tasks that were in flight when msup was killed.

use std::collections::BTreeSet;

use msup_tests::{Sandbox, kill, run, spawn_piped, wait_until};
use nix::sys::signal::Signal;

use super::{KILLS, lines, resume, resume_until_finished, text, told};

/// Task 1 kills msup whenever it runs.
fn a_killer_among_others(flags: &[&str]) {
    let sandbox = Sandbox::new();
    let script = format!("echo $1 $MSUP_ATTEMPT >>log; if test $1 = 1; then {KILLS}; fi");
    let mut msup = sandbox.msup(flags);
    msup.args(["--journal", "j", "--", "sh", "-c", &script, "sh", ":::", "1", "2", "3"]);
    assert_eq!(run(&mut msup).status.code(), None, "it was killed");
    // All three may have been in flight; then task 1 may be the first one that runs alone, but only
    // once.
    resume(&sandbox, &[]);
    resume(&sandbox, &[]);
    let log = || lines(&sandbox.path().join("log"));
    let ran = |task: &str| log().iter().filter(|line| line.starts_with(task)).count();
    assert!(ran("2") >= 1 && ran("3") >= 1, "{flags:?}: {:?}", log());
    let (output, times) = resume_until_finished(&sandbox, &[]);
    assert!(times <= 6, "{flags:?}: {times}");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{flags:?}: {said}");
    assert!(said.contains("msup was killed each of the 5 times"), "{flags:?}: {said}");
    let states: BTreeSet<(u64, String)> = told(&sandbox, "end")
        .iter()
        .map(|end| (end["seq"].as_u64().expect("a number"), end["state"].to_string()))
        .collect();
    let expected = [(1, "\"quarantined\""), (2, "\"succeeded\""), (3, "\"succeeded\"")];
    assert_eq!(states, expected.map(|(seq, state)| (seq, state.to_owned())).into());
    // Its attempts are 1, 2, 3 ...
    let attempts: Vec<String> =
        log().iter().filter_map(|line| Some(line.strip_prefix("1 ")?.to_owned())).collect();
    let numbers: Vec<String> = (1..=attempts.len()).map(|number| number.to_string()).collect();
    assert_eq!(attempts, numbers, "{flags:?}");
    sandbox.start_once_more();
}

#[test]
fn a_task_that_kills_msup_is_quarantined_and_all_others_run() {
    a_killer_among_others(&["-j1"]);
}

#[test]
fn a_task_that_kills_msup_is_found_out_among_others_in_flight() {
    a_killer_among_others(&["-j3"]);
    a_killer_among_others(&["--procs", "2", "--max-workers", "8"]);
}

/// Three tasks are in flight when msup is killed, and three are not.
fn runs_last_and_alone(flags: &[&str]) {
    let sandbox = Sandbox::new();
    let script = "echo begin $1 >>log; test -e go || while :; do sleep 0.01; done; \
                  sleep 0.05; echo end $1 >>log";
    let mut msup = sandbox.msup(["-j3", "--journal", "j", "--", "sh", "-c", script, "sh", ":::"]);
    let child = spawn_piped(msup.args(["a", "b", "c", "d", "e", "f"]));
    let log = sandbox.path().join("log");
    wait_until(|| lines(&log).len() == 3);
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait_with_output().expect("it was started");
    wait_until(|| sandbox.processes().is_empty());
    sandbox.file("go", b"");
    let output = resume(&sandbox, flags);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let all = lines(&log);
    let (first, last) = all[3..].split_at(6);
    let of = |lines: &[String]| -> BTreeSet<String> {
        lines.iter().map(|line| line.split_once(' ').expect("two words").1.to_owned()).collect()
    };
    assert_eq!(of(first), ["d", "e", "f"].map(str::to_owned).into(), "{all:?}");
    for pair in last.chunks(2) {
        assert_eq!(pair[0].replace("begin", "end"), pair[1], "something ran beside it: {all:?}");
    }
    assert_eq!(of(last), ["a", "b", "c"].map(str::to_owned).into(), "{all:?}");
    sandbox.start_once_more();
}

#[test]
fn what_was_in_flight_runs_last_and_alone() {
    runs_last_and_alone(&["-j3"]);
    runs_last_and_alone(&["--procs", "2", "--max-workers", "6"]);
}

#[test]
fn kills_from_outside_do_not_condemn_what_was_alone_four_times() {
    let sandbox = Sandbox::new();
    let script = "echo $MSUP_ATTEMPT >>log; test -e go || sleep 1000";
    let mut msup = sandbox.msup(["--journal", "j", "--", "sh", "-c", script, "sh", ":::", "a"]);
    let mut child = spawn_piped(&mut msup);
    let log = sandbox.path().join("log");
    for times in 1..=4 {
        wait_until(|| lines(&log).len() == times);
        kill(child.id() as i32, Signal::SIGKILL);
        child.wait_with_output().expect("it was started");
        if times == 4 {
            sandbox.file("go", b"");
        }
        child = spawn_piped(&mut sandbox.msup(["resume", "./j"]));
    }
    let output = child.wait_with_output().expect("it was started");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(lines(&log), ["1", "2", "3", "4", "5"]);
    sandbox.start_once_more();
}

#[test]
fn what_had_finished_but_was_not_shown_yet_is_no_suspect() {
    let sandbox = Sandbox::new();
    // With -k all outputs wait for the first one.
    let script = "echo $1 >>log; test $1 != 1 || test -e go || sleep 1000; echo $1";
    let mut msup = sandbox.msup(["-k", "-j2", "--journal", "j", "--", "sh", "-c", script, "sh"]);
    let child = spawn_piped(msup.args([":::", "1", "2", "3", "4", "5"]));
    let log = sandbox.path().join("log");
    wait_until(|| lines(&log).len() == 5);
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait_with_output().expect("it was started");
    sandbox.file("go", b"");
    let output = resume(&sandbox, &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let cut_off = told(&sandbox, "cut-off");
    assert!(cut_off.len() <= 2, "{cut_off:?}");
    assert_eq!(cut_off[0]["seq"], 1);
    assert_eq!(text(&output.stdout), "1\n2\n3\n4\n5\n");
    sandbox.start_once_more();
}
