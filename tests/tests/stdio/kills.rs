//! msup or a worker is killed while programs run.

use std::collections::BTreeSet;

use msup_tests::{Sandbox, is_alive, kill, parent_of, run, spawn_piped, summary, wait_until};
use nix::sys::signal::Signal;

use super::{lines, msup, starts, text, write_program};

/// The nth newest program that runs, and its worker.
fn running(sandbox: &Sandbox, nth: usize) -> Option<(i32, i32)> {
    let ours = sandbox.processes();
    let program = starts(sandbox).into_iter().rev().filter(|pid| ours.contains(pid)).nth(nth)?;
    let worker = parent_of(program).filter(|pid| ours.contains(pid))?;
    Some((program, worker))
}

/// Notes when a task begins and when it ends.
const NOTES: &str = "*) echo begin $value >>log; sleep 0.03; echo end $value >>log; ok $value;;";

#[test]
fn a_killed_run_leaves_nothing_and_is_resumed() {
    let sandbox = Sandbox::new();
    write_program(&sandbox, "", NOTES, "");
    let values: Vec<String> = (1..=60).map(|n| n.to_string()).collect();
    let mut child = spawn_piped(msup(&sandbox, &["-j3"]).arg(":::").args(&values));
    wait_until(|| lines(&sandbox, "log").len() >= 30);
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait().expect("ours");
    wait_until(|| sandbox.processes().is_empty());
    let began = starts(&sandbox).len();
    assert!((1..=3).contains(&began), "{began} starts");
    let output = run(&mut sandbox.msup(["resume", "--summary", "s.json"]));
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains(": --worker-stdio sh program"), "the command is named: {said}");
    let log = lines(&sandbox, "log");
    let ended: Vec<&str> = log.iter().filter_map(|line| line.strip_prefix("end ")).collect();
    let all: BTreeSet<&str> = ended.iter().copied().collect();
    assert_eq!(all.len(), 60, "every task has run");
    // Only those that were in flight, or whose outputs were not shown yet.
    assert!(ended.len() <= 60 + 8, "{} ran twice", ended.len() - 60);
    assert_eq!(summary(&sandbox.path().join("s.json"))["tasks"]["succeeded"], 60);
    assert!(starts(&sandbox).len() <= began + 3, "{:?}", starts(&sandbox));
}

#[test]
fn programs_without_a_task_do_not_survive_msup() {
    let sandbox = Sandbox::new();
    write_program(&sandbox, "", "", "sleep 1000");
    let mut child = spawn_piped(&mut msup(&sandbox, &["-j1", "--joblog", "log"]));
    let mut stdin = child.stdin.take().expect("piped");
    std::io::Write::write_all(&mut stdin, b"1\n").expect("it reads");
    wait_until(|| lines(&sandbox, "log").len() == 2);
    assert!(is_alive(starts(&sandbox)[0]));
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait().expect("ours");
    wait_until(|| sandbox.processes().is_empty());
    sandbox.start_once_more();
}

#[test]
fn a_killed_worker_costs_its_program_and_no_task() {
    let sandbox = Sandbox::new();
    write_program(&sandbox, "", NOTES, "");
    let values: Vec<String> = (1..=60).map(|n| n.to_string()).collect();
    let mut msup = msup(&sandbox, &["-k", "-j2", "--summary", "s.json"]);
    let child = spawn_piped(msup.arg(":::").args(&values));
    for at in [20, 60] {
        wait_until(|| lines(&sandbox, "log").len() >= at);
        let (_, worker) = running(&sandbox, 0).expect("a program runs");
        kill(worker, Signal::SIGKILL);
    }
    let output = child.wait_with_output().expect("ours");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).lines().collect::<Vec<_>>(), values);
    let figures = summary(&sandbox.path().join("s.json"));
    assert_eq!(figures["workers"]["lost"], 2);
    assert!(starts(&sandbox).len() <= 4, "{:?}", starts(&sandbox));
}

fn ended(sandbox: &Sandbox) -> usize {
    lines(sandbox, "log").iter().filter(|line| line.starts_with("end")).count()
}

/// Programs and workers in turn, as the tasks go on; and some tasks fail or crash.
#[test]
fn a_storm_of_kills_costs_no_task() {
    let sandbox = Sandbox::new();
    let cases = format!("*00) kill -ABRT $$;;\n*50) fails no;;\n*25) ok $value; exit;;\n{NOTES}");
    write_program(&sandbox, "", &cases, "");
    let values: Vec<String> = (1..=400).map(|n| n.to_string()).collect();
    let mut msup = msup(&sandbox, &["-k", "-j3", "--summary", "s.json"]);
    let child = spawn_piped(msup.arg(":::").args(&values));
    for nth in 1..=30 {
        // A task that is killed ten times has failed: others must have ended between two kills.
        wait_until(|| ended(&sandbox) >= 10 * nth);
        let Some((program, worker)) = running(&sandbox, nth % 3) else { continue };
        kill(if nth % 2 == 0 { worker } else { program }, Signal::SIGKILL);
    }
    let output = child.wait_with_output().expect("ours");
    let said = text(&output.stderr);
    let bad = |value: &&String| value.ends_with("00") || value.ends_with("50");
    assert_eq!(output.status.code(), Some(8), "{said}");
    let good: Vec<&String> = values.iter().filter(|value| !bad(value)).collect();
    assert_eq!(text(&output.stdout).lines().collect::<Vec<_>>(), good, "{said}");
    let tasks = &summary(&sandbox.path().join("s.json"))["tasks"];
    assert_eq!((&tasks["failed"], &tasks["quarantined"]), (&4.into(), &4.into()), "{said}");
}
