//! `msup report`: the page, and the data in it.

use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

use msup_tests::{Sandbox, TASKS_DO_NOT_KILL, kill, run, wait_until};
use nix::sys::signal::Signal;
use serde_json::Value;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What would leave its place in a page, or make text look like something else.
const HOSTILE: [&[u8]; 5] = [
    b"</script><script>document.title='hit'</script>",
    b"<!--<script>",
    b"\x1b[2J\x1b]0;title\x07",
    "\u{202e}gnp.exe\u{2066}".as_bytes(),
    b"\xff\xfe",
];

/// The data of a page.
fn data_of(page: &str) -> Value {
    let (_, rest) =
        page.split_once("<script type=\"application/json\" id=\"data\">").expect("data");
    let (data, _) = rest.split_once("</script>").expect("its end");
    serde_json::from_str(data).expect("JSON")
}

/// The page of a run, printed.
fn page(sandbox: &Sandbox, words: &[&str]) -> String {
    let output = run(&mut sandbox.msup(["report", "-o", "-"].iter().chain(words)));
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn the_page_says_what_happened() {
    let sandbox = Sandbox::new();
    run(&mut sandbox.msup([
        "-q",
        "-j2",
        "echo why {} >&2; sleep 0.05; exit {}",
        ":::",
        "0",
        "3",
        "0",
    ]));
    let output = run(&mut sandbox.msup(["report"]));
    let name = text(&output.stdout);
    assert!(name.starts_with("msup-report-") && name.ends_with(".html\n"), "{name}");
    let page = std::fs::read_to_string(sandbox.path().join(name.trim())).expect("written");
    let data = data_of(&page);
    assert_eq!((&data["succeeded"], &data["failed"]), (&2.into(), &1.into()));
    assert_eq!(data["failures"][0]["stderr"], "why 3\n");
    assert_eq!(data["failures"][0]["cause"], "exit 3");
    assert_eq!(data["tasks"]["rows"].as_array().map(Vec::len), Some(3));
    assert_eq!(data["timeline"]["lanes"], 2);
    assert_eq!(data["runs"][0]["state"], "finished");
    let flight = data["series"]["inFlight"].as_array().expect("a series").iter();
    let most = flight.map(|one| one.as_f64().expect("a number")).fold(0.0, f64::max);
    assert!(most > 1.5 && most <= 2.01, "{most}");
    for outside in ["src=", "href=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}: a page loads nothing");
    }
}

#[test]
fn values_stay_text() {
    let sandbox = Sandbox::new();
    let values = HOSTILE.map(std::ffi::OsStr::from_bytes);
    run(sandbox
        .msup(["-q", "cat /dev/null {} >&2; exit 1", ":::"])
        .args(values)
        .args(["x".repeat(10_000)]));
    let page = page(&sandbox, &[]);
    assert_eq!(page.matches("<script").count(), 3, "those of the page");
    assert_eq!(page.matches("</script").count(), 3);
    assert!(!page.contains('\x1b') && !page.contains("<!--"));
    let data = data_of(&page);
    let rows = data["tasks"]["rows"].as_array().expect("rows");
    assert!(rows.iter().any(|row| row[1] == text(HOSTILE[0])), "it arrives as text");
    assert!(rows.iter().all(|row| row[1].as_str().expect("text").len() < 3000));
}

