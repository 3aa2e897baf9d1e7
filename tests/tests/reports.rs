//! What msup tells of a run: the trace, the summary, the closing report.

use std::io::{BufRead, BufReader};

use msup_tests::{Sandbox, kill, program, run, spawn_piped, summary, trace, wait_until};
use nix::sys::signal::Signal;

#[test]
fn the_trace_accounts_for_every_token() {
    let sandbox = Sandbox::new();
    let flags = ["--procs", "2", "--schedtrace", "5", "--summary", "s.json", "--worker"];
    let mut msup = sandbox.msup(flags);
    msup.arg(program("computes_and_waits")).args(["2", "10", ":::"]);
    let output = run(msup.args((0..100).map(|n| n.to_string())));
    let text = String::from_utf8(output.stderr).expect("text");
    let lines = trace::lines(&text);
    assert!(lines.len() >= 5, "{text}");
    for line in &lines {
        // Words are read one after the other: one that moves during the look may be seen twice or
        // not at all in a state, but never in none.
        let states = ["idle", "running", "blocked", "granted"];
        let sum: u64 = states.iter().map(|state| line[*state]).sum();
        assert_eq!(line["tokens"], sum, "{line:?}");
        assert_eq!((line["rescues"], line["lost"]), (0, 0));
    }
    assert!(lines.iter().any(|line| line["blocked"] + line["idle"] > 0));
    assert!(lines.windows(2).all(|pair| pair[0]["retakes"] <= pair[1]["retakes"]));
    let summary = summary(&sandbox.path().join("s.json"));
    assert_tokens(2, &lines, &summary);
    let last = lines.last().expect("some");
    assert!(summary["tokens"]["retakes"].as_u64() >= Some(last["retakes"]));
    let exits = ["fast_exits", "slow_exits"].map(|name| summary["tokens"][name].as_u64());
    assert_eq!(exits[0].zip(exits[1]).map(|(fast, slow)| fast + slow), Some(100));
}

/// There are as many tokens as asked for. For a holder that is stuck, which the kernel's work can
/// make of any process on a busy machine, another one is lent.
fn assert_tokens(procs: u64, lines: &[trace::Line], summary: &serde_json::Value) {
    let lent = summary["tokens"]["lent"].as_u64().expect("a number");
    for line in lines {
        assert!((procs..=procs + lent).contains(&line["tokens"]), "{lent} lent: {line:?}");
    }
}

/// What is documented of every line, and of the sums at the end, while all that can happen to a
/// task happens: success, failure, quarantine, retries, killed workers.
#[test]
fn the_figures_add_up_whatever_happens() {
    let sandbox = Sandbox::new();
    let flags = ["--procs", "2", "--schedtrace", "1", "--summary", "s.json", "--worker"];
    let mut msup = sandbox.msup(flags);
    msup.arg(program("crashes")).args([":::", "abort", "panic", "exit"]);
    let output = run(msup.args((0..200).map(|n| n.to_string())));
    let text = String::from_utf8(output.stderr).expect("text");
    let lines = trace::lines(&text);
    for line in &lines {
        let states = ["idle", "running", "blocked", "granted"];
        let sum: u64 = states.iter().map(|state| line[*state]).sum();
        assert_eq!(line["tokens"], sum, "{line:?}");
        assert!(line["parked"] <= line["workers"], "{line:?}");
        assert!(line["waiting"] <= line["workers"], "{line:?}");
    }
    for pair in lines.windows(2) {
        for counter in ["at_ms", "retakes", "steals", "rescues", "lost"] {
            assert!(pair[0][counter] <= pair[1][counter], "{counter} went down: {pair:?}");
        }
    }
    let summary = summary(&sandbox.path().join("s.json"));
    assert_tokens(2, &lines, &summary);
    let number = |part: &str, name: &str| summary[part][name].as_u64().expect("a number");
    let last = lines.last().expect("some");
    for counter in ["retakes", "steals", "rescues"] {
        assert!(number("tokens", counter) >= last[counter], "{counter}: {summary} {last:?}");
    }
    assert!(number("workers", "lost") >= last["lost"], "{summary} {last:?}");
    let ended = ["succeeded", "failed", "quarantined", "cancelled", "skipped"];
    let ended: Vec<u64> = ended.iter().map(|end| number("tasks", end)).collect();
    assert_eq!(ended, [200, 0, 3, 0, 0]);
    assert_eq!(ended.iter().sum::<u64>(), number("tasks", "total"));
    assert_eq!(number("tasks", "attempts"), 200 + 3 * 3, "each of three was tried three times");
    assert!(number("workers", "spawned") >= number("workers", "peak"));
    assert!(number("workers", "peak") <= summary["max_workers"].as_u64().expect("a number"));
    // Each attempt of those three costs a worker. One that panicked says so first, and may have
    // been told to leave meanwhile: then it is not lost.
    assert!((2 * 3..=3 * 3).contains(&number("workers", "lost")), "{summary}");
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn the_summary_has_the_documented_fields() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--procs", "2", "--max-workers", "7", "--summary", "s.json"]);
    let output = run(msup.args(["--", "sh", "-c", "exit $1", "sh", "{}", ":::", "0", "3", "0"]));
    assert_eq!(output.status.code(), Some(1));
    let summary = summary(&sandbox.path().join("s.json"));
    let keys = |value: &serde_json::Value| {
        let mut keys: Vec<String> = value.as_object().expect("an object").keys().cloned().collect();
        keys.sort();
        keys.join(" ")
    };
    assert_eq!(
        keys(&summary),
        "blocked_seconds cpu_seconds debt_seconds exit_status in_flight max_workers procs run_id \
         sampling_seconds schema tasks tokens wall_seconds workers"
    );
    assert_eq!(
        keys(&summary["tasks"]),
        "attempts cancelled failed quarantined skipped succeeded total"
    );
    assert_eq!(keys(&summary["workers"]), "lost peak reaped_idle spawned stalls");
    assert_eq!(keys(&summary["in_flight"]), "mean peak");
    assert_eq!(
        keys(&summary["tokens"]),
        "epochs fast_exits handoffs held_peak idle_at_end lent pins reclaims rescues retakes \
         slow_exits steals wait_seconds"
    );
    assert_eq!((&summary["procs"], &summary["max_workers"]), (&2.into(), &7.into()));
    assert_eq!((&summary["schema"], &summary["exit_status"]), (&1.into(), &1.into()));
    let tasks = &summary["tasks"];
    assert_eq!(
        (&tasks["total"], &tasks["succeeded"], &tasks["failed"]),
        (&3.into(), &2.into(), &1.into())
    );
}

