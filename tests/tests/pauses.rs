//! Ctrl-Z and `fg`: everything stands still, the clocks too, and goes on.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use msup_tests::{Sandbox, kill, spawn_piped, summary, wait_until};
use nix::sys::signal::Signal;

fn stands_still(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    // Or waits for a child that was stopped before its exec.
    matches!(state, Some('T' | 'Z' | 'D') | None)
}

fn pause(sandbox: &Sandbox, msup: &Child) {
    kill(msup.id() as i32, Signal::SIGTSTP);
    wait_until(|| sandbox.processes().into_iter().all(stands_still));
}

fn go_on(msup: &Child) {
    kill(msup.id() as i32, Signal::SIGCONT);
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len())
}

/// Each of the tasks has succeeded at its first attempt, and no worker was lost.
fn finishes_undisturbed(sandbox: &Sandbox, msup: Child, tasks: u32) {
    let output = msup.wait_with_output().expect("it was started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let figures = summary(&sandbox.path().join("s.json"));
    let counted = (&figures["tasks"]["succeeded"], &figures["tasks"]["attempts"]);
    assert_eq!(counted, (&tasks.into(), &tasks.into()));
    assert_eq!(figures["workers"]["lost"], 0);
}

#[test]
fn all_processes_stand_still_and_no_clock_runs() {
    let sandbox = Sandbox::new();
    // Each takes a second and may take two.
    let script = "for n in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1; echo $n | cat >>log; done";
    let mut command = sandbox.msup(["-j2", "--timeout", "2", "--summary", "s.json", "--"]);
    command.args(["sh", "-c", script, "sh", ":::", "a", "b", "c"]);
    let msup = spawn_piped(&mut command);
    let log = sandbox.path().join("log");
    wait_until(|| length(&log) > 4);
    pause(&sandbox, &msup);
    let before = length(&log);
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(length(&log), before, "something went on");
    go_on(&msup);
    finishes_undisturbed(&sandbox, msup, 3);
}

#[test]
fn repeated_pauses_while_commands_are_started() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.msup(["-j4", "--summary", "s.json", "--", "sh", "-c", "echo >>log"]);
    command.args(["sh", ":::"]).args((0..3000).map(|n| n.to_string()));
    let msup = spawn_piped(&mut command);
    let log = sandbox.path().join("log");
    wait_until(|| length(&log) > 10);
    let mut pauses = 0;
    while pauses < 50 && length(&log) < 2900 {
        pause(&sandbox, &msup);
        pauses += 1;
        go_on(&msup);
        std::thread::sleep(Duration::from_millis(7));
    }
    finishes_undisturbed(&sandbox, msup, 3000);
    assert!(pauses >= 10, "{pauses} pauses");
}

#[test]
fn a_run_killed_while_it_stands_still_leaves_nothing() {
    let sandbox = Sandbox::new();
    let script = "sleep 60 | cat; echo";
    let mut command = sandbox.msup(["-j2", "--", "sh", "-c", script, "sh", ":::", "a", "b"]);
    let msup = spawn_piped(&mut command);
    // Itself, two workers, and three below each shell.
    wait_until(|| sandbox.processes().len() >= 9);
    pause(&sandbox, &msup);
    kill(msup.id() as i32, Signal::SIGKILL);
    msup.wait_with_output().expect("it was started");
    wait_until(|| sandbox.processes().is_empty());
    sandbox.start_once_more();
}

/// By SIGSTOP, or with its whole machine: no time has passed for its tasks.
#[test]
fn a_supervisor_that_was_stopped_kills_no_task() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.msup(["-j2", "--timeout", "1", "--summary", "s.json", "--"]);
    command.args(["sh", "-c", "echo >>log; sleep 0.2", "sh", ":::"]);
    let msup = spawn_piped(command.args((0..8).map(|n| n.to_string())));
    wait_until(|| length(&sandbox.path().join("log")) > 1);
    kill(msup.id() as i32, Signal::SIGSTOP);
    std::thread::sleep(Duration::from_millis(2500));
    go_on(&msup);
    finishes_undisturbed(&sandbox, msup, 8);
}

#[test]
fn task_loops_stand_still_too() {
    let sandbox = Sandbox::new();
    let program = msup_tests::program("computes_and_waits");
    let mut command = sandbox.msup(["-j2", "--summary", "s.json", "--worker"]);
    command.arg(program).args(["5", "5", ":::"]).args((0..300).map(|n| n.to_string()));
    let msup = spawn_piped(&mut command);
    wait_until(|| sandbox.processes().len() >= 3);
    for _ in 0..3 {
        pause(&sandbox, &msup);
        std::thread::sleep(Duration::from_millis(150));
        go_on(&msup);
    }
    finishes_undisturbed(&sandbox, msup, 300);
}
