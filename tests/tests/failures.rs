//! What happens to tasks that fail, take too long, or are given up.

use std::fs;
use std::time::Instant;

use msup_tests::{Sandbox, program, run, summary};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_task_that_fails_is_tried_again() {
    let sandbox = Sandbox::new();
    let script = "echo $MSUP_ATTEMPT >>log-$1; test $(wc -l <log-$1) -ge 3";
    let flags = ["-j2", "--retries", "3", "--backoff", "1ms..20ms", "--summary", "s.json"];
    let command = ["--", "sh", "-c", script, "sh", ":::", "a", "b"];
    let output = run(&mut sandbox.msup(flags.iter().chain(&command)));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(fs::read_to_string(sandbox.path().join("log-a")).expect("it ran"), "1\n2\n3\n");
    assert_eq!(summary(&sandbox.path().join("s.json"))["tasks"]["attempts"], 6);
    let journal = run(&mut sandbox.msup(["log", "last", "--json"]));
    assert_eq!(
        text(&journal.stdout)
            .matches("\"attempt\":3,\"attempts\":3,\"state\":\"succeeded\"")
            .count(),
        2
    );
}

#[test]
fn a_waiting_retry_holds_no_worker() {
    let sandbox = Sandbox::new();
    // The one that fails waits for long; the others need the only worker there is.
    let script =
        "if [ $1 = bad ]; then echo x >>tries; [ $(wc -l <tries) -ge 2 ]; else echo $1 >>log; fi";
    let flags = ["-j1", "--retries", "2", "--backoff", "1s..1s", "--", "sh", "-c", script, "sh"];
    let began = Instant::now();
    let output = run(&mut sandbox.msup(flags.iter().chain(&[":::", "bad", "1", "2", "3"])));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let others = fs::metadata(sandbox.path().join("log")).and_then(|meta| meta.modified());
    let tries = fs::metadata(sandbox.path().join("tries")).and_then(|meta| meta.modified());
    assert!(others.expect("written") <= tries.expect("written"), "{:?}", began.elapsed());
}

#[test]
fn a_command_that_times_out_is_killed_with_its_process_tree() {
    let sandbox = Sandbox::new();
    let script = "setsid sleep 1000 & echo started; sleep 1000";
    let flags =
        ["-j1", "--timeout", "300ms", "--grace", "100ms", "--", "sh", "-c", script, ":::", "x"];
    let output = run(&mut sandbox.msup(flags));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"started\n", "what it wrote is shown");
    assert!(text(&output.stderr).contains("task 1 failed: timeout"), "{}", text(&output.stderr));
}

#[test]
fn a_command_that_times_out_may_clean_up_before_it_is_killed() {
    let sandbox = Sandbox::new();
    let polite = "trap 'echo tidy; exit 0' TERM; while :; do sleep 0.01; done";
    let flags = ["-j1", "--timeout", "200ms", "--", "sh", "-c", polite, ":::", "x"];
    let output = run(&mut sandbox.msup(flags));
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b"tidy\n"[..]));
    let deaf = "trap '' TERM; echo deaf; while :; do sleep 0.01; done";
    let flags =
        ["-j1", "--timeout", "200ms", "--grace", "200ms", "--", "sh", "-c", deaf, ":::", "x"];
    let output = run(&mut sandbox.msup(flags));
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b"deaf\n"[..]));
    // One that has closed its output, and one that is stopped.
    let closed = "exec >/dev/null 2>&1; sleep 1000";
    let flags = ["-j1", "--timeout", "200ms", "--", "sh", "-c", closed, ":::", "x"];
    assert_eq!(run(&mut sandbox.msup(flags)).status.code(), Some(1));
    let stopped = "kill -STOP $$";
    let flags = ["-j1", "--timeout", "200ms", "--", "sh", "-c", stopped, ":::", "x"];
    assert_eq!(run(&mut sandbox.msup(flags)).status.code(), Some(1));
}

