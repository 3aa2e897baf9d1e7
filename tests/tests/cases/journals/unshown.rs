//! Outputs of tasks that have finished and could not be shown: the next start shows them.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use msup_tests::{Sandbox, kill, records, run, spawn_piped, wait_until};
use nix::sys::signal::Signal;

use super::{journal, lines, resume, text};

/// Each task counts its attempts and prints its value; the first one waits for a file.
const SCRIPT: &str = "echo {} >>ran; [ {} != 1 ] || until [ -e go ]; do sleep 0.01; done; \
                      echo out {}; echo err {} >&2";
const SCRIPT_WITH_FILE: &str = "echo {} >>ran; [ {} != 1 ] || until [ -e go ]; do sleep 0.01; \
                                done; echo out {}; echo err {} >&2; echo {} >{out}";
const ALL: &str = "out 1\nout 2\nout 3\nout 4\nout 5\nout 6\n";

fn begin(sandbox: &Sandbox, flags: &[&str], script: &str) -> Child {
    fs::create_dir_all(sandbox.path().join("files")).expect("writable");
    let mut msup = sandbox.msup(["-j2", "-k", "--journal", "j"]);
    msup.args(flags).args([script, ":::", "1", "2", "3", "4", "5", "6"]);
    msup.stdout(File::create(sandbox.path().join("shown")).expect("writable"));
    msup.stderr(Stdio::null()).spawn().expect("built")
}

/// Starts the run, and kills it when all tasks but the first have finished.
fn kill_before_the_first(sandbox: &Sandbox, flags: &[&str], script: &str) {
    let mut child = begin(sandbox, flags, script);
    wait_until(|| records(&journal(sandbox), "unshown") == 5 && ran(sandbox).len() == 6);
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait().expect("ours");
    sandbox.file("go", b"");
}

fn ran(sandbox: &Sandbox) -> Vec<String> {
    let mut ran = lines(&sandbox.path().join("ran"));
    ran.sort();
    ran
}

/// One more start shows everything that has not been shown, and runs the first task alone again.
fn shows_the_rest(sandbox: &Sandbox) {
    let output = resume(sandbox, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), ALL);
    for number in 1..=6 {
        let said = text(&output.stderr);
        assert_eq!(said.matches(&format!("err {number}\n")).count(), 1, "{said}");
    }
    assert_eq!(ran(sandbox), ["1", "1", "2", "3", "4", "5", "6"]);
    let again = resume(sandbox, &[]);
    assert_eq!((again.status.code(), text(&again.stdout).as_str()), (Some(0), ""), "once");
}

#[test]
fn tasks_that_waited_for_their_turn_do_not_run_again_after_a_kill() {
    let sandbox = Sandbox::new();
    kill_before_the_first(&sandbox, &[], SCRIPT);
    shows_the_rest(&sandbox);
}

#[test]
fn outputs_of_tasks_with_files_are_not_lost_by_a_kill() {
    let sandbox = Sandbox::new();
    kill_before_the_first(&sandbox, &["--out", "files/{}"], SCRIPT_WITH_FILE);
    shows_the_rest(&sandbox);
    for number in 1..=6 {
        let file = sandbox.path().join(format!("files/{number}"));
        assert_eq!(fs::read_to_string(file).expect("placed"), format!("{number}\n"));
    }
}

#[test]
fn a_run_that_is_killed_again_and_again_makes_progress() {
    let sandbox = Sandbox::new();
    kill_before_the_first(&sandbox, &[], SCRIPT);
    fs::remove_file(sandbox.path().join("go")).expect("there");
    for _ in 0..3 {
        let mut msup = sandbox.msup(["resume", "./j"]);
        let attempts = ran(&sandbox).len();
        let mut child = msup.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("built");
        wait_until(|| ran(&sandbox).len() == attempts + 1);
        kill(child.id() as i32, Signal::SIGKILL);
        child.wait().expect("ours");
    }
    sandbox.file("go", b"");
    let output = resume(&sandbox, &[]);
    assert_eq!(text(&output.stdout), ALL, "{}", text(&output.stderr));
    assert_eq!(ran(&sandbox).iter().filter(|value| *value != "1").count(), 5);
}

