//! Programs that are stopped: for a timeout, or because there are no more values.

use msup_tests::{Sandbox, kill, overheard, spawn_piped, wait_until};
use nix::sys::signal::Signal;

use super::{lines, msup, ran, starts, text, write_program};

#[test]
fn a_program_that_hangs_is_stopped_with_all_that_it_started() {
    let sandbox = Sandbox::new();
    write_program(&sandbox, "", "hang) setsid sleep 1000 & sleep 1000;;", "");
    let flags = ["-k", "-j1", "--timeout", "1s", "--grace", "100ms"];
    let output = ran(&sandbox, &flags, &["1", "hang", "2"]);
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), "1\n2\n".into()));
    assert!(said.contains("task 2 failed: timeout after 1 s: hang"), "{said}");
    assert_eq!(starts(&sandbox).len(), 2);
}

/// SIGTERM asks the program to give up its task, and it does.
#[test]
fn a_program_that_gives_up_its_task_goes_on() {
    let sandbox = Sandbox::new();
    write_program(&sandbox, "trap : TERM", "hang) sleep 1000; fails 'given up';;", "");
    let flags = ["-k", "-j1", "--timeout", "1s", "--grace", "300ms"];
    // It outlives the grace.
    let output = ran(&sandbox, &flags, &["hang", "1", "hang", "2"]);
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), "1\n2\n".into()), "{said}");
    assert_eq!(said.matches("failed: timeout").count(), 2, "{said}");
    assert_eq!(starts(&sandbox).len(), 1);
}

#[test]
fn a_program_that_ignores_sigterm_is_killed_after_the_grace() {
    let sandbox = Sandbox::new();
    write_program(&sandbox, "trap '' TERM", "hang) while :; do sleep 0.01; done;;", "");
    let flags = ["-k", "-j1", "--timeout", "1s", "--grace", "100ms"];
    let output = ran(&sandbox, &flags, &["hang", "1"]);
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), "1\n".into()), "{said}");
    assert!(said.contains("task 1 failed: timeout"), "{said}");
    assert_eq!(starts(&sandbox).len(), 2);
}

#[test]
fn a_halted_run_stops_its_programs() {
    let sandbox = Sandbox::new();
    write_program(&sandbox, "", "bad) fails no;;\nhang) sleep 1000;;", "");
    let flags = ["-j2", "--halt", "now,fail=1", "--grace", "100ms"];
    let output = ran(&sandbox, &flags, &["hang", "bad", "hang", "hang"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(255), "{said}");
    assert!(said.contains("--halt: stopping after 1 failure"), "{said}");
}

#[test]
fn each_program_gets_the_end_of_its_input() {
    let sandbox = Sandbox::new();
    let after = "echo last words; echo last words >&2; sleep 0.2; echo $$ >>ends; exit 3";
    write_program(&sandbox, "", "", after);
    let values = ["1", "2", "3", "4", "5", "6"];
    let output = ran(&sandbox, &["-k", "-j2"], &values);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(text(&output.stdout), "1\n2\n3\n4\n5\n6\n");
    assert!(!said.contains("last words"), "they belong to no task: {said}");
    let ends: Vec<i32> = lines(&sandbox, "ends").iter().flat_map(|pid| pid.parse()).collect();
    assert_eq!(sorted(ends), sorted(starts(&sandbox)));
}

fn sorted(mut pids: Vec<i32>) -> Vec<i32> {
    pids.sort_unstable();
    pids
}

#[test]
fn a_program_that_ignores_the_end_of_its_input_is_stopped() {
    let sandbox = Sandbox::new();
    let before = "trap 'echo term >>terms' TERM";
    write_program(&sandbox, before, "", "while :; do sleep 0.01; done");
    let flags = ["-j1", "--leave-timeout", "200ms", "--grace", "200ms"];
    let output = ran(&sandbox, &flags, &["1"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(lines(&sandbox, "terms"), ["term"], "then SIGKILL");
    // With --leave kill it has no time after the end of its input.
    write_program(&sandbox, "trap 'echo term >>terms; exit' TERM", "", "sleep 1000 & wait");
    let output = ran(&sandbox, &["-j1", "--leave", "kill", "--grace", "1000s"], &["1"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(lines(&sandbox, "terms").len(), 2);
}

/// All tasks are done; without the signals this would take 1000 s.
#[test]
fn a_third_signal_kills_programs_that_do_not_exit() {
    let sandbox = Sandbox::new();
    write_program(&sandbox, "trap '' TERM", "", ": >over; while :; do sleep 0.01; done");
    let flags = ["-j1", "--leave-timeout", "1000s"];
    let mut child = spawn_piped(msup(&sandbox, &flags).args([":::", "1"]));
    let said = overheard(&mut child);
    wait_until(|| sandbox.path().join("over").exists());
    let told = "msup: waiting for a program to exit after the end of the input";
    wait_until(|| said.lock().expect("no panic").contains(told));
    wait_until(|| {
        kill(child.id() as i32, Signal::SIGINT);
        std::thread::sleep(std::time::Duration::from_millis(50));
        child.try_wait().expect("ours").is_some()
    });
    let output = child.wait_with_output().expect("ours");
    assert_eq!(text(&output.stdout), "1\n");
    wait_until(|| sandbox.processes().is_empty());
}
