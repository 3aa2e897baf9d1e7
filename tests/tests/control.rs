//! `msup ctl`: a run that goes on is asked, paused and stopped; clients cannot hurt it.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use msup_tests::{Sandbox, TASKS_DO_NOT_KILL, kill, run, wait_until};
use nix::sys::signal::Signal;
use serde_json::Value;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A run of 40 tasks, two at once, that wait until `go` exists.
fn begin(sandbox: &Sandbox, flags: &[&str]) -> Child {
    let script = "echo {} >> ran; while [ ! -e go ]; do sleep 0.01; done";
    let values: Vec<String> = (1..=40).map(|n| n.to_string()).collect();
    let mut msup = sandbox.msup(["-q", "-j2"].iter().chain(flags));
    msup.args([script, ":::"]).args(values).stdout(Stdio::null()).stderr(Stdio::null());
    let child = msup.spawn().expect("msup is built");
    wait_until(|| ran(sandbox) == 2);
    child
}

/// How many tasks have begun.
fn ran(sandbox: &Sandbox) -> usize {
    std::fs::read_to_string(sandbox.path().join("ran")).unwrap_or_default().lines().count()
}

fn ctl(sandbox: &Sandbox, words: &[&str]) -> Output {
    run(&mut sandbox.msup(["ctl"].iter().chain(words)))
}

