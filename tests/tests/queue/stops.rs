//! A job or a node that is stopped.

use std::fs;
use std::process::Stdio;

use msup_tests::{kill, numbers, run, wait_until};
use nix::sys::signal::Signal;

use crate::desk::{Desk, lines, said};

/// Notes that it runs, and runs until the file `go` is there.
const WAITS: &str = "echo {} >> begun; until [ -e go ]; do sleep 0.02; done; echo {}";

fn begun(desk: &Desk) -> usize {
    fs::read_to_string(desk.sandbox.path().join("begun")).unwrap_or_default().lines().count()
}

#[test]
fn a_node_that_is_stopped_lets_tasks_finish_and_gives_back_the_others() {
    let Some(desk) = Desk::open() else { return };
    desk.sandbox.file("list", &numbers(10));
    desk.submitted([WAITS, "::::", "list"]);
    let first = desk.started(&["-j", "2", "--grace", "60s"]);
    wait_until(|| begun(&desk) == 2);
    kill(first.id() as i32, Signal::SIGTERM);
    // It gives back what has not begun, and another node begins that.
    let second = desk.started(&["-j", "8"]);
    wait_until(|| begun(&desk) == 10);
    desk.sandbox.file("go", b"");
    for node in [first, second] {
        let output = node.wait_with_output().expect("ours");
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
    assert_eq!(begun(&desk), 10, "no task has run twice");
    assert_eq!(lines(&desk.ask(&["collect"])).len(), 10);
}

#[test]
fn tasks_that_do_not_finish_in_time_are_given_back() {
    let Some(desk) = Desk::open() else { return };
    desk.submitted([WAITS, ":::", "a"]);
    let first = desk.started(&["-j", "1", "--grace", "100ms"]);
    wait_until(|| begun(&desk) == 1);
    kill(first.id() as i32, Signal::SIGTERM);
    let output = first.wait_with_output().expect("ours");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(desk.finished(), 0);
    desk.sandbox.file("go", b"");
    assert_eq!(run(&mut desk.node(&[])).status.code(), Some(0));
    assert_eq!(begun(&desk), 2);
    assert_eq!(desk.ask(&["collect"]).status.code(), Some(0), "it was not lost");
}

#[test]
fn cancelling_stops_what_runs_and_takes_away_what_waits() {
    let Some(desk) = Desk::open() else { return };
    desk.sandbox.file("list", &numbers(50));
    desk.submitted([WAITS, "::::", "list"]);
    let nodes = [desk.started(&["-j", "2"]), desk.started(&["-j", "2"])];
    wait_until(|| begun(&desk) == 4);
    let output = desk.ask(&["cancel"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    for node in nodes {
        let output = node.wait_with_output().expect("ours");
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        assert!(said(&output).contains("cancelled"), "{}", said(&output));
    }
    assert_eq!(begun(&desk), 4);
    let status = desk.ask(&["status"]);
    assert_eq!(lines(&status)[1], "the job was cancelled", "{:?}", lines(&status));
    let again = desk.submit([WAITS, "::::", "list"]);
    assert_eq!(again.status.code(), Some(255));
    assert!(said(&again).contains("cancel --delete"), "{}", said(&again));
    assert_eq!(desk.ask(&["cancel", "--delete"]).status.code(), Some(0));
    assert!(said(&desk.ask(&["status"])).contains("there is no job"));
    desk.submitted(["echo", "{}", ":::", "new"]);
    assert_eq!(run(&mut desk.node(&[])).status.code(), Some(0));
    assert_eq!(lines(&desk.ask(&["collect"])), ["new"]);
}

#[test]
fn a_node_waits_for_its_job_and_stays_for_the_next_one() {
    let Some(desk) = Desk::open() else { return };
    let waits = desk.started(&[]);
    let stays = desk.started(&["--stay"]);
    desk.submitted(["echo", "{}", ":::", "a", "b"]);
    let output = waits.wait_with_output().expect("ours");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(lines(&desk.ask(&["collect"])), ["a", "b"]);
    assert_eq!(desk.ask(&["cancel", "--delete"]).status.code(), Some(0));
    desk.submitted(["echo", "{}", ":::", "c"]);
    wait_until(|| desk.finished() == 1);
    kill(stays.id() as i32, Signal::SIGTERM);
    let output = stays.wait_with_output().expect("ours");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn a_node_without_the_folder_of_the_job_refuses_it() {
    let Some(desk) = Desk::open() else { return };
    let folder = desk.sandbox.path().join("gone");
    fs::create_dir(&folder).expect("writable");
    let mut msup = desk.sandbox.msup(["submit", "--queue", &desk.url(), "echo", ":::", "a"]);
    assert!(run(msup.current_dir(&folder)).status.success());
    fs::remove_dir(&folder).expect("empty");
    let output = run(desk.node(&[]).stdin(Stdio::null()));
    assert_eq!(output.status.code(), Some(255));
    assert!(said(&output).contains("the job runs in this folder"), "{}", said(&output));
    assert_eq!(
        lines(&desk.ask(&["status"])),
        ["0 of 1 tasks have finished, 1 wait, 0 are with nodes"]
    );
}

#[test]
fn a_node_without_space_takes_no_task_until_there_is_some() {
    let Some(desk) = Desk::open() else { return };
    desk.sandbox.file("list", &numbers(10));
    desk.submitted(["echo {}; head -c 100000 /dev/zero >&2", "::::", "list"]);
    let msup = msup_tests::program("msup");
    let (msup, url) = (msup.display(), desk.url());
    let script =
        format!("head -c 4194304 /dev/zero > disk/full; TMPDIR=$PWD/disk exec {msup} node {url}");
    let Some(mut node) = desk.sandbox.on_small_disk("disk", 4 << 20, &script) else { return };
    let mut node = node.stderr(Stdio::piped()).spawn().expect("it is there");
    let said_so_far = msup_tests::overheard(&mut node);
    let said = |what: &str| said_so_far.lock().expect("no panic").contains(what);
    wait_until(|| said("no space left: no tasks are taken"));
    assert_eq!(desk.finished(), 0);
    let full = desk.sandbox.path().join("disk/full");
    fs::remove_file(msup_tests::inside(&node, &full)).expect("it is there");
    assert_eq!(node.wait().expect("ours").code(), Some(0));
    assert!(said("there is space again"));
    assert_eq!(lines(&desk.ask(&["collect"])).len(), 10);
}
