//! Journals and joblogs that cannot be written, or are taken away.

use std::fs;

use msup_tests::{Sandbox, kill, run, spawn_piped, wait_until};
use nix::sys::signal::Signal;

use super::{lines, resume, text, told};

#[test]
fn a_journal_that_was_removed_during_the_run_is_missed_at_the_end() {
    for flags in [&["--journal", "j"][..], &[]] {
        let sandbox = Sandbox::new();
        let script = "rm -rf j state/msup/*/; echo $1 >>log";
        let mut msup = sandbox.msup(flags);
        let output = run(msup.args(["-j1", "--", "sh", "-c", script, "sh", ":::", "1", "2", "3"]));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(102), "{said}");
        assert!(said.contains("the journal was removed while the run went on"), "{said}");
        assert_eq!(lines(&sandbox.path().join("log")).len(), 3);
    }
}

#[test]
fn a_retry_of_an_unfinished_run_says_so_and_leaves_it_unfinished() {
    let sandbox = Sandbox::new();
    let script = "echo $1 >>log; case $1 in a) test -e good;; b) test -e good || sleep 1000;; esac";
    let task = ["--", "sh", "-c", script, "sh", ":::", "a", "b", "c"];
    let child = spawn_piped(sandbox.msup(["-j1", "--journal", "j"]).args(task));
    let log = sandbox.path().join("log");
    wait_until(|| lines(&log) == ["a", "b"] && told(&sandbox, "end").len() == 1);
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait_with_output().expect("it was started");
    let none = run(&mut sandbox.msup(["retry", "--quarantined", "./j"]));
    let said = text(&none.stderr);
    assert_eq!(none.status.code(), Some(255), "{said}");
    assert!(said.contains("this run is not finished"), "{said}");
    sandbox.file("good", b"");
    let failed = run(&mut sandbox.msup(["retry", "--failed", "./j"]));
    let said = text(&failed.stderr);
    assert!(failed.status.success() && said.contains("this run is not finished"), "{said}");
    assert_eq!(lines(&log), ["a", "b", "a"]);
    // What was left is still run.
    assert!(resume(&sandbox, &[]).status.success());
    assert_eq!(lines(&log), ["a", "b", "a", "c", "b"]);
}

#[test]
fn a_run_does_not_stop_for_its_joblog() {
    let sandbox = Sandbox::new();
    let flags = ["--no-journal", "-j1", "--joblog", "/dev/full", "--", "sh", "-c", "echo $1 >>log"];
    let output = run(sandbox.msup(flags).args(["sh", ":::", "1", "2", "3"]));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(102), "{said}");
    assert!(said.contains("--joblog /dev/full: no space left: the run goes on"), "{said}");
    assert!(said.contains("--joblog /dev/full: it is not complete"), "{said}");
    assert!(said.contains("3 of 3 tasks succeeded"), "{said}");
    assert_eq!(lines(&sandbox.path().join("log")), ["1", "2", "3"]);
}

/// msup with a limit of 8 KiB or less on the size of files.
fn limited(sandbox: &Sandbox, words: &str) -> std::process::Output {
    let msup = msup_tests::program("msup").display().to_string();
    let script = format!("ulimit -f 8; exec {msup} {words}");
    run(sandbox.command("sh").args(["-c", &script]))
}

#[test]
fn a_journal_beyond_the_limit_on_file_sizes_is_an_error_and_the_tasks_are_told() {
    let sandbox = Sandbox::new();
    let output = limited(&sandbox, "-j1 --journal j -- true ::: $(seq 200)");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(102), "{said}");
    assert!(said.contains("j/journal.jsonl: File too large"), "{said}");
    assert!(said.contains("of 200 tasks succeeded") || said.contains("tasks succeeded"), "{said}");
    assert!(resume(&sandbox, &[]).status.success());
}

#[test]
fn other_files_beyond_the_limit_on_file_sizes_are_errors_too() {
    let sandbox = Sandbox::new();
    // The joblog: the run goes on.
    let joblog = limited(&sandbox, "--no-journal -j1 --joblog jobs -- true ::: $(seq 300)");
    let said = text(&joblog.stderr);
    assert_eq!(joblog.status.code(), Some(102), "{said}");
    assert!(said.contains("--joblog jobs: File too large"), "{said}");
    assert!(said.contains("300 of 300 tasks succeeded"), "{said}");
    // An output that is kept in a file: its task fails.
    let output = limited(&sandbox, "--no-journal -j1 -- head -c 1000000 ::: /dev/zero");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    // Standard output.
    let stdout = limited(&sandbox, "--no-journal -j1 -- printf %0300d ::: $(seq 100) >out");
    let said = text(&stdout.stderr);
    assert_eq!(stdout.status.code(), Some(255), "{said}");
    assert!(said.contains("File too large"), "{said}");
    // Commands are killed by the signal, as they would be without msup.
    let script = "sh -c 'head -c 100000 /dev/zero >big; echo $?' ::: x";
    let command = limited(&sandbox, &format!("--no-journal -j1 -- {script}"));
    assert_eq!(text(&command.stdout), format!("{}\n", 128 + 25), "{}", text(&command.stderr));
    assert!(fs::metadata(sandbox.path().join("big")).expect("it was begun").len() <= 8192);
}
