//! Tasks that wait without a worker: their state is kept, whatever is killed.

use std::fs;
use std::process::Stdio;

use msup_tests::{Sandbox, kill, program, records, run, summary, wait_until};
use nix::sys::signal::Signal;

fn parks() -> String {
    program("parks").display().to_string()
}

/// Runs the task loop with these flags and values.
fn outcome(sandbox: &Sandbox, flags: &[&str], values: &[&str]) -> (Option<i32>, String, String) {
    let mut msup = sandbox.msup(flags);
    let output = run(msup.arg("--worker").arg(parks()).arg(":::").args(values));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Each of them waits for all others to begin: with two workers they must give them back.
#[test]
fn tasks_that_wait_use_no_worker() {
    let sandbox = Sandbox::new();
    let flags = ["--procs", "1", "--max-workers", "2", "--summary", "s.json"];
    let (status, _, said) = outcome(&sandbox, &flags, &["meets:300"; 300]);
    assert_eq!(status, Some(0), "{said}");
    let summary = summary(&sandbox.path().join("s.json"));
    assert!(summary["workers"]["peak"].as_u64() <= Some(2));
    assert!(summary["tasks"]["attempts"].as_u64() > Some(300), "some have waited");
}

#[test]
fn only_the_last_attempt_of_a_task_is_shown() {
    let sandbox = Sandbox::new();
    let told = outcome(&sandbox, &["-q", "-k"], &["counts:2", "done", "counts:0"]);
    assert_eq!(told, (Some(0), "attempt 3 with 2\nattempt 1 with 0\n".into(), String::new()));
}

#[test]
fn a_state_has_up_to_64_kib() {
    let sandbox = Sandbox::new();
    let told = outcome(&sandbox, &["-q", "-k"], &["keeps:0", "keeps:5000", "keeps:65536"]);
    assert_eq!(told, (Some(0), "0\n5000\n65536\n".into(), String::new()));
    let (status, _, said) = outcome(&sandbox, &[], &["keeps:65537"]);
    assert_eq!(status, Some(1));
    assert!(said.contains("a state of 65537 bytes: a task that parks may keep 65536"), "{said}");
}

#[test]
fn a_crash_after_a_wait_loses_no_state() {
    let sandbox = Sandbox::new();
    let told = outcome(&sandbox, &["-q"], &["crashes"]);
    assert_eq!(told, (Some(0), "state".into(), String::new()));
}

/// The supervisor is killed while all tasks wait, five times.
#[test]
fn tasks_that_wait_survive_the_supervisor() {
    let sandbox = Sandbox::new();
    let values = ["counts:5"; 20];
    let mut first = sandbox.msup(["-q", "-k", "--journal", "run", "--worker"]);
    first.arg(parks()).arg(":::").args(values);
    let journal = sandbox.path().join("run/journal.jsonl");
    for round in 1..=5 {
        let mut msup = match round {
            1 => std::mem::replace(&mut first, sandbox.msup([""; 0])),
            _ => sandbox.msup(["resume", "-q", "./run"]),
        };
        let mut child = msup.stdout(Stdio::null()).spawn().expect("built");
        // Each generation gets all of them one step further, at least.
        wait_until(|| records(&journal, "parked") >= 20 * round);
        kill(child.id() as i32, Signal::SIGKILL);
        child.wait().expect("ours");
        wait_until(|| sandbox.processes().is_empty());
    }
    let output = run(&mut sandbox.msup(["resume", "-q", "./run"]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(told.lines().filter(|line| line.ends_with("with 5")).count(), 20, "{told}");
    assert_eq!(records(&journal, "parked"), 100, "no wait was repeated");
}

#[test]
fn a_run_that_is_stopped_says_how_to_go_on_with_what_waits() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--journal", "run", "--worker"]);
    msup.arg(parks()).args([":::", "counts:3"]).stderr(Stdio::piped());
    let child = msup.spawn().expect("built");
    wait_until(|| records(&sandbox.path().join("run/journal.jsonl"), "parked") >= 1);
    kill(child.id() as i32, Signal::SIGINT);
    let output = child.wait_with_output().expect("ours");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("1 left") && said.contains("msup resume"), "{said}");
    let output = run(&mut sandbox.msup(["resume", "-q", "./run"]));
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("with 3\n"));
    assert!(fs::read_dir(sandbox.path().join("tmp")).expect("there").next().is_none());
}

#[test]
fn without_a_supervisor_the_process_waits() {
    let sandbox = Sandbox::new();
    let mut alone = sandbox.command(parks());
    let output = msup_tests::run_with_input(&mut alone, b"counts:1\nkeeps:7\n");
    assert_eq!(output.stdout, b"attempt 1 with 0\nattempt 2 with 1\n7\n");
}