#[test]
fn runs_that_go_on_or_were_killed_are_shown_as_far_as_they_got() {
    let sandbox = Sandbox::new();
    let script = "echo {} >> ran; [ {} = 1 ] || while [ ! -e go ]; do sleep 0.02; done";
    let words = ["-q", "-j2", TASKS_DO_NOT_KILL, script, ":::", "1", "2", "3"];
    let mut msup = sandbox.msup(words).stdout(Stdio::null()).spawn().expect("msup is built");
    let ran =
        || std::fs::read_to_string(sandbox.path().join("ran")).unwrap_or_default().lines().count();
    wait_until(|| ran() == 3);
    let data = || data_of(&page(&sandbox, &["last"]));
    wait_until(|| data()["succeeded"] == 1);
    assert_eq!((&data()["runs"][0]["state"], &data()["underWay"]), (&"running".into(), &2.into()));
    kill(msup.id() as i32, Signal::SIGKILL);
    msup.wait().expect("ours");
    wait_until(|| sandbox.processes().is_empty());
    assert_eq!((&data()["runs"][0]["state"], &data()["underWay"]), (&"cut-off".into(), &2.into()));
    sandbox.file("go", b"");
    let output = run(&mut sandbox.msup(["resume", "-q"]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let data = data();
    assert_eq!((&data["runs"][0]["state"], &data["succeeded"]), (&"finished".into(), &3.into()));
    assert_eq!(data["underWay"], 0);
}

#[test]
fn several_runs_are_merged() {
    let sandbox = Sandbox::new();
    for journal in ["./a", "./b"] {
        run(&mut sandbox.msup([
            "-q",
            "-j2",
            "--journal",
            journal,
            "sleep 0.0{}",
            ":::",
            "1",
            "2",
            "3",
        ]));
    }
    let data = data_of(&page(&sandbox, &["./a", "./b"]));
    assert_eq!((&data["succeeded"], &data["timeline"]["lanes"]), (&6.into(), &4.into()));
    assert_eq!(data["runs"].as_array().map(Vec::len), Some(2));
    let rows = data["tasks"]["rows"].as_array().expect("rows").iter();
    assert_eq!(rows.filter(|row| row[10] == 1).count(), 3, "rows name their runs");
}

#[test]
fn what_cannot_be_written_is_said() {
    let sandbox = Sandbox::new();
    run(&mut sandbox.msup(["-q", "true", ":::", "1"]));
    let output = run(&mut sandbox.msup(["report", "-o", "none/x.html"]));
    assert_eq!(output.status.code(), Some(255));
    assert!(text(&output.stderr).starts_with("msup: -o none/x.html: "), "{}", text(&output.stderr));
}

/// A run in the folder `j` with 20 tasks that stops when its third task fails.
fn stopped_run(sandbox: &Sandbox) {
    let script = "[ {} -lt 3 ] || exit 1";
    let mut msup = sandbox.msup(["-q", "-j1", "--journal", "./j", "--halt", "now,fail=1", script]);
    msup.arg(":::").args((1..=20).map(|n| n.to_string()));
    assert!(!run(&mut msup).status.success());
}

#[test]
fn the_page_of_a_stopped_run_knows_what_is_left() {
    let sandbox = Sandbox::new();
    stopped_run(&sandbox);
    let data = data_of(&page(&sandbox, &["./j"]));
    assert_eq!(
        (&data["runs"][0]["state"], &data["runs"][0]["total"]),
        (&"stopped".into(), &20.into())
    );
    assert_eq!((&data["succeeded"], &data["failed"]), (&2.into(), &1.into()));
    // The same run twice is one run.
    let twice = data_of(&page(&sandbox, &["./j", "j/"]));
    assert_eq!(twice["runs"].as_array().map(Vec::len), Some(1));
    assert_eq!(twice["succeeded"], 2);
}

#[test]
fn damaged_lines_are_reported_and_an_empty_journal_is_none() {
    let sandbox = Sandbox::new();
    stopped_run(&sandbox);
    let path = sandbox.path().join("j/journal.jsonl");
    let journal = std::fs::read_to_string(&path).expect("a journal");
    let damaged: Vec<String> = journal
        .lines()
        .map(|line| match line.contains("\"seq\":2,") && line.contains("\"end\"") {
            true => line.replace("\"seq\":2,", "\"seq\":7,"),
            false => line.to_owned(),
        })
        .collect();
    std::fs::write(&path, damaged.join("\n") + "\n").expect("ours");
    for words in [&["log", "./j"][..], &["report", "-o", "-", "./j"], &["trace", "./j"]] {
        let output = run(&mut sandbox.msup(words));
        assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
        let said = text(&output.stderr);
        assert!(
            said.contains("j/journal.jsonl: 1 line is damaged or missing"),
            "{words:?}: {said}"
        );
    }
    std::fs::write(&path, "").expect("ours");
    for words in [&["log", "./j"][..], &["report", "-o", "-", "./j"], &["trace", "./j"]] {
        let output = run(&mut sandbox.msup(words));
        assert_eq!((output.status.code(), output.stdout.len()), (Some(255), 0), "{words:?}");
    }
}

#[test]
fn a_page_goes_where_it_is_told() {
    let sandbox = Sandbox::new();
    stopped_run(&sandbox);
    sandbox.file("real.html", b"old");
    std::os::unix::fs::symlink("real.html", sandbox.path().join("link.html")).expect("ours");
    let output = run(&mut sandbox.msup(["report", "-o", "link.html", "./j"]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let written = std::fs::read_to_string(sandbox.path().join("real.html")).expect("there");
    assert_eq!(data_of(&written)["succeeded"], 2);
    assert!(sandbox.path().join("link.html").is_symlink());
    let output = run(&mut sandbox.msup(["report", "-o", "/dev/stdout", "./j"]));
    assert_eq!((output.status.code(), output.stdout.len()), (Some(255), 0), "a pipe");
}
