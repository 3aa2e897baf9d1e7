//! A list that has become shorter or longer: nothing that is known of its tasks is forgotten.

use std::collections::HashMap;
use std::process::Stdio;

use msup_tests::{Sandbox, kill, numbers, records, run, wait_until};
use nix::sys::signal::Signal;

use super::{journal, lines, resume, text, told};

/// A run of a list that is too long to be read to its end before the run is killed.
fn kill_while_reading(sandbox: &Sandbox, script: &str) {
    sandbox.file("list", &numbers(300_000));
    let mut msup = sandbox.msup(["-j2", "--journal", "j", "-a", "list", script]);
    let mut child = msup.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("built");
    wait_until(|| records(&journal(sandbox), "end") > 60);
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait().expect("ours");
    assert!(told(sandbox, "inputs-end").is_empty(), "the list is too short for this test");
}

#[test]
fn a_shorter_list_does_not_make_tasks_of_a_longer_one_unknown() {
    let sandbox = Sandbox::new();
    kill_while_reading(&sandbox, "[ {} != 40 ] || [ -e fine ]");
    sandbox.file("short", b"500\n1\n2\n3\n");
    let output = resume(&sandbox, &["-a", "short"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    sandbox.file("fine", b"");
    let output = run(&mut sandbox.msup(["retry", "./j"]));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(!text(&output.stderr).contains("nothing to retry"), "{}", text(&output.stderr));
    sandbox.file("more", &numbers(100));
    let output = resume(&sandbox, &["-a", "more"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(!said.contains("damaged"), "{said}");
    let mut ends = HashMap::<String, usize>::new();
    for end in told(&sandbox, "end") {
        *ends.entry(end["value"].as_str().expect("text").to_owned()).or_default() += 1;
    }
    assert_eq!(ends.remove("40"), Some(2), "it was retried");
    assert!(ends.values().all(|count| *count == 1), "{ends:?}");
}

/// A task that was in flight at a kill finishes in another place of another list.
#[test]
fn a_task_that_has_finished_elsewhere_does_not_run_where_it_was_cut_off() {
    let sandbox = Sandbox::new();
    let script = "echo {} >>ran; [ {} != a ] || until [ -e go ]; do sleep 0.01; done";
    sandbox.file("list", b"a\nb\n");
    let mut msup = sandbox.msup(["-j2", "--journal", "j", "-a", "list", script]);
    let mut child = msup.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("built");
    wait_until(|| records(&journal(&sandbox), "end") == 1);
    wait_until(|| lines(&sandbox.path().join("ran")).len() == 2);
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait().expect("ours");
    sandbox.file("go", b"");
    sandbox.file("other", b"c\nb\na\n");
    for list in ["other", "list", "other"] {
        let output = resume(&sandbox, &["-a", list]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
    let mut ran = lines(&sandbox.path().join("ran"));
    ran.sort();
    assert_eq!(ran, ["a", "a", "b", "c"]);
}

/// All tasks but the first have finished, and their outputs wait.
fn kill_before_the_first(sandbox: &Sandbox) {
    let script = "echo {} >>ran; [ {} != 1 ] || until [ -e go ]; do sleep 0.01; done; echo out {}";
    sandbox.file("list", &numbers(4));
    let mut msup = sandbox.msup(["-j2", "-k", "--journal", "j", "-a", "list", script]);
    let mut child = msup.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("built");
    wait_until(|| records(&journal(sandbox), "unshown") == 3);
    wait_until(|| lines(&sandbox.path().join("ran")).len() == 4);
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait().expect("ours");
    sandbox.file("go", b"");
}

#[test]
fn outputs_of_tasks_that_a_list_lacks_are_shown_when_they_are_back() {
    let sandbox = Sandbox::new();
    kill_before_the_first(&sandbox);
    sandbox.file("short", b"1\n2\n");
    let output = resume(&sandbox, &["-a", "short"]);
    let said = text(&output.stderr);
    assert_eq!(text(&output.stdout), "out 1\nout 2\n", "{said}");
    assert_eq!(output.status.code(), Some(255), "{said}");
    assert!(said.contains("2 tasks of the journal are not in the input any more"), "{said}");
    assert!(said.contains("the outputs of 2 of them were not shown"), "{said}");
    let output = resume(&sandbox, &["-a", "list"]);
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "out 3\nout 4\n".into()));
    assert!(!said.contains("not shown"), "{said}");
    assert_eq!(lines(&sandbox.path().join("ran")).len(), 5);
}

#[test]
fn one_task_that_a_list_lacks_is_one_task() {
    let sandbox = Sandbox::new();
    kill_before_the_first(&sandbox);
    sandbox.file("short", b"1\n2\n3\n");
    let said = text(&resume(&sandbox, &["-a", "short"]).stderr);
    assert!(said.contains("1 task of the journal is not in the input any more"), "{said}");
    assert!(said.contains("its output was not shown"), "{said}");
}
