//! Lists that were changed between two starts: two tasks may have the same number.

use msup_tests::{Sandbox, kill, records, run, wait_until};
use nix::sys::signal::Signal;

use super::{journal, lines, resume, text};

/// `z` waits for a file, `bad` fails until there is another.
const SCRIPT: &str = "echo {} >>ran; [ {} != z ] || until [ -e go ]; do sleep 0.01; done; \
                      [ {} != bad ] || [ -e fine ]";

fn runs_of(sandbox: &Sandbox, value: &str) -> usize {
    lines(&sandbox.path().join("ran")).iter().filter(|line| *line == value).count()
}

/// `a` and `b` have finished under the numbers 1 and 2; then `bad` has failed as number 1.
fn changed(sandbox: &Sandbox) {
    sandbox.file("list", b"a\nb\nz\nbad\n");
    let mut msup = sandbox.msup(["-j1", "--journal", "j", "-a", "list", SCRIPT]);
    let mut child = msup.spawn().expect("built");
    wait_until(|| runs_of(sandbox, "z") == 1 && records(&journal(sandbox), "end") == 2);
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait().expect("ours");
    sandbox.file("go", b"");
    sandbox.file("list", b"bad\nz\nb\na\n");
    let output = resume(sandbox, &["-a", "list"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
}

#[test]
fn a_task_with_the_number_of_another_is_retried_and_counted_once() {
    let sandbox = Sandbox::new();
    changed(&sandbox);
    let retry = || run(&mut sandbox.msup(["retry", "./j"]));
    for runs in 2..4 {
        let output = retry();
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(runs_of(&sandbox, "bad"), runs, "{}", text(&output.stderr));
        let said = text(&output.stderr);
        assert!(said.contains("3 of 4 tasks succeeded"), "{said}");
    }
    sandbox.file("fine", b"");
    let said = text(&retry().stderr);
    assert!(said.contains("4 of 4 tasks succeeded"), "{said}");
    let last = retry();
    assert_eq!(last.status.code(), Some(0), "{}", text(&last.stderr));
    assert!(text(&last.stderr).contains("nothing to retry"), "{}", text(&last.stderr));
    assert_eq!(runs_of(&sandbox, "bad"), 4);
}

/// Two tasks of different lists with the same number have both failed.
#[test]
fn two_failed_tasks_with_the_same_number_are_both_retried() {
    let sandbox = Sandbox::new();
    sandbox.file("list", b"one\n");
    let script = "echo {} >>ran; [ -e fine ]";
    let output = run(&mut sandbox.msup(["--journal", "j", "-a", "list", script]));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    sandbox.file("list", b"two\n");
    let output = resume(&sandbox, &["-a", "list"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let retry = || run(&mut sandbox.msup(["retry", "./j"]));
    assert_eq!(retry().status.code(), Some(2));
    assert_eq!((runs_of(&sandbox, "one"), runs_of(&sandbox, "two")), (2, 2));
    sandbox.file("fine", b"");
    let output = retry();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&retry().stderr).contains("nothing to retry"));
    assert_eq!((runs_of(&sandbox, "one"), runs_of(&sandbox, "two")), (3, 3));
    // Under its new number it has not failed.
    let log = |flags: &[&str]| text(&run(sandbox.msup(["log", "./j"]).args(flags)).stdout);
    assert_eq!(log(&["--state", "failed"]), "");
    assert_eq!(log(&["--state", "succeeded"]).lines().count(), 2);
}

/// The command contains the number of its task: under another number it would be another command.
#[test]
fn a_task_whose_command_has_its_number_gets_no_other_one() {
    let sandbox = Sandbox::new();
    sandbox.file("list", b"one\n");
    let script = "echo {#} {} >>ran; [ -e fine ]";
    run(&mut sandbox.msup(["--journal", "j", "-a", "list", script]));
    sandbox.file("list", b"two\n");
    let output = resume(&sandbox, &["-a", "list"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    sandbox.file("fine", b"");
    let retry = || run(&mut sandbox.msup(["retry", "./j"]));
    let first = retry();
    let said = text(&first.stderr);
    assert_eq!(first.status.code(), Some(1), "{said}");
    let line = "1 task is not retried: its command contains its number, which another task has now";
    assert!(said.contains(line), "{said}");
    // Each time one of them has the number.
    let second = retry();
    assert_eq!(second.status.code(), Some(0), "{}", text(&second.stderr));
    assert!(text(&retry().stderr).contains("nothing to retry"));
    let mut ran = lines(&sandbox.path().join("ran"));
    ran.sort();
    assert_eq!(ran, ["1 one", "1 one", "1 two", "1 two"]);
}