fn snapshot(sandbox: &Sandbox) -> Value {
    let output = ctl(sandbox, &["snapshot"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The control socket of a run in the folder `j`.
fn socket(sandbox: &Sandbox) -> PathBuf {
    sandbox.path().join("j/control")
}

fn go(sandbox: &Sandbox, mut msup: Child) {
    sandbox.file("go", b"");
    assert!(msup.wait().expect("ours").success());
    assert_eq!(ran(sandbox), 40);
}

#[test]
fn a_run_says_how_it_is_doing() {
    let sandbox = Sandbox::new();
    let msup = begin(&sandbox, &[]);
    let now = snapshot(&sandbox);
    assert_eq!(
        (&now["state"], &now["running"], &now["finished"]),
        (&"running".into(), &2.into(), &0.into())
    );
    assert_eq!((&now["total"], &now["all_read"]), (&40.into(), &true.into()));
    let tasks = now["tasks"].as_array().expect("a list");
    let mut named: Vec<_> = tasks.iter().map(|one| (&one["value"], &one["attempt"])).collect();
    named.sort_by_key(|(value, _)| value.as_str());
    assert_eq!(named, [(&"1".into(), &1.into()), (&"2".into(), &1.into())]);
    wait_until(|| snapshot(&sandbox)["tasks"][0]["seconds"].as_f64() > Some(0.2));
    go(&sandbox, msup);
    let output = ctl(&sandbox, &["snapshot"]);
    assert_eq!(output.status.code(), Some(255));
    assert!(text(&output.stderr).contains("no run goes on"), "{}", text(&output.stderr));
}

#[test]
fn a_paused_run_starts_nothing_and_goes_on_later() {
    let sandbox = Sandbox::new();
    let msup = begin(&sandbox, &[]);
    assert!(ctl(&sandbox, &["pause"]).status.success());
    sandbox.file("go", b"");
    wait_until(|| snapshot(&sandbox)["finished"] == 2);
    let now = snapshot(&sandbox);
    assert_eq!((&now["state"], &now["running"]), (&"paused".into(), &0.into()));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(ran(&sandbox), 2);
    assert!(ctl(&sandbox, &["continue"]).status.success());
    go(&sandbox, msup);
}

#[test]
fn a_drained_run_finishes_what_runs_and_is_resumed() {
    let sandbox = Sandbox::new();
    let mut msup = begin(&sandbox, &[]);
    assert!(ctl(&sandbox, &["drain"]).status.success());
    wait_until(|| snapshot(&sandbox)["state"] == "stopping");
    // A second signal would stop the running tasks, a second drain changes nothing.
    assert!(ctl(&sandbox, &["drain"]).status.success());
    assert_eq!(snapshot(&sandbox)["running"], 2);
    sandbox.file("go", b"");
    assert!(!msup.wait().expect("ours").success());
    assert_eq!(ran(&sandbox), 2);
    assert!(run(&mut sandbox.msup(["resume", "-q"])).status.success());
    assert_eq!(ran(&sandbox), 40);
}

#[test]
fn a_stream_ends_with_its_run() {
    let sandbox = Sandbox::new();
    let msup = begin(&sandbox, &[]);
    let mut stream = sandbox.msup(["ctl", "stream"]);
    let mut stream = stream.stdout(Stdio::piped()).spawn().expect("msup is built");
    let mut lines = BufReader::new(stream.stdout.take().expect("piped")).lines();
    for _ in 0..3 {
        let line = lines.next().expect("a line").expect("text");
        assert_eq!(serde_json::from_str::<Value>(&line).expect("JSON")["running"], 2);
    }
    go(&sandbox, msup);
    let last = lines.map_while(Result::ok).last().expect("more lines");
    let last: Value = serde_json::from_str(&last).expect("JSON");
    assert_eq!((&last["state"], &last["finished"]), (&"over".into(), &40.into()));
    assert!(stream.wait().expect("ours").success());
}

#[test]
fn clients_that_stall_send_garbage_or_leave_cost_nothing() {
    let sandbox = Sandbox::new();
    let msup = begin(&sandbox, &["--journal", "./j"]);
    let connect = || UnixStream::connect(socket(&sandbox)).expect("it listens");
    // 60 that follow the run and never read, and one that is killed.
    let stalled: Vec<UnixStream> = (0..60).map(|_| connect()).collect();
    for mut client in &stalled {
        client.write_all(b"{\"request\":\"stream\"}\n").expect("taken");
    }
    let mut killed = sandbox.msup(["ctl", "./j", "stream"]);
    let mut killed = killed.stdout(Stdio::null()).spawn().expect("msup is built");
    kill(killed.id() as i32, Signal::SIGKILL);
    killed.wait().expect("ours");
    let mut garbage = connect();
    garbage.write_all(b"GET / HTTP/1.1\r\n\xff\xfe\n{\"request\":\"fly\"}\n").expect("taken");
    let mut answers = BufReader::new(garbage.try_clone().expect("a descriptor")).lines();
    for _ in 0..3 {
        let line = answers.next().expect("an answer").expect("text");
        assert!(line.starts_with("{\"error\":\"no request: "), "{line}");
    }
    // A line without an end is not waited for.
    let mut endless = connect();
    while endless.write_all(&[b'x'; 4096]).is_ok() {}
    let output = ctl(&sandbox, &["./j", "snapshot"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    go(&sandbox, msup);
    let mut rest = Vec::new();
    for mut client in stalled {
        client.read_to_end(&mut rest).expect("it is closed when the run is over");
    }
}

/// As `nc -N` does.
#[test]
fn a_client_that_closes_its_side_gets_its_answer() {
    let sandbox = Sandbox::new();
    let msup = begin(&sandbox, &["--journal", "./j"]);
    let mut client = UnixStream::connect(socket(&sandbox)).expect("it listens");
    client.write_all(b"{\"request\":\"snapshot\"}\n{\"request\":\"pause\"}\n").expect("taken");
    client.shutdown(std::net::Shutdown::Write).expect("open");
    let mut answers = String::new();
    client.read_to_string(&mut answers).expect("it is closed then");
    assert_eq!(answers.lines().count(), 2, "{answers}");
    assert!(ctl(&sandbox, &["continue"]).status.success());
    go(&sandbox, msup);
}

#[test]
fn the_socket_is_this_users_alone_and_goes_with_the_run() {
    let sandbox = Sandbox::new();
    let mut msup = begin(&sandbox, &["--journal", "./j", TASKS_DO_NOT_KILL]);
    let mode = std::fs::metadata(socket(&sandbox)).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // What a killed run leaves is not in the way.
    kill(msup.id() as i32, Signal::SIGKILL);
    msup.wait().expect("ours");
    wait_until(|| sandbox.processes().is_empty());
    assert!(socket(&sandbox).exists());
    let output = ctl(&sandbox, &["./j", "pause"]);
    assert!(text(&output.stderr).contains("this run does not go on"), "{}", text(&output.stderr));
    sandbox.file("go", b"");
    assert!(run(&mut sandbox.msup(["resume", "-q", "./j"])).status.success());
    assert!(!socket(&sandbox).exists());
}

#[test]
fn what_is_no_verb_is_refused() {
    let sandbox = Sandbox::new();
    for words in [&["fly"][..], &["./j", "fly"]] {
        let output = ctl(&sandbox, words);
        assert_eq!(output.status.code(), Some(255));
        let said = text(&output.stderr);
        assert!(said.contains("must be snapshot, stream, pause, continue, drain, procs"), "{said}");
    }
    assert_eq!(ctl(&sandbox, &[]).status.code(), Some(255));
}

#[test]
fn a_number_that_is_missing_or_wrong_is_named() {
    let sandbox = Sandbox::new();
    for (words, expected) in [
        ("procs", "procs: a number is missing: msup ctl procs NUMBER"),
        ("./j kill", "kill: the number of a task is missing: msup ctl kill NUMBER"),
        ("retry x", "retry x: retry takes the number of a task"),
        ("max-workers -3", "max-workers -3: max-workers takes a number"),
        ("procs +1", "procs +1: procs takes a number"),
        ("kill 1 2", "kill 1 2: kill takes the number of a task"),
        ("pause 3", "pause 3: pause takes nothing behind it; RUN stands before it"),
    ] {
        let output = ctl(&sandbox, &words.split(' ').collect::<Vec<_>>());
        let expected = format!("msup: msup ctl {expected}\n");
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(255), expected));
    }
}

#[test]
fn words_of_other_programs_are_understood() {
    let said = text(&ctl(&Sandbox::new(), &["status"]).stderr);
    let expected =
        "msup: msup ctl: \"status\" is no verb (did you mean snapshot?): must be snapshot";
    assert!(said.starts_with(expected), "{said}");
}

#[test]
fn a_snapshot_of_long_values_is_short() {
    let sandbox = Sandbox::new();
    let mut msup =
        sandbox.msup(["-q", "-j60", "echo >> ran; while [ ! -e go ]; do sleep 0.1; done; : {}"]);
    let values = (0..60).map(|n| format!("{}{n}", "\x01".repeat(10_000)));
    let msup = msup.arg(":::").args(values).stdout(Stdio::null()).spawn();
    let mut msup = msup.expect("msup is built");
    wait_until(|| ran(&sandbox) == 60);
    let output = ctl(&sandbox, &["snapshot"]);
    assert!(output.stdout.len() < 64 << 10 && output.stdout.len() > 40 * 100 * 6);
    let now: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&now["running"], now["tasks"].as_array().map(Vec::len)), (&60.into(), Some(40)));
    sandbox.file("go", b"");
    assert!(msup.wait().expect("ours").success());
}
