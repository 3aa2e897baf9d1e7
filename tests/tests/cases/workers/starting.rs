//! Workers that take long to start, or never do.

use std::fs;
use std::path::PathBuf;

use msup_tests::{Sandbox, kill, numbers, overheard, program, run, spawn_piped, wait_until};
use nix::sys::signal::Signal;

/// A worker that loads something first: until there is a file `go`.
fn slow_worker(sandbox: &Sandbox) -> PathBuf {
    let loads = "echo >>started; until test -e go; do sleep 0.01; done";
    let script = format!("#!/bin/sh\n{loads}\nexec {}\n", program("says_done").display());
    sandbox.program("slow", script.as_bytes())
}

fn started(sandbox: &Sandbox) -> usize {
    fs::read(sandbox.path().join("started")).map_or(0, |lines| lines.len())
}

#[test]
fn workers_that_start_slowly_are_reported_and_do_not_multiply() {
    let sandbox = Sandbox::new();
    let list = sandbox.file("list", &numbers(20));
    let mut msup = sandbox.msup(["--procs", "2", "-k", "-a"]);
    msup.arg(list).arg("--worker").arg(slow_worker(&sandbox));
    let mut child = spawn_piped(&mut msup);
    let said = overheard(&mut child);
    // For ten seconds, as long as that takes.
    wait_until(|| said.lock().expect("no panic").contains("waiting for 2 workers to start"));
    assert_eq!(started(&sandbox), 2, "one for each token");
    sandbox.file("go", b"");
    let output = child.wait_with_output().expect("ours");
    let said = said.lock().expect("no panic").clone();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), 20);
    assert!(said.contains("slow has run for 10 s and has not attached"), "{said}");
    assert_eq!(said.matches("to start").count(), 1, "{said}");
}

#[test]
fn a_worker_that_never_attaches_fails_the_run_when_its_time_is_limited() {
    let sandbox = Sandbox::new();
    let mut msup =
        sandbox.msup(["--start-timeout", "200ms", "--worker", "sleep", "1000", ":::", "1"]);
    let output = run(&mut msup);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(255), "{said}");
    assert!(said.contains("did not attach within --start-timeout (3 times in a row)"), "{said}");
}

#[test]
fn a_worker_that_attaches_in_time_is_not_killed_later() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--procs", "1", "--start-timeout", "5s", "--worker"]);
    msup.arg(slow_worker(&sandbox)).args([":::", "1", "2", "3"]);
    let child = spawn_piped(&mut msup);
    wait_until(|| started(&sandbox) == 1);
    sandbox.file("go", b"");
    let output = child.wait_with_output().expect("ours");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_start_timeout_must_be_a_time() {
    for bad in ["0", "soon", "-1", ""] {
        let sandbox = Sandbox::new();
        let flag = format!("--start-timeout={bad}");
        let output = run(&mut sandbox.msup([&flag, "true", ":::", "1"]));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(255), "{bad}: {said}");
        assert!(said.contains("--start-timeout"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

/// It knows nothing of msup, and never asks the kernel to be told of its parent's death.
#[test]
fn a_worker_that_has_not_attached_dies_with_its_supervisor() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--procs", "2", "--worker", "sleep", "1000", ":::", "1", "2"]);
    let mut child = spawn_piped(&mut msup);
    let is_sleep = |pid: &i32| msup_tests::name_of(*pid).as_deref() == Some("sleep");
    wait_until(|| sandbox.workers(&child).iter().filter(|pid| is_sleep(pid)).count() == 2);
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait().expect("ours");
    wait_until(|| sandbox.processes().is_empty());
    sandbox.start_once_more();
}

/// Once it has attached it dies in its own way: what its command has put elsewhere is found and
/// killed.
#[test]
fn a_worker_that_has_attached_kills_what_it_started_when_its_supervisor_dies() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--no-journal", "sh", "-c"]);
    // Neither in the command's process group nor its child.
    msup.args(["(setsid sh -c ': >began; sleep 1000' &); sleep 1000", ":::", "1"]);
    let mut child = spawn_piped(msup.env("MSUP_NO_GROUPS", "1"));
    wait_until(|| sandbox.path().join("began").exists());
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait().expect("ours");
    wait_until(|| sandbox.processes().is_empty());
    sandbox.start_once_more();
}

#[test]
fn with_one_in_flight_tasks_run_in_the_order_of_their_input() {
    let sandbox = Sandbox::new();
    let list = sandbox.file("list", &numbers(1000));
    let mut msup = sandbox.msup(["-j1", "-a"]);
    assert!(run(msup.arg(list).arg("echo {} >>order")).status.success());
    let order = fs::read(sandbox.path().join("order")).expect("written");
    assert!(order == numbers(1000), "{}", String::from_utf8_lossy(&order));
}