#[test]
fn quiet_is_quiet() {
    let sandbox = Sandbox::new();
    let output = run(&mut sandbox.msup(["-q", "echo", ":::", "x"]));
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"x\n"[..], &b""[..]));
}

#[test]
fn a_summary_that_cannot_be_written_is_an_error() {
    let sandbox = Sandbox::new();
    let output = run(&mut sandbox.msup(["-q", "--summary", "none/s.json", "true", ":::", "x"]));
    assert_eq!(output.status.code(), Some(255));
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(said.starts_with("msup: --summary none/s.json: "), "{said}");
}

/// All workers wait, no more may be started, and a CPU has nothing to do: msup reports it, counts
/// it, and stops the run if the user asked for that.
#[test]
fn a_stall_at_the_cap_is_reported() {
    let sandbox = Sandbox::new();
    let flags = ["--procs", "1", "--max-workers", "1", "--at-cap", "fail", "--summary", "s.json"];
    let mut msup = sandbox.msup(flags);
    msup.arg("--worker").arg(program("computes_and_waits")).args(["0", "600000", ":::", "a", "b"]);
    let output = run(&mut msup);
    assert_eq!(output.status.code(), Some(255));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("all 1 workers are in blocking calls") && said.contains("--max-workers"));
    assert_eq!(summary(&sandbox.path().join("s.json"))["workers"]["stalls"], 1);
}

/// The user asks what runs.
#[test]
fn a_signal_asks_what_is_under_way() {
    let sandbox = Sandbox::new();
    let script = "sleep 0.1; : >began.$1; while [ ! -e go ]; do sleep 0.01; done";
    let mut msup =
        sandbox.msup(["-q", "-j2", "--", "sh", "-c", script, "sh", ":::", "a", "b", "c"]);
    let mut child = spawn_piped(&mut msup);
    wait_until(|| ["a", "b"].iter().all(|n| sandbox.path().join(format!("began.{n}")).exists()));
    kill(child.id() as i32, Signal::SIGUSR1);
    let mut said = BufReader::new(child.stderr.take().expect("piped"));
    let mut told = String::new();
    for _ in 0..3 {
        said.read_line(&mut told).expect("text");
    }
    sandbox.file("go", b"");
    assert!(child.wait().expect("ours").success(), "it goes on");
    assert!(told.starts_with("msup: 2 tasks running, 0 finished (0 succeeded)\n"), "{told}");
    assert!(told.contains("  task 1, process ") && told.contains(": a\n"), "the value, {told}");
    assert!(!told.contains("MSUP_V"), "and no internals: {told}");
}
