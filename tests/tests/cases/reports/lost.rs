//! Output that could not be written: its tasks have not succeeded.

use std::fs::OpenOptions;
use std::process::Output;

use msup_tests::{Sandbox, run, shown_text};

/// Runs this with standard output on a full disk.
fn on_a_full_disk(sandbox: &Sandbox, arguments: &[&str]) -> (String, Option<i32>) {
    let full = OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    let child = sandbox.msup(arguments).stdout(full).stderr(std::process::Stdio::piped()).spawn();
    let Output { stderr, status, .. } =
        child.and_then(|child| child.wait_with_output()).expect("it is built");
    (String::from_utf8(stderr).expect("text"), status.code())
}

#[test]
fn report_and_journal_agree_on_tasks_whose_output_could_not_be_shown() {
    let sandbox = Sandbox::new();
    let flags = ["--summary", "s.json", "echo", ":::", "a", "b"];
    let (said, status) = on_a_full_disk(&sandbox, &flags);
    assert_eq!(status, Some(255), "{said}");
    assert!(said.contains("msup: 0 of 2 tasks succeeded, 2 left in "), "{said}");
    assert!(said.contains("; go on: msup resume\n"), "{said}");
    assert!(said.contains("msup: the output of 2 tasks could not be shown: msup resume shows it"));
    let summary = msup_tests::summary(&sandbox.path().join("s.json"));
    let tasks = ["succeeded", "failed", "cancelled"].map(|state| summary["tasks"][state].as_u64());
    assert_eq!(tasks, [Some(0), Some(0), Some(2)]);
    let log = run(&mut sandbox.msup(["log"]));
    let log = String::from_utf8(log.stdout).expect("text");
    assert!(log.contains("stopped  0 succeeded"), "{log}");
    assert_eq!(shown_text(&sandbox, &["resume", "-q"], b"").lines().count(), 2);
}

#[test]
fn tasks_that_wrote_nothing_have_succeeded_all_the_same() {
    let sandbox = Sandbox::new();
    let task = "[ {} = quiet ] || echo {}";
    let (said, status) = on_a_full_disk(&sandbox, &["-j1", task, ":::", "quiet", "loud", "quiet"]);
    assert_eq!(status, Some(255), "{said}");
    assert!(said.contains("of 3 tasks succeeded") && !said.contains("3 of 3"), "{said}");
    assert!(said.contains("the output of 1 task could not be shown"), "{said}");
}

#[test]
fn a_task_that_failed_without_being_shown_is_left() {
    let sandbox = Sandbox::new();
    let (said, _) = on_a_full_disk(&sandbox, &["echo {}; exit 3", ":::", "a"]);
    assert!(said.contains("msup: 0 of 1 tasks succeeded, 1 left in "), "{said}");
    assert!(said.contains("; go on: msup resume\n"), "{said}");
}

#[test]
fn without_a_journal_no_success_is_claimed_either() {
    let sandbox = Sandbox::new();
    let flags = ["--no-journal", "echo", ":::", "a", "b"];
    let (said, status) = on_a_full_disk(&sandbox, &flags);
    assert_eq!(status, Some(255), "{said}");
    assert!(said.contains("msup: 0 of 2 tasks succeeded, 2 left in "), "{said}");
    assert!(said.contains("the output of 2 tasks could not be shown\n"), "{said}");
    assert!(!said.contains("msup resume"), "{said}");
}
