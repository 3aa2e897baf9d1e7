//! Programs that exit: in the middle of a task, between two tasks, or at once.

use std::io::Write;

use msup_tests::{Sandbox, is_alive, kill, run, spawn_piped, summary, wait_until};
use nix::sys::signal::Signal;

use super::{lines, msup, ran, starts, text, write_program};

#[test]
fn a_task_that_crashes_its_program_is_quarantined_alone() {
    let sandbox = Sandbox::new();
    write_program(&sandbox, "", "crash) kill -SEGV $$;;", "");
    let flags = ["-k", "-j1", "--summary", "s.json"];
    let output = ran(&sandbox, &flags, &["1", "crash", "2", "3"]);
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), "1\n2\n3\n".into()));
    assert!(said.contains("task 2 was quarantined: signal 11 (attempt 3): crash"), "{said}");
    let tasks = &summary(&sandbox.path().join("s.json"))["tasks"];
    assert_eq!((&tasks["attempts"], &tasks["quarantined"]), (&6.into(), &1.into()));
    // One for each crash, and one more if others came after the last one.
    assert!([3, 4].contains(&starts(&sandbox).len()), "{:?}", starts(&sandbox));
}

#[test]
fn an_exit_in_the_middle_of_a_task_fails_it() {
    let sandbox = Sandbox::new();
    write_program(&sandbox, "", "three) echo because >&2; exit 3;;\nzero) exit 0;;", "");
    let output = ran(&sandbox, &["-k", "-j1"], &["1", "three", "2", "zero", "3"]);
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), "1\n2\n3\n".into()));
    assert!(said.contains("task 2 failed: exit 3: three\nmsup:     because\n"), "{said}");
    let zero = "task 4 failed: error: the program exited with 0 and has not answered: zero";
    assert!(said.contains(zero), "{said}");
    assert_eq!(starts(&sandbox).len(), 3);
}

/// Each program answers one task. The next one mostly finds it while it exits.
#[test]
fn an_exit_between_two_tasks_costs_no_attempt() {
    let sandbox = Sandbox::new();
    for exit in ["exit 0", "exit 7", "kill -KILL $$", "exec >&-; exit"] {
        write_program(&sandbox, "", &format!("*) ok \"$value\"; {exit};;"), "");
        let values: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let output = ran(&sandbox, &["-k", "-j2", "--summary", "s.json"], &values);
        assert!(output.status.success(), "{exit}: {}", text(&output.stderr));
        assert_eq!(text(&output.stdout).lines().collect::<Vec<_>>(), values, "{exit}");
        let figures = summary(&sandbox.path().join("s.json"));
        assert_eq!(figures["tasks"]["attempts"], 20, "{exit}");
        assert_eq!(starts(&sandbox).len(), 20, "{exit}");
        std::fs::remove_file(sandbox.path().join("starts")).expect("there");
    }
}

#[test]
fn a_program_that_is_killed_while_it_has_no_task_is_replaced() {
    let sandbox = Sandbox::new();
    write_program(&sandbox, "", "", "");
    let mut child = spawn_piped(&mut msup(&sandbox, &["-j1", "--joblog", "log"]));
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"first\n").expect("it reads");
    wait_until(|| lines(&sandbox, "log").len() == 2);
    let first = starts(&sandbox)[0];
    kill(first, Signal::SIGKILL);
    wait_until(|| !is_alive(first));
    stdin.write_all(b"second\n").expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("ours");
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "first\nsecond\n".into()));
    assert_eq!(starts(&sandbox).len(), 2);
}

#[test]
fn a_program_that_reads_nothing_fails_each_task_once() {
    let sandbox = Sandbox::new();
    let cases: [(&[&str], &str); 4] = [
        (&["true"], "error: the program exited with 0 and has not answered"),
        (&["false"], "exit 1"),
        (&["sh", "-c", "exec >&-; sleep 0.05; exit 4"], "exit 4"),
        (&["sh", "-c", "exec <&-; sleep 1000"], "error: the program has closed its standard input"),
    ];
    for (program, why) in cases {
        let mut msup = sandbox.msup(["-j2", "--summary", "s.json", "--worker-stdio"]);
        let output = run(msup.args(program).args([":::", "a", "b"]));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{program:?}: {said}");
        for told in [format!("task 1 failed: {why}: a"), format!("task 2 failed: {why}: b")] {
            assert!(said.contains(&told), "{program:?}: {said}");
        }
        let figures = summary(&sandbox.path().join("s.json"));
        assert_eq!(figures["tasks"]["attempts"], 2, "{program:?}");
    }
}

/// It reads its task to the end, and closes its standard input before it answers.
#[test]
fn a_program_may_close_its_standard_input_when_it_has_its_task() {
    let sandbox = Sandbox::new();
    write_program(&sandbox, "", "*) exec <&-; sleep 1.5; ok \"$value\"; exit;;", "");
    let output = ran(&sandbox, &["-k", "-j2", "--summary", "s.json"], &["a", "b", "c"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "a\nb\nc\n".into()));
    assert_eq!(summary(&sandbox.path().join("s.json"))["tasks"]["attempts"], 3);
    assert_eq!(starts(&sandbox).len(), 3);
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let sandbox = Sandbox::new();
    for (program, says) in [("./nothing", "no such file"), ("no-such-program", "not found")] {
        let output = run(&mut sandbox.msup(["--worker-stdio", program, ":::", "a"]));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(255), "{said}");
        assert!(said.contains(program) && said.contains(says), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

/// What it leaves running in its session is waited for, as with a command.
#[test]
fn a_task_waits_for_what_its_crashed_program_has_left_running() {
    let sandbox = Sandbox::new();
    let cases =
        "left) (sleep 0.3; : >done) & exit 3;;\nlate) [ -e done ] && ok yes || fails early;;";
    write_program(&sandbox, "", cases, "");
    let output = ran(&sandbox, &["-k", "-j1"], &["left", "late"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), "yes\n".into()));
}
