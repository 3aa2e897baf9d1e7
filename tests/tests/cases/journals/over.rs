//! Which runs are over, which still run, and what is said of them.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Output;

use msup_tests::{Sandbox, kill, overheard, records, run, spawn_piped, wait_until};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::text;

fn msup(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    run(&mut sandbox.msup(arguments))
}

/// What it says, and its exit status.
fn said(sandbox: &Sandbox, arguments: &[&str]) -> (String, Option<i32>) {
    let output = msup(sandbox, arguments);
    (text(&output.stderr), output.status.code())
}

/// The only run, as `msup log` shows it.
fn logged(sandbox: &Sandbox) -> Value {
    serde_json::from_slice(&msup(sandbox, &["log", "--json"]).stdout).expect("one run")
}

#[test]
fn a_run_whose_halt_condition_was_met_is_over() {
    let sandbox = Sandbox::new();
    // By the end of each task it is known that the list has no more.
    let task = "echo {} >>log; sleep 0.2";
    let halting = ["-j1", "--halt", "now,success=1", task, ":::", "a", "b", "c"];
    let (words, status) = said(&sandbox, &halting);
    assert_eq!((status, &logged(&sandbox)["state"]), (Some(0), &"stopped".into()), "{words}");
    let id = logged(&sandbox)["run"].as_str().expect("text").to_owned();
    assert!(words.contains(&format!("; the others: msup resume {id}\n")), "{words}");
    let (words, status) = said(&sandbox, &["resume"]);
    assert!(status == Some(255) && words.contains("nothing to resume"), "{words}");
    assert!(words.contains("was halted") && words.contains(&id), "{words}");
    // Named it is resumed, and halts again.
    assert_eq!(said(&sandbox, &["resume", &id]).1, Some(0));
    assert_eq!(logged(&sandbox)["state"], "stopped");
    let (words, status) = said(&sandbox, &["resume", &id]);
    assert_eq!((status, &logged(&sandbox)["state"]), (Some(0), &"finished".into()), "{words}");
    assert!(!words.contains("msup resume"), "nothing is left: {words}");
    let log = fs::read_to_string(sandbox.path().join("log")).expect("written");
    assert_eq!(log, "a\nb\nc\n");
}

#[test]
fn a_run_that_halts_with_its_last_task_is_finished() {
    for how in ["soon,fail=1", "now,fail=1", "now,fail=100%", "soon,done=1"] {
        let sandbox = Sandbox::new();
        let (words, _) = said(&sandbox, &["--halt", how, "exit 1; : {}", ":::", "a"]);
        assert_eq!(logged(&sandbox)["state"], "finished", "{how}: {words}");
        let (words, status) = said(&sandbox, &["resume"]);
        assert!(status == Some(255) && words.contains("finished"), "{how}: {words}");
    }
}

/// Nothing is left of it to resume.
#[test]
fn a_run_that_a_signal_finds_in_its_last_tasks_is_finished() {
    let sandbox = Sandbox::new();
    let task = ": >began-{}; while [ ! -e go ]; do sleep 0.01; done";
    let mut child =
        spawn_piped(&mut sandbox.msup(["--journal", "j", "-j2", task, ":::", "a", "b"]));
    let heard = overheard(&mut child);
    let is_there = |name: &str| sandbox.path().join(name).exists();
    let journal = sandbox.path().join("j/journal.jsonl");
    wait_until(|| {
        is_there("began-a") && is_there("began-b") && records(&journal, "inputs-end") == 1
    });
    kill(child.id() as i32, Signal::SIGINT);
    wait_until(|| heard.lock().expect("no panic").contains("stopping when"));
    sandbox.file("go", b"");
    assert_eq!(child.wait().expect("ours").signal(), Some(Signal::SIGINT as i32));
    let (words, status) = said(&sandbox, &["resume", "./j"]);
    assert_eq!(
        (status, words.as_str()),
        (Some(0), "msup: ./j: this run is finished: 2 succeeded\n")
    );
}

#[test]
fn a_halted_run_stays_halted_when_its_failures_are_retried() {
    let sandbox = Sandbox::new();
    let halting = ["-j1", "--halt", "now,fail=1", ": {}; [ -e ok ]", ":::", "a", "b"];
    assert_eq!(said(&sandbox, &halting).1, Some(1));
    sandbox.file("ok", b"");
    let (words, status) = said(&sandbox, &["retry"]);
    assert_eq!((status, &logged(&sandbox)["state"]), (Some(0), &"stopped".into()), "{words}");
    assert_eq!(said(&sandbox, &["resume"]).1, Some(255));
}

