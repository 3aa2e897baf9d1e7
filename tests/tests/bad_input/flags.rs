//! Flags that are unknown, make no sense or contradict each other.

use super::{assert_names, refused};

#[test]
fn zero_processes_are_refused() {
    assert_names(&refused(&["--procs", "0", "echo"]), &["procs", "0"]);
}

#[test]
fn a_number_of_processes_that_is_none_is_named() {
    assert_names(&refused(&["--procs", "abc", "echo"]), &["procs", "abc"]);
}

#[test]
fn fewer_workers_than_tokens_are_refused() {
    let line = refused(&["--procs", "4", "--max-workers", "2", "echo"]);
    assert_names(&line, &["max-workers", "procs"]);
}

#[test]
fn an_unknown_flag_is_named() {
    assert_names(&refused(&["--no-such-flag", "echo"]), &["--no-such-flag"]);
}

#[test]
fn an_unknown_short_flag_is_named() {
    assert_names(&refused(&["-Z", "echo"]), &["-Z"]);
}

#[test]
fn lists_that_cannot_be_combined_are_named() {
    let cases: [(&[&str], &[&str]); 5] = [
        (&["echo", ":::", "a", ":::"], &["list 2", "empty"]),
        (&["echo", "::::"], &["'::::'", "file"]),
        (&["echo", "::::", "-", "-"], &["standard input"]),
        (&["echo", "::::", "/nowhere/list"], &[":::: /nowhere/list"]),
        (
            &["--worker-stdio", "cat", ":::", "a", ":::", "b"],
            &["--worker-stdio", "one value per task"],
        ),
    ];
    for (arguments, names) in cases {
        assert_names(&refused(arguments), names);
    }
}

#[test]
fn flags_that_make_no_sense_are_named() {
    let cases: [(&[&str], &[&str]); 15] = [
        (&["--order", "random", "--from", "/dev/null", "true"], &["--order random", "longest"]),
        (&["--order", "longest", "true", ":::", "a"], &["--from"]),
        (&["--order", "longest", "--from", "/nowhere/log", "true"], &["--from /nowhere/log"]),
        (&["--memory", "much", "true", ":::", "a"], &["--memory much", "512M"]),
        (&["--memory", "0", "true", ":::", "a"], &["--memory 0", "at least 1M"]),
        (&["--mem-per-task", "3", "true", ":::", "a"], &["--mem-per-task 3", "at least 1M"]),
        (&["--memory", "1G", "--worker", "true", ":::", "a"], &["--memory", "--worker"]),
        (&["--at-cap", "run", "true", ":::", "a"], &["--at-cap run", "wait or fail"]),
        (&[" ", ":::", "a"], &["the command is empty"]),
        (&["--procs", "many", "true", ":::", "a"], &["--procs many"]),
        (&["-j", "none", "true", ":::", "a"], &["--jobs none", "N%"]),
        (&["-j", "2", "--procs", "2", "true", ":::", "a"], &["--jobs", "--procs"]),
        (&["--max-workers", "99999999", "true", ":::", "a"], &["--max-workers", "limit on"]),
        (&["--schedtrace", "0", "true", ":::", "a"], &["--schedtrace 0"]),
        (&["--idle-timeout=-1", "true", ":::", "a"], &["--idle-timeout -1"]),
    ];
    for (arguments, parts) in cases {
        assert_names(&refused(arguments), parts);
    }
}
