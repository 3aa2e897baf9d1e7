//! Exit statuses, and the figures of a run.

use msup_tests::{Sandbox, numbers, run_with_input, shown, summary};

use super::{NAMES, nul_terminated};

fn status_of(arguments: &[&str], input: &[u8]) -> Option<i32> {
    let sandbox = Sandbox::new();
    run_with_input(&mut sandbox.msup(arguments), input).status.code()
}

#[test]
fn the_status_is_the_number_of_failures() {
    let command = ["--", "sh", "-c", "exit $1", "sh", ":::", "0", "1", "2", "0", "3"];
    assert_eq!(status_of(&command, b""), Some(3));
}

#[test]
fn a_hundred_failures_are_still_counted() {
    assert_eq!(status_of(&["false"], &numbers(100)), Some(100));
}

#[test]
fn more_failures_share_a_status() {
    assert_eq!(status_of(&["false"], &numbers(101)), Some(101));
    assert_eq!(status_of(&["false"], &numbers(150)), Some(101));
}

#[test]
fn more_failures_are_counted_in_the_summary() {
    let sandbox = Sandbox::new();
    run_with_input(&mut sandbox.msup(["--summary", "figures", "false"]), &numbers(150));
    let figures = summary(&sandbox.path().join("figures"));
    assert_eq!(figures["tasks"]["failed"], 150);
    assert_eq!(figures["exit_status"], 101);
}

#[test]
fn a_run_over_names_is_summed_up() {
    let sandbox = Sandbox::new();
    let command = ["-0", "--summary", "figures", "--procs", "2", "--", "printf", "%s\\0"];
    shown(&sandbox, &command, &nul_terminated(NAMES));
    let figures = summary(&sandbox.path().join("figures"));
    assert_eq!(figures["tasks"]["total"], NAMES.len());
    assert_eq!(figures["tasks"]["succeeded"], NAMES.len());
    assert_eq!(figures["tasks"]["failed"], 0);
    assert_eq!(figures["exit_status"], 0);
}

#[test]
fn every_token_is_back_when_tasks_failed() {
    let sandbox = Sandbox::new();
    let arguments = ["--procs", "3", "--max-workers", "9", "--summary", "figures", "false"];
    run_with_input(&mut sandbox.msup(arguments), &numbers(50));
    let figures = summary(&sandbox.path().join("figures"));
    assert_eq!(figures["tokens"]["idle_at_end"], 3, "{figures:#}");
}
