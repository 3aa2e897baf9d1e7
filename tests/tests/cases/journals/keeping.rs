//! Outputs that cannot be kept, or not be shown on standard error.

use std::fs::File;
use std::process::{Child, Command, Stdio};

use msup_tests::{Sandbox, kill, numbers, records, run, wait_until};
use nix::sys::signal::Signal;

use super::{journal, lines, resume, text};

/// The first task waits for a file; the second prints 40,000 bytes.
const SCRIPT: &str = "echo {} >>ran; [ {} != 1 ] || until [ -e go ]; do sleep 0.01; done; \
                      [ {} != 2 ] || head -c 40000 /dev/zero | tr '\\0' x; echo out {}";

/// The outputs of the second and the third task are kept and wait.
fn kill_with_two_that_wait(sandbox: &Sandbox) {
    sandbox.file("list", &numbers(3));
    let mut msup = sandbox.msup(["-j2", "-k", "--journal", "j", "-a", "list", SCRIPT]);
    let mut child = msup.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("built");
    wait_until(|| records(&journal(sandbox), "unshown") == 2);
    wait_until(|| lines(&sandbox.path().join("ran")).len() == 3);
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait().expect("ours");
    sandbox.file("list", &numbers(4));
}

/// Resumes it with a limit on the size of files that the kept outputs exceed already, until the
/// fourth task has finished.
fn resume_with_too_little_space(sandbox: &Sandbox) -> Child {
    let script = "ulimit -f 32; exec \"$MSUP\" resume ./j -a list";
    let mut shell: Command = sandbox.command("sh");
    shell.args(["-c", script]).env("MSUP", msup_tests::program("msup"));
    let said = File::create(sandbox.path().join("said")).expect("writable");
    let child = shell.stdout(Stdio::piped()).stderr(said).spawn().expect("a shell");
    let said = sandbox.path().join("said");
    wait_until(|| lines(&said).iter().any(|line| line.contains("outputs are not kept")));
    child
}

fn without_filling(shown: &[u8]) -> String {
    text(shown).replace('x', "")
}

#[test]
fn what_was_kept_stays_when_no_more_can_be_kept() {
    let sandbox = Sandbox::new();
    kill_with_two_that_wait(&sandbox);
    let child = resume_with_too_little_space(&sandbox);
    sandbox.file("go", b"");
    let output = child.wait_with_output().expect("ours");
    let said = lines(&sandbox.path().join("said")).join("\n");
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(without_filling(&output.stdout), "out 1\nout 2\nout 3\nout 4\n", "{said}");
    assert!(output.stdout.len() > 40_000, "{said}");
    assert_eq!(lines(&sandbox.path().join("ran")).len(), 5, "{said}");
    // Part of the outputs is not taken for the whole.
    let output = resume(&sandbox, &["--replay", "-a", "list"]);
    let said = text(&output.stderr);
    assert_eq!(without_filling(&output.stdout), "out 2\nout 3\n", "{said}");
    assert_eq!(output.status.code(), Some(255), "{said}");
    assert!(said.contains("2 outputs were not kept"), "{said}");
    // That is not a status of the tasks.
    assert_eq!(resume(&sandbox, &[]).status.code(), Some(0));
}

#[test]
fn an_output_that_was_not_kept_is_not_taken_for_kept() {
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let sandbox = Sandbox::new();
        kill_with_two_that_wait(&sandbox);
        let child = resume_with_too_little_space(&sandbox);
        wait_until(|| lines(&sandbox.path().join("ran")).len() == 5);
        kill(child.id() as i32, signal);
        sandbox.file("go", b"");
        let first = child.wait_with_output().expect("ours");
        let said = lines(&sandbox.path().join("said")).join("\n");
        let output = resume(&sandbox, &["-a", "list"]);
        assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
        let shown = [first.stdout, output.stdout].concat();
        for number in 1..=4 {
            let line = format!("out {number}\n");
            assert_eq!(without_filling(&shown).matches(&line).count(), 1, "{line}{said}");
        }
    }
}

#[test]
fn outputs_on_standard_error_that_cannot_be_written_are_shown_by_the_next_start() {
    let full = || File::options().write(true).open("/dev/full").expect("there");
    let sandbox = Sandbox::new();
    let script = "echo {} >>ran; echo err {} >&2";
    let mut msup = sandbox.msup(["--journal", "j", script, ":::", "1", "2", "3"]);
    let output = msup.stderr(full()).output().expect("built");
    assert_eq!(output.status.code(), Some(255));
    let ran = lines(&sandbox.path().join("ran")).len();
    let output = resume(&sandbox, &[]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for number in 1..=3 {
        assert_eq!(said.matches(&format!("err {number}\n")).count(), 1, "{said}");
    }
    assert!(ran > 0 && lines(&sandbox.path().join("ran")).len() == 3, "{said}");
}

#[test]
fn standard_error_waits_with_a_standard_output_that_cannot_be_written() {
    let full = || File::options().write(true).open("/dev/full").expect("there");
    let sandbox = Sandbox::new();
    let script = "echo out {}; echo err {} >&2";
    let mut msup = sandbox.msup(["-j1", "-k", "--journal", "j", script, ":::", "1", "2", "3"]);
    let first = msup.stdout(full()).output().expect("built");
    let second = sandbox.msup(["resume", "./j"]).stdout(full()).output().expect("built");
    let last = resume(&sandbox, &[]);
    assert_eq!(text(&last.stdout), "out 1\nout 2\nout 3\n");
    let all = [first.stderr, second.stderr, last.stderr].map(|said| text(&said)).concat();
    for number in 1..=3 {
        assert_eq!(all.matches(&format!("err {number}\n")).count(), 1, "{all}");
    }
}

#[test]
fn standard_error_that_was_closed_is_not_missed() {
    let sandbox = Sandbox::new();
    let script = "exec \"$MSUP\" --journal j 'echo err {} >&2' ::: 1 2 3 2>&-";
    let mut shell = sandbox.command("sh");
    let output = run(shell.args(["-c", script]).env("MSUP", msup_tests::program("msup")));
    assert_eq!(output.status.code(), Some(0));
}