#[test]
fn what_the_reader_did_not_take_is_shown_by_the_next_start() {
    for (flags, script) in [(&[][..], SCRIPT), (&["--out", "files/{}"], SCRIPT_WITH_FILE)] {
        let sandbox = Sandbox::new();
        fs::create_dir(sandbox.path().join("files")).expect("writable");
        sandbox.file("go", b"");
        let mut msup = sandbox.msup(["-j1", "-k", "--journal", "j"]);
        let slowly = format!("[ {{}} = 1 ] || sleep 0.2; {script}");
        msup.args(flags).args([slowly.as_str(), ":::", "1", "2", "3", "4", "5", "6"]);
        let mut child = spawn_piped(&mut msup);
        let mut reader = BufReader::new(child.stdout.take().expect("piped"));
        let mut first = String::new();
        reader.read_line(&mut first).expect("readable");
        drop(reader);
        let output = child.wait_with_output().expect("ours");
        assert_eq!(output.status.code(), Some(141), "{}", text(&output.stderr));
        let said = text(&output.stderr);
        assert!(!said.contains("run again") && !said.contains("runs again"), "{said}");
        let rest = resume(&sandbox, &[]);
        assert_eq!(rest.status.code(), Some(0), "{}", text(&rest.stderr));
        assert_eq!(first + &text(&rest.stdout), ALL, "{said}");
        assert_eq!(ran(&sandbox), ["1", "2", "3", "4", "5", "6"]);
    }
}

#[test]
fn an_output_too_large_to_be_kept_is_made_again() {
    let sandbox = Sandbox::new();
    let script = "echo {} >>ran; [ {} != 1 ] || until [ -e go ]; do sleep 0.01; done; \
                  [ {} != 2 ] || seq 20000; echo out {}; echo {} >{out}";
    let mut child = begin(&sandbox, &["--out", "files/{}"], script);
    wait_until(|| records(&journal(&sandbox), "unshown") == 4);
    wait_until(|| sandbox.path().join("files/2").exists() && ran(&sandbox).len() == 6);
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait().expect("ours");
    sandbox.file("go", b"");
    let output = resume(&sandbox, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let mut shown = lines_of(&output.stdout);
    assert_eq!(shown.len(), 20_006);
    shown.retain(|line| line.starts_with("out"));
    assert_eq!(shown.join("\n") + "\n", ALL);
    assert_eq!(ran(&sandbox), ["1", "1", "2", "2", "3", "4", "5", "6"]);
}

fn lines_of(bytes: &[u8]) -> Vec<String> {
    text(bytes).lines().map(str::to_owned).collect()
}

#[test]
fn tasks_whose_kept_outputs_are_gone_run_again() {
    let sandbox = Sandbox::new();
    kill_before_the_first(&sandbox, &["--out", "files/{}"], SCRIPT_WITH_FILE);
    File::create(sandbox.path().join("j/outputs")).expect("ours");
    let output = resume(&sandbox, &[]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(text(&output.stdout), ALL);
    assert_eq!(ran(&sandbox).len(), 12);
    let line = "the outputs of 5 tasks were not shown and are damaged or gone";
    assert!(said.contains(line), "{said}");
}

#[test]
fn a_failed_task_whose_output_waits_has_failed_and_is_not_run_by_a_resume() {
    let sandbox = Sandbox::new();
    let script = format!("{SCRIPT}; [ {{}} != 3 ]");
    kill_before_the_first(&sandbox, &["--joblog", "joblog"], &script);
    let output = resume(&sandbox, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), ALL);
    assert_eq!(ran(&sandbox), ["1", "1", "2", "3", "4", "5", "6"]);
    let mut joblog = lines(&sandbox.path().join("joblog"));
    joblog.retain(|line| line.split('\t').nth(6) == Some("1"));
    assert_eq!(joblog.len(), 1, "{joblog:?}");
    assert!(joblog[0].starts_with("3\t"), "{joblog:?}");
    let retried = run(&mut sandbox.msup(["retry", "./j"]));
    assert_eq!(retried.status.code(), Some(1), "{}", text(&retried.stderr));
    assert_eq!(text(&retried.stdout), "out 3\n");
}

/// The retry of a task that had failed is killed when its output waits.
#[test]
fn a_retry_that_was_killed_shows_what_waited_and_does_not_run_it_again() {
    let sandbox = Sandbox::new();
    sandbox.file("go", b"");
    let script = "echo {} >>ran; [ {} != 1 ] || until [ -e go ]; do sleep 0.01; done; \
                  echo out {}; [ -e fine ]";
    assert_eq!(begin(&sandbox, &[], script).wait().expect("ours").code(), Some(6));
    fs::remove_file(sandbox.path().join("go")).expect("there");
    sandbox.file("fine", b"");
    let before = records(&journal(&sandbox), "unshown");
    let mut msup = sandbox.msup(["retry", "./j"]);
    let mut child = msup.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("built");
    wait_until(|| records(&journal(&sandbox), "unshown") == before + 5);
    wait_until(|| ran(&sandbox).len() == 12);
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait().expect("ours");
    sandbox.file("go", b"");
    let output = run(&mut sandbox.msup(["retry", "./j"]));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), ALL);
    assert_eq!(ran(&sandbox).len(), 13, "the first one alone runs once more");
}