#[test]
fn a_command_that_takes_many_times_as_long_as_others_times_out() {
    let sandbox = Sandbox::new();
    let flags = [
        "-j2",
        "--timeout",
        "1000%",
        "--",
        "sleep",
        ":::",
        "0.1",
        "1000",
        "0.1",
        "0.1",
        "0.1",
        "0.1",
    ];
    let output = run(&mut sandbox.msup(flags));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("task 2 failed: timeout"), "{}", text(&output.stderr));
}

/// Whether it sleeps or computes; others get on meanwhile, and after it.
#[test]
fn a_task_loop_that_takes_too_long_times_out() {
    let sandbox = Sandbox::new();
    let flags = ["--procs", "2", "--timeout", "300ms", "--summary", "s.json", "--worker"];
    let mut msup = sandbox.msup(flags);
    msup.arg(program("crashes")).args([":::", "1", "hang", "2", "spin", "spin", "3", "4"]);
    let output = run(&mut msup);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert_eq!(said.matches("timeout").count(), 3, "{said}");
    let figures = summary(&sandbox.path().join("s.json"));
    let tasks = &figures["tasks"];
    assert_eq!(
        (&tasks["succeeded"], &tasks["failed"], &tasks["attempts"]),
        (&4.into(), &3.into(), &7.into())
    );
    let (lost, idle) = (&figures["workers"]["lost"], &figures["tokens"]["idle_at_end"]);
    assert_eq!((lost, idle), (&0.into(), &2.into()));
}

#[test]
fn a_run_halts_when_its_condition_is_met() {
    let sandbox = Sandbox::new();
    let script = "echo $1 >>log; if [ $1 = bad ]; then exit 7; fi; sleep 0.2";
    let halted = |halt: &str, values: &[&str]| {
        let _ = fs::remove_file(sandbox.path().join("log"));
        let flags = ["-j1", "--halt", halt, "--", "sh", "-c", script, "sh", ":::"];
        let output = run(&mut sandbox.msup(flags.iter().chain(values)));
        let ran = fs::read_to_string(sandbox.path().join("log")).expect("something ran");
        (output.status.code(), ran.lines().count(), text(&output.stderr))
    };
    let (status, ran, said) = halted("now,fail=1", &["1", "bad", "3", "4"]);
    assert_eq!((status, ran), (Some(7), 2), "{said}");
    assert!(said.contains("--halt: stopping after 1 failure"), "{said}");
    let (status, ran, _) = halted("soon,fail=2", &["1", "bad", "bad", "4"]);
    assert_eq!((status, ran), (Some(2), 3));
    let (status, ran, _) = halted("now,success=1", &["1", "2", "3"]);
    assert_eq!((status, ran), (Some(0), 1));
    let (status, ran, _) = halted("never", &["bad", "2", "3"]);
    assert_eq!((status, ran), (Some(1), 3));
    // What was given up can be taken up again.
    let (_, ran, _) = halted("soon,done=2", &["1", "2", "3", "4"]);
    assert_eq!(ran, 2);
}

#[test]
fn impossible_flags_are_refused() {
    let sandbox = Sandbox::new();
    for (flags, says) in [
        (["--retries", "0"], "--retries 0: must be at least 1"),
        (["--crash-limit", "0"], "--crash-limit 0: must be at least 1"),
        (["--backoff", "1s"], "--backoff 1s: must be two times"),
        (["--timeout", "fast"], "--timeout fast: must be a time"),
        (["--grace", "x"], "--grace x: must be a time"),
        (["--halt", "later"], "--halt later: must be never, or such as"),
        (["--durability", "much"], "--durability much: must be process, batch or task"),
    ] {
        let output = run(&mut sandbox.msup(flags.iter().chain(&["--", "true", ":::", "x"])));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(255), "{said}");
        assert!(said.contains(says) && said.lines().count() == 1, "{said}");
    }
}
