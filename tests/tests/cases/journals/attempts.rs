//! Attempts are numbered as they were started, over retries, resumes and deaths.

use msup_tests::{Sandbox, run};

use super::{KILLS, lines, resume, resume_until_finished, told};

#[test]
fn a_task_that_never_started_is_attempt_1_after_a_resume() {
    let sandbox = Sandbox::new();
    let script =
        format!("echo $1 $MSUP_ATTEMPT >>log; if test $1 = a && mkdir once; then {KILLS}; fi");
    let output = run(&mut sandbox.msup([
        "-j1",
        "--journal",
        "j",
        "--",
        "sh",
        "-c",
        &script,
        "sh",
        ":::",
        "a",
        "b",
        "c",
    ]));
    assert_eq!(output.status.code(), None, "it was killed");
    assert!(resume(&sandbox, &[]).status.success());
    assert_eq!(lines(&sandbox.path().join("log")), ["a 1", "b 1", "c 1", "a 2"]);
    let attempts: Vec<_> = told(&sandbox, "end").iter().map(|end| end["attempt"].clone()).collect();
    assert_eq!(attempts, [1, 1, 2]);
}

#[test]
fn attempts_are_counted_truly_over_retries_deaths_and_msup_retry() {
    let sandbox = Sandbox::new();
    let script = format!(
        "echo $MSUP_ATTEMPT >>log; if test $(wc -l <log) = 2; then {KILLS}; fi; \
         test -e good || exit 3"
    );
    let flags = ["--retries", "3", "--backoff", "1ms..1ms", "--journal", "j"];
    let mut msup = sandbox.msup(flags);
    msup.args(["--", "sh", "-c", &script, "sh", ":::", "a"]);
    assert_eq!(run(&mut msup).status.code(), None, "it was killed");
    // One that failed, one that was cut off, and two that failed: failures before the death count.
    let (output, _) = resume_until_finished(&sandbox, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines(&sandbox.path().join("log")), ["1", "2", "3", "4"]);
    sandbox.file("good", b"");
    assert!(run(&mut sandbox.msup(["retry", "--failed", "./j"])).status.success());
    assert_eq!(lines(&sandbox.path().join("log")), ["1", "2", "3", "4", "5"]);
    let last = told(&sandbox, "end").pop().expect("it was run again");
    assert_eq!(last["attempt"], 5);
}

#[test]
fn equal_tasks_do_not_share_their_attempts() {
    let sandbox = Sandbox::new();
    let script = format!("echo $MSUP_SEQ $MSUP_ATTEMPT >>log; if mkdir once; then {KILLS}; fi");
    let mut msup = sandbox.msup(["-j1", "--journal", "j", "--", "sh", "-c", &script, "sh"]);
    assert_eq!(run(msup.args([":::", "x", "x", "x"])).status.code(), None, "it was killed");
    assert!(resume(&sandbox, &[]).status.success());
    assert_eq!(lines(&sandbox.path().join("log")), ["1 1", "2 1", "3 1", "1 2"]);
}

#[test]
fn crashes_before_a_resume_count() {
    let sandbox = Sandbox::new();
    let script =
        format!("echo x >>log; if test $(wc -l <log) = 3; then {KILLS}; fi; kill -SEGV $$");
    let mut msup = sandbox.msup(["--journal", "j", "--", "sh", "-c", &script, "sh", ":::", "a"]);
    assert_eq!(run(&mut msup).status.code(), None, "it was killed");
    assert_eq!(resume(&sandbox, &[]).status.code(), Some(1));
    // Two crashes, one that was cut off, and the third crash.
    assert_eq!(lines(&sandbox.path().join("log")).len(), 4);
    assert_eq!(told(&sandbox, "end")[0]["state"], "quarantined");
}

#[test]
fn exit_status_and_signal_are_numbers() {
    let sandbox = Sandbox::new();
    // SIGALRM: a command that SIGTERM kills was killed from outside.
    let script = "case $1 in 0|3) exit $1;; esac; kill -$1 $$";
    let flags = ["-j1", "--retries", "2", "--backoff", "1ms..1ms", "--journal", "j", "--"];
    run(sandbox.msup(flags).args(["sh", "-c", script, "sh", ":::", "0", "3", "14"]));
    let numbers = |event| {
        let told = told(&sandbox, event);
        let numbers = told.iter().map(|one| (one["exit"].as_u64(), one["signal"].as_u64()));
        numbers.collect::<Vec<_>>()
    };
    let mut ends = numbers("end");
    ends.sort_unstable();
    assert_eq!(ends, [(None, Some(14)), (Some(0), None), (Some(3), None)]);
    let mut again = numbers("again");
    again.sort_unstable();
    assert_eq!(again, [(None, Some(14)), (Some(3), None)]);
    let log = run(&mut sandbox.msup(["log", "--json", "./j"]));
    assert!(String::from_utf8_lossy(&log.stdout).contains("\"signal\":14"));
}
