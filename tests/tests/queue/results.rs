//! What is shown of a job: outputs in order, a joblog, a summary, exit statuses.

use std::fs;

use msup_tests::{numbers, run, spawn_piped, summary, wait_until};
use nix::sys::signal::Signal;

use crate::desk::{Desk, lines, said};

/// Prints its value twice, on both streams; fails for 7.
const SAYS: &str = "echo out {}; echo err {} >&2; [ {} != 7 ]";

#[test]
fn collect_prints_outputs_in_the_order_of_the_input_and_waits_for_nothing() {
    let Some(desk) = Desk::open() else { return };
    desk.sandbox.file("list", &numbers(40));
    desk.submitted([SAYS, "::::", "list"]);
    let nothing = desk.ask(&["collect"]);
    assert_eq!((nothing.status.code(), lines(&nothing).len()), (Some(1), 0));
    assert!(said(&nothing).contains("0 of 40 tasks have finished"), "{}", said(&nothing));
    assert_eq!(run(&mut desk.node(&["--procs", "4"])).status.code(), Some(0));
    for _ in 0..2 {
        let output = desk.ask(&["collect", "--joblog", "joblog", "--summary", "summary"]);
        assert_eq!(output.status.code(), Some(1), "one has failed");
        let expected: Vec<String> = (1..=40).map(|number| format!("out {number}")).collect();
        assert_eq!(lines(&output), expected);
        let said = said(&output);
        assert!(said.contains("39 of 40 tasks succeeded, 1 failed"), "{said}");
        assert!(said.contains("task 7 failed: exit 1: 7"), "{said}");
        assert!((1..=40).all(|number| said.contains(&format!("err {number}\n"))), "{said}");
        let text = fs::read_to_string(desk.sandbox.path().join("joblog")).expect("written");
        let mut seqs: Vec<u32> = text
            .lines()
            .skip(1)
            .map(|line| line.split('\t').next().and_then(|seq| seq.parse().ok()).expect("a number"))
            .collect();
        seqs.sort_unstable();
        assert_eq!(seqs, (1..=40).collect::<Vec<_>>());
        let seventh = text.lines().find(|line| line.starts_with("7\t")).expect("a line");
        let fields: Vec<&str> = seventh.split('\t').collect();
        assert_eq!((fields[5], fields[6], fields[7]), ("12", "1", "0"), "{seventh}");
        assert!(fields[8].contains("echo out '7'"), "{seventh}");
        let tasks = &summary(&desk.sandbox.path().join("summary"))["tasks"];
        assert_eq!((&tasks["total"], &tasks["failed"]), (&40.into(), &1.into()));
    }
}

#[test]
fn waiting_is_like_a_run_on_one_machine() {
    let Some(desk) = Desk::open() else { return };
    desk.sandbox.file("list", &numbers(30));
    let local = run(&mut desk.sandbox.msup(["-k", SAYS, "::::", "list"]));
    let url = desk.url();
    let mut msup =
        desk.sandbox.msup(["submit", "--queue", &url, "--wait", "-k", "--joblog", "log"]);
    let waits = spawn_piped(msup.args([SAYS, "::::", "list"]));
    wait_until(|| desk.ask(&["status"]).status.success());
    let node = run(&mut desk.node(&[]));
    assert_eq!(node.status.code(), Some(0), "{}", said(&node));
    let output = waits.wait_with_output().expect("ours");
    assert_eq!(output.status.code(), local.status.code(), "{}", said(&output));
    assert_eq!(lines(&output), lines(&local));
    let log = fs::read_to_string(desk.sandbox.path().join("log")).expect("written");
    assert_eq!(log.lines().count(), 31);
}

#[test]
fn interrupting_what_waits_leaves_the_job_alone() {
    let Some(desk) = Desk::open() else { return };
    let url = desk.url();
    let mut msup = desk.sandbox.msup(["submit", "--queue", &url, "--wait", "echo", ":::", "a"]);
    let waits = spawn_piped(&mut msup);
    wait_until(|| desk.ask(&["status"]).status.success());
    wait_until(|| {
        let status = fs::read_to_string(format!("/proc/{}/status", waits.id())).expect("ours");
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let mask = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask & (1 << (Signal::SIGINT as u32 - 1)) != 0)
    });
    msup_tests::kill(waits.id() as i32, Signal::SIGINT);
    let output = waits.wait_with_output().expect("ours");
    assert!(!output.status.success());
    assert!(said(&output).contains("msup cancel nats://"), "{}", said(&output));
    assert_eq!(run(&mut desk.node(&[])).status.code(), Some(0));
    assert_eq!(lines(&desk.ask(&["collect"])), ["a"]);
}

#[test]
fn outputs_larger_than_a_message_arrive_whole_up_to_their_limit() {
    let Some(mut desk) = Desk::open() else { return };
    let script = "head -c {} /dev/zero | tr '\\0' x; head -c {} /dev/zero >&2";
    desk.submitted([script, ":::", "10", "3000000", "1040000"]);
    assert_eq!(run(&mut desk.node(&[])).status.code(), Some(0));
    let output = desk.ask(&["collect"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(output.stdout.len(), 10 + 3_000_000 + 1_040_000);
    assert!(output.stdout.iter().all(|byte| *byte == b'x'));
    let zeros = output.stderr.iter().filter(|byte| **byte == 0).count();
    assert_eq!(zeros, 10 + 3_000_000 + 1_040_000);
    desk.job = "cut";
    desk.submitted(["--max-output", "1M", script, ":::", "10", "3000000"]);
    assert_eq!(run(&mut desk.node(&[])).status.code(), Some(0));
    let output = desk.ask(&["collect"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout.len(), 10 + (1 << 20));
    assert!(said(&output).contains("bytes of its output were cut off"), "{}", said(&output));
}

#[test]
fn a_task_that_always_crashes_has_one_result() {
    let Some(desk) = Desk::open() else { return };
    let script = "echo {} >> runs; [ {} != poison ] || kill -SEGV $$";
    desk.submitted([script, ":::", "a", "poison", "b"]);
    let nodes = [desk.started(&["--procs", "2"]), desk.started(&["--procs", "2"])];
    for node in nodes {
        let output = node.wait_with_output().expect("ours");
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
    let output = desk.ask(&["collect"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("2 of 3 tasks succeeded, 1 quarantined"), "{}", said(&output));
    assert!(said(&output).contains("task 2 was quarantined: signal 11"), "{}", said(&output));
    let runs = fs::read_to_string(desk.sandbox.path().join("runs")).expect("written");
    assert_eq!(runs.lines().filter(|line| *line == "poison").count(), 3, "--crash-limit");
}

#[test]
fn a_file_that_cannot_be_placed_is_a_failure() {
    let Some(desk) = Desk::open() else { return };
    fs::create_dir(desk.sandbox.path().join("b.txt")).expect("writable");
    desk.submitted(["--out", "{}.txt", "echo {} > {out}", ":::", "a", "b"]);
    assert_eq!(run(&mut desk.node(&[])).status.code(), Some(0));
    let output = desk.ask(&["collect"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("task 2 failed"), "{}", said(&output));
    assert!(desk.sandbox.path().join("a.txt").is_file());
}