#[test]
fn a_halted_run_leaves_older_unfinished_ones_to_resume() {
    let sandbox = Sandbox::new();
    let kills = "[ -e once ] || { : >once; kill -9 $(cut -d' ' -f4 /proc/$PPID/stat); sleep 9; }";
    said(&sandbox, &["-j1", &format!("{kills}; echo {{}} >>log"), ":::", "a"]);
    let halting = ["-j1", "--halt", "now,success=1", "true {}", ":::", "x", "y"];
    assert_eq!(said(&sandbox, &halting).1, Some(0));
    let (words, status) = said(&sandbox, &["resume"]);
    assert!(status == Some(0) && sandbox.path().join("log").exists(), "{words}");
}

#[test]
fn retry_says_that_a_run_is_still_running() {
    let sandbox = Sandbox::new();
    let task = "echo {} >>began; until [ -e go ]; do sleep 0.01; done";
    let running = spawn_piped(&mut sandbox.msup(["-j1", task, ":::", "a"]));
    wait_until(|| sandbox.path().join("began").exists());
    for flags in [&["retry"][..], &["retry", "--failed"], &["retry", "--quarantined"]] {
        let (words, status) = said(&sandbox, flags);
        assert!(status == Some(255) && words.contains("still running"), "{flags:?}: {words}");
        assert!(!words.contains("finished"), "{flags:?}: {words}");
    }
    sandbox.file("go", b"");
    assert!(running.wait_with_output().expect("it was started").status.success());
}

#[test]
fn a_run_that_is_retried_is_still_running_for_a_second_retry() {
    let sandbox = Sandbox::new();
    let task = "echo {} >>began; [ -e again ] || exit 1; until [ -e go ]; do sleep 0.01; done";
    assert_eq!(said(&sandbox, &["-j1", task, ":::", "a"]).1, Some(1));
    sandbox.file("again", b"");
    fs::remove_file(sandbox.path().join("began")).expect("it has run");
    let running = spawn_piped(&mut sandbox.msup(["retry"]));
    wait_until(|| sandbox.path().join("began").exists());
    for flags in [&["retry"][..], &["retry", "--quarantined"]] {
        let (words, status) = said(&sandbox, flags);
        assert!(status == Some(255) && words.contains("still running"), "{flags:?}: {words}");
    }
    sandbox.file("go", b"");
    assert!(running.wait_with_output().expect("it was started").status.success());
}

#[test]
fn a_folder_of_runs_that_cannot_be_read_is_not_taken_for_an_empty_one() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path().join("state")).expect("writable");
    // For root every folder is readable.
    let place = sandbox.file("state/msup", b"no folder");
    for arguments in [&["log"][..], &["log", "last"], &["resume"], &["retry"], &["clean"]] {
        let (words, status) = said(&sandbox, arguments);
        assert_eq!(status, Some(255), "{arguments:?}: {words}");
        let line = format!("{}: Not a directory", place.display());
        assert!(words.contains(&line), "{arguments:?}: {words}");
    }
}

#[test]
fn resume_names_the_command_and_what_is_left_of_the_run() {
    let sandbox = Sandbox::new();
    let script = "[ -e once ] || [ $1 != b ] || { : >once; \
                  until grep -q '\"end\"' state/msup/*/journal.jsonl; do sleep 0.01; done; \
                  kill -9 $(cut -d' ' -f4 /proc/$PPID/stat); sleep 9; }; : $1 \u{1b}[2J";
    let values = ["-j1", "-k", "--", "sh", "-c", script, "sh", "{}", ":::", "a", "b", "c"];
    said(&sandbox, &values);
    let id = logged(&sandbox)["run"].as_str().expect("text").to_owned();
    let (words, status) = said(&sandbox, &["resume"]);
    let first = words.lines().next().unwrap_or_default();
    let place = sandbox.path().canonicalize().expect("it is there");
    let begins = format!("msup: resuming run {id} of {}: sh -c ", place.display());
    assert!(status == Some(0) && first.starts_with(&begins), "{words}");
    assert!(first.ends_with(" sh {} (2 of 3 tasks left)"), "the values are not listed: {words}");
    assert!(!words.contains('\u{1b}'), "{words}");
}
