//! A list as a queue on a real NATS server: `msup submit`, `node`, `status`, `collect`, `cancel`.

mod desk;
mod faults;
mod results;
mod stops;

use std::fs;
use std::process::Stdio;

use desk::{Desk, has_queues, lines, said};
use msup_tests::{Sandbox, numbers, run};

#[test]
fn an_msup_without_queues_says_how_to_get_one_with_them() {
    let sandbox = Sandbox::new();
    if has_queues(&sandbox) {
        return;
    }
    for words in [
        &["submit", "--queue", "nats://h/j", "echo"][..],
        &["node", "nats://h/j"],
        &["status", "nats://h/j"],
        &["collect", "nats://h/j"],
        &["cancel", "nats://h/j"],
    ] {
        let output = run(&mut sandbox.msup(words));
        assert_eq!(output.status.code(), Some(255), "{words:?}");
        assert_eq!(said(&output).lines().count(), 1, "{}", said(&output));
        assert!(said(&output).contains("--features nats"), "{}", said(&output));
    }
}

#[test]
fn a_node_runs_what_was_submitted() {
    let Some(desk) = Desk::open() else { return };
    desk.sandbox.file("list", &numbers(20));
    desk.sandbox.file("folder", b"");
    let output = desk.submit(["--out", "{}.txt", "echo {#}/{##} {} > {out}", "::::", "list"]);
    assert_eq!((output.status.code(), lines(&output)), (Some(0), vec![desk.url()]));
    let node = run(&mut desk.node(&["--procs", "2"]));
    assert_eq!(node.status.code(), Some(0), "{}", said(&node));
    for number in 1..=20 {
        let made = fs::read_to_string(desk.sandbox.path().join(format!("{number}.txt")));
        assert_eq!(made.expect("made"), format!("{number}/20 {number}\n"));
    }
    let hidden = fs::read_dir(desk.sandbox.path()).expect("readable").flatten();
    let hidden = hidden.filter(|entry| entry.file_name().to_string_lossy().starts_with(".msup"));
    assert_eq!(hidden.count(), 0, "temporary files are left");
    let status = desk.ask(&["status"]);
    assert_eq!(lines(&status), ["20 of 20 tasks have finished: the job is done"]);
}

#[test]
fn submitting_again_adds_nothing() {
    let Some(desk) = Desk::open() else { return };
    desk.sandbox.file("list", &numbers(30));
    let words = ["-a", "list", "echo", "{}"];
    desk.submitted(words);
    let again = desk.submit(words);
    assert_eq!(again.status.code(), Some(0));
    assert!(said(&again).contains("all 30 tasks were submitted before"), "{}", said(&again));
    // How the list is given makes no difference.
    let values: Vec<String> = (1..=30).map(|number| number.to_string()).collect();
    let typed: Vec<&str> =
        ["echo", "{}", ":::"].into_iter().chain(values.iter().map(String::as_str)).collect();
    assert!(said(&desk.submit(&typed)).contains("all 30 tasks were submitted before"));
    assert_eq!(run(&mut desk.node(&[])).status.code(), Some(0));
    let after = desk.submit(words);
    assert!(said(&after).contains("all 30 tasks were submitted before"), "{}", said(&after));
    assert_eq!(lines(&desk.ask(&["status"])), ["30 of 30 tasks have finished: the job is done"]);
    assert_eq!(lines(&desk.ask(&["collect"])).len(), 30);
}

#[test]
fn another_job_of_the_same_name_is_refused() {
    let Some(desk) = Desk::open() else { return };
    desk.submitted(["echo", "{}", ":::", "a", "b"]);
    for words in [
        &["echo", "x{}", ":::", "a", "b"][..],
        &["echo", "{}", ":::", "a", "c"],
        &["echo", "{}", ":::", "a"],
        &["--retries", "3", "echo", "{}", ":::", "a", "b"],
    ] {
        let output = desk.submit(words);
        assert_eq!(output.status.code(), Some(255), "{words:?}");
        assert!(said(&output).contains("job job is another one"), "{}", said(&output));
    }
    assert_eq!(
        lines(&desk.ask(&["status"])),
        ["0 of 2 tasks have finished, 2 wait, 0 are with nodes"]
    );
}

