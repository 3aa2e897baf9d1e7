//! Values, causes and names reach the terminal as text, never as something that it obeys.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use msup_tests::{Sandbox, kill, overheard, run, spawn_piped, wait_until};
use nix::sys::signal::Signal;

/// Writes to the clipboard, clears the screen, sets a title, forges a line, turns the direction of
/// text.
const HOSTILE: [&[u8]; 5] = [
    b"\x1b]52;c;aGk=\x07",
    b"\x9b2J\xff\xfe",
    b"a\nmsup: 9 of 9 tasks succeeded",
    b"b\rmsup: all is well",
    "\u{9b}2J\u{202e}txt.exe\u{2028}x".as_bytes(),
];

fn hostile() -> impl Iterator<Item = OsString> {
    HOSTILE.iter().map(|value| OsString::from_vec(value.to_vec()))
}

/// What was said, having checked that a terminal does nothing but show it.
fn harmless(said: &[u8]) -> String {
    let text = String::from_utf8(said.to_vec()).expect("UTF-8, whatever the values are");
    let obeyed =
        |c: char| (c.is_control() && !"\n\t".contains(c)) || "\u{202e}\u{2028}".contains(c);
    assert!(!text.contains(obeyed), "{text:?}");
    for line in text.lines() {
        assert!(!line.starts_with("msup: 9 of 9") && !line.starts_with("msup: all"), "{text:?}");
    }
    text
}

#[test]
fn values_and_causes_are_shown_escaped_in_the_report_and_the_log() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--out", "d/{}.o", "true", ":::"]);
    let output = run(msup.args(hostile()));
    assert_eq!(output.status.code(), Some(5), "none of them makes its file");
    let report = harmless(&output.stderr);
    for shown in
        ["\\x1b]52;c;aGk=\\x07", "\\x9b2J\\xff\\xfe", "a\\nmsup: 9", "b\\rmsup: all", "\\u{202e}"]
    {
        assert!(report.contains(shown), "{shown}: {report}");
    }
    for words in [&["log"][..], &["log", "last"], &["resume"]] {
        let output = run(&mut sandbox.msup(words));
        let told = [output.stdout, output.stderr].concat();
        harmless(&told);
    }
}

#[test]
fn a_cause_that_names_a_path_is_shown_escaped() {
    let sandbox = Sandbox::new();
    sandbox.file("plain", b"");
    let output = run(&mut sandbox.msup(["--out", "plain/{}/o", "true", ":::", "\x1b[2J"]));
    assert_eq!(output.status.code(), Some(1));
    let cause = "failed: plain/\\x1b[2J: ";
    assert!(harmless(&output.stderr).contains(cause), "{}", harmless(&output.stderr));
    let output = run(&mut sandbox.msup(["log", "last", "--state", "failed"]));
    assert!(harmless(&output.stdout).contains(cause));
}

#[test]
fn json_on_a_terminal_is_escaped_without_loss() {
    let sandbox = Sandbox::new();
    run(sandbox.msup(["false", ":::"]).args(hostile()));
    for words in [&["log", "last", "--state", "failed", "--json"][..], &["log", "--json"]] {
        let output = run(&mut sandbox.msup(words));
        let told = harmless(&output.stdout);
        for line in told.lines() {
            let end: serde_json::Value = serde_json::from_str(line).expect("JSON");
            if let Some(value) = end["value"].as_str() {
                assert!(HOSTILE.contains(&value.as_bytes()), "{value:?} arrives exactly");
            }
        }
    }
}

#[test]
fn refusals_are_shown_escaped() {
    let sandbox = Sandbox::new();
    for words in [
        &["resume", "\x1b[2J"][..],
        &["log", "a\rb\x1b[2J"],
        &["--\x1b[2J"],
        &["-a", "\x1b[2J", "true"],
        &["\x1b[2J", "{}", ":::", "x"],
        &["--summary", "\x1b[2J/s", "true", ":::", "x"],
        &["--halt", "\x1b[2J", "true", ":::", "x"],
        &["clean", "\x1b[2J"],
    ] {
        let output = run(&mut sandbox.msup(words));
        assert_eq!(output.status.code(), Some(255), "{words:?}");
        let said = harmless(&output.stderr);
        assert!(said.contains("\\x1b[2J"), "{words:?}: {said}");
    }
}

#[test]
fn names_of_folders_are_shown_escaped() {
    let sandbox = Sandbox::new();
    let name = OsStr::from_bytes(b"./j\x1b[2J\xff");
    let output = run(sandbox.msup(["--journal"]).arg(name).args(["false", ":::", "x"]));
    harmless(&output.stderr);
    let output = run(sandbox.msup(["resume"]).arg(name));
    assert!(harmless(&output.stderr).contains("\\x1b[2J"));
    let output = run(sandbox.msup(["clean"]).arg(name));
    assert!(harmless(&output.stdout).contains("\\x1b[2J"));
}

#[test]
fn tasks_under_way_are_shown_escaped() {
    let sandbox = Sandbox::new();
    let script = ": >began.$MSUP_SEQ; while [ ! -e go ]; do sleep 0.01; done";
    let mut msup = sandbox.msup(["-q", "-j5", "--", "sh", "-c", script, "sh", ":::"]);
    let mut child = spawn_piped(msup.args(hostile()));
    let said = overheard(&mut child);
    let so_far = || said.lock().expect("no panic").clone();
    wait_until(|| (1..=5).all(|n| sandbox.path().join(format!("began.{n}")).exists()));
    kill(child.id() as i32, Signal::SIGUSR1);
    wait_until(|| so_far().matches(", process ").count() == 5 && so_far().ends_with('\n'));
    sandbox.file("go", b"");
    assert!(child.wait().expect("ours").success());
    harmless(so_far().as_bytes());
}
