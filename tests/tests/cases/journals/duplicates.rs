//! Several tasks with the same value: each is known by its number as well.

use std::process::{Child, Stdio};

use msup_tests::{Sandbox, kill, records, run, spawn_piped, wait_until};
use nix::sys::signal::Signal;

use super::{journal, lines, resume, text, told};

/// The first task waits for a file.
const SCRIPT: &str = "echo $MSUP_SEQ {} >>ran; [ $MSUP_SEQ != 1 ] || until [ -e go ]; do \
                      sleep 0.01; done; echo out $MSUP_SEQ {}";

fn begin(sandbox: &Sandbox, flags: &[&str], list: &[u8], script: &str) -> Child {
    sandbox.file("list", list);
    let mut msup = sandbox.msup(["-j2", "--journal", "j", "-a", "list"]);
    msup.args(flags).arg(script).stdout(Stdio::null()).stderr(Stdio::null());
    msup.spawn().expect("built")
}

/// Kills this start once there are this number of records of this kind, and of lines that tasks
/// have written.
fn kill_at(mut child: Child, sandbox: &Sandbox, (event, count): (&str, usize), ran: usize) {
    wait_until(|| records(&journal(sandbox), event) == count);
    wait_until(|| lines(&sandbox.path().join("ran")).len() == ran);
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait().expect("ours");
}

#[test]
fn a_task_that_has_finished_is_not_mistaken_for_an_unfinished_one_with_its_value() {
    for (flags, event, shown) in [
        (&[][..], "end", "out 1 a\n"),
        (&["-k"], "unshown", "out 1 a\nout 2 a\nout 3 b\nout 4 c\n"),
    ] {
        let sandbox = Sandbox::new();
        let child = begin(&sandbox, flags, b"a\na\nb\nc\n", SCRIPT);
        kill_at(child, &sandbox, (event, 3), 4);
        let mut msup = sandbox.msup(["resume", "./j"]);
        let child = msup.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("built");
        kill_at(child, &sandbox, (event, 3), 5);
        sandbox.file("go", b"");
        let output = resume(&sandbox, &[]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), shown, "{}", text(&output.stderr));
        let mut ran = lines(&sandbox.path().join("ran"));
        ran.sort();
        assert_eq!(ran, ["1 a", "1 a", "1 a", "2 a", "3 b", "4 c"]);
    }
}

#[test]
fn equal_tasks_of_a_list_that_was_changed_run_once_each() {
    let sandbox = Sandbox::new();
    kill_at(begin(&sandbox, &[], b"a\na\nb\na\n", SCRIPT), &sandbox, ("end", 3), 4);
    sandbox.file("go", b"");
    sandbox.file("list", b"b\na\na\na\n");
    let output = resume(&sandbox, &["-a", "list"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let ran = lines(&sandbox.path().join("ran"));
    assert_eq!(ran.len(), 5, "{ran:?}");
    assert_eq!(ran.iter().filter(|line| line.ends_with('b')).count(), 1, "{ran:?}");
}

#[test]
fn a_retry_shows_the_output_that_waits_and_not_that_of_its_double() {
    let sandbox = Sandbox::new();
    sandbox.file("list", b"a\na\n");
    let script = ": {}; [ $MSUP_SEQ != 2 ] || until [ -e go ]; do sleep 0.01; done; \
                  echo out $MSUP_SEQ; [ $MSUP_SEQ != 1 ] || [ -e fine ]";
    let mut msup = sandbox.msup(["-j1", "-k", "--journal", "j", "-a", "list", script]);
    let mut child = spawn_piped(&mut msup);
    wait_until(|| records(&journal(&sandbox), "end") == 1);
    drop(child.stdout.take());
    sandbox.file("go", b"");
    child.wait().expect("ours");
    assert_eq!(records(&journal(&sandbox), "unshown"), 1);
    sandbox.file("fine", b"");
    let output = run(&mut sandbox.msup(["retry", "./j"]));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "out 1\nout 2\n");
}

#[test]
fn what_a_failed_task_printed_is_not_shown_for_its_double_when_it_is_retried() {
    let sandbox = Sandbox::new();
    let script = ": {}; [ $MSUP_SEQ != 1 ] || until [ -e go ]; do sleep 0.01; done; \
                  [ ! -e fine ] || echo again; echo out $MSUP_SEQ; \
                  [ $MSUP_SEQ != 2 ] || [ -e fine ]";
    kill_at(begin(&sandbox, &["-k"], b"z\na\na\n", script), &sandbox, ("unshown", 2), 0);
    sandbox.file("fine", b"");
    sandbox.file("go", b"");
    let output = run(&mut sandbox.msup(["retry", "./j"]));
    assert_eq!(text(&output.stdout), "again\nout 2\nout 3\n", "{}", text(&output.stderr));
    let ends = told(&sandbox, "end");
    assert!(ends.iter().all(|end| end["state"] == "succeeded"), "{ends:?}");
    let output = resume(&sandbox, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "again\nout 1\n");
}