#[test]
fn what_a_queue_cannot_do_is_refused_before_anything_is_submitted() {
    let Some(desk) = Desk::open() else { return };
    let long = "x".repeat(1 << 20);
    desk.sandbox.file("long", long.as_bytes());
    for (words, why) in [
        (&["--shuf", "echo", ":::", "a"][..], "--shuf"),
        (&["--journal", "x", "echo", ":::", "a"], "--journal"),
        (&["-k", "echo", ":::", "a"], "--wait"),
        (&["--lease", "1ms", "echo", ":::", "a"], "--lease"),
        (&["--out", "x", "echo", ":::", "a"], "--out"),
        (&["--out", "{/}", "echo", ":::", "a/x", "b/x"], "tasks 1 and 2 would make the same file"),
        (&["echo", "::::", "long"], "1048576 bytes"),
        (&["-a", "/dev/null", "echo"], "empty"),
    ] {
        let output = desk.submit(words);
        assert_eq!(output.status.code(), Some(255), "{words:?}");
        assert!(said(&output).contains(why), "{words:?}: {}", said(&output));
    }
    let none = desk.ask(&["status"]);
    assert!(said(&none).contains("there is no job"), "{}", said(&none));
    let elsewhere = run(&mut desk.sandbox.msup(["collect", "nats://127.0.0.1:1/a.b"]));
    assert_eq!(elsewhere.status.code(), Some(255));
}

#[test]
fn a_wrong_password_is_refused_at_once_and_never_shown() {
    let flags = ["--user", "me", "--pass", "open-sesame"];
    let Some(mut desk) = Desk::open_with(&flags, "me:open-sesame@") else { return };
    let script = "for p in $$ $PPID; do tr '\\0' '\\n' < /proc/$p/environ; \
                  tr '\\0' ' ' < /proc/$p/cmdline; done; echo";
    desk.submitted(["true", ":::", "a"]);
    desk.job = "second";
    let mut msup =
        desk.sandbox.msup(["submit", "--queue", &desk.url().replace("me:open-sesame@", "")]);
    let output = run(msup.env("NATS_URL", desk.url()).args([script, ":::", "a"]));
    assert_eq!(output.status.code(), Some(255), "NATS_URL names a server, not a job");
    let server = desk.url().replace("/second", "");
    let mut msup = desk.sandbox.msup(["submit", "--queue", "nats:///second"]);
    let output = run(msup.env("NATS_URL", &server).args([script, ":::", "a"]));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let shown = lines(&output).join("");
    assert!(!shown.contains("open-sesame"), "{shown}");
    let node = run(desk.sandbox.msup(["node", "nats:///second"]).env("NATS_URL", &server));
    assert_eq!(node.status.code(), Some(0), "{}", said(&node));
    let collected = desk.ask(&["collect"]);
    let text = String::from_utf8_lossy(&collected.stdout).into_owned();
    assert!(text.contains("MSUP_SEQ=1"), "{text} {}", said(&collected));
    assert!(!text.contains("open-sesame"), "{text}");
    for wrong in ["me:close-sesame@", "", "other:open-sesame@"] {
        let url = desk.url().replace("me:open-sesame@", wrong);
        for words in [&["node"][..], &["status"], &["collect"], &["cancel"]] {
            let output = run(desk.sandbox.msup(words).arg(&url).stdin(Stdio::null()));
            let said = said(&output);
            assert_eq!(output.status.code(), Some(255), "{words:?} {said}");
            assert!(said.contains("refuses the user or the password"), "{words:?} {said}");
            assert!(!said.contains("sesame"), "{said}");
        }
    }
}
