//! The joblog of a run that was killed, and the tasks of a list that was changed.

use std::fs;

use msup_tests::{Sandbox, kill, records, run, wait_until};
use nix::sys::signal::Signal;

use super::{journal, lines, resume, text};

/// The numbers of the tasks in the joblog, sorted.
fn numbers_in(sandbox: &Sandbox) -> Vec<u64> {
    let lines = lines(&sandbox.path().join("joblog"));
    assert!(lines[0].starts_with("Seq\tHost\t"), "{lines:?}");
    let number = |line: &String| line.split('\t').next().and_then(|seq| seq.parse().ok());
    let mut numbers: Vec<u64> = lines[1..].iter().map(|line| number(line).expect(line)).collect();
    numbers.sort_unstable();
    numbers
}

/// Starts a run of four tasks, waits until the three last ones have run, and kills it.
fn kill_after_three(sandbox: &Sandbox, flags: &[&str], script: &str, ends: usize) {
    let mut msup = sandbox.msup(["-j2", "--journal", "j", "--joblog", "joblog"]);
    msup.args(flags).args([script, ":::", "1", "2", "3", "4"]);
    let child = msup.stdout(fs::File::create(sandbox.path().join("res")).expect("writable"));
    let mut child = child.spawn().expect("built");
    wait_until(|| [2, 3, 4].iter().all(|n| sandbox.path().join(format!("ran.{n}")).exists()));
    wait_until(|| records(&journal(sandbox), "start") == 4);
    wait_until(|| records(&journal(sandbox), "end") == ends);
    wait_until(|| ends == 0 || lines(&sandbox.path().join("joblog")).len() == ends + 1);
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait().expect("ours");
    sandbox.file("go", b"");
}

const SCRIPT: &str = "if [ {} = 1 ]; then while [ ! -e go ]; do sleep 0.01; done; fi; \
                      echo out {}; : >ran.{}";

#[test]
fn an_output_that_was_not_shown_is_in_the_joblog_when_it_is() {
    let sandbox = Sandbox::new();
    kill_after_three(&sandbox, &["-k"], SCRIPT, 0);
    let output = resume(&sandbox, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "out 1\nout 2\nout 3\nout 4\n");
    assert_eq!(numbers_in(&sandbox), [1, 2, 3, 4]);
}

#[test]
fn lines_that_a_kill_kept_from_the_joblog_are_added_by_the_next_resume() {
    let sandbox = Sandbox::new();
    kill_after_three(&sandbox, &[], SCRIPT, 3);
    let joblog = sandbox.path().join("joblog");
    let whole = fs::read_to_string(&joblog).expect("written");
    // The last line is missing, and of the one before there is but the beginning.
    let kept: Vec<&str> = whole.lines().collect();
    fs::write(&joblog, format!("{}\n{}\n{}", kept[0], kept[1], &kept[2][..9])).expect("ours");
    let output = resume(&sandbox, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let lines = lines(&joblog);
    let whole = |line: &&String| line.split('\t').count() == 9;
    assert_eq!(lines.iter().filter(whole).count(), 1 + 4, "{lines:?}");
    for value in 1..=4 {
        let command = format!("echo out '{value}'");
        assert_eq!(lines.iter().filter(|line| line.contains(&command)).count(), 1, "{lines:?}");
    }
}

#[test]
fn a_list_in_another_order_hides_no_task_from_the_log() {
    let sandbox = Sandbox::new();
    let list = sandbox.file("list", b"a\nb\nc\n");
    let script = ": >began.{}; [ {} != a ] || exit 3; [ {} = a ] || [ -e go ] || exec sleep 1000";
    let mut msup = sandbox.msup(["-j1", "--journal", "j", "-a"]);
    let mut child = msup.arg(&list).arg(script).spawn().expect("built");
    wait_until(|| sandbox.path().join("began.b").exists());
    wait_until(|| records(&journal(&sandbox), "end") == 1);
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait().expect("ours");
    sandbox.file("go", b"");
    sandbox.file("list", b"c\nb\na\n");
    assert_eq!(resume(&sandbox, &[]).status.code(), Some(1));
    let log = |flags: &[&str]| {
        let output = run(&mut sandbox.msup(["log", "./j"].iter().chain(flags)));
        assert!(output.status.success());
        let shown = text(&output.stdout);
        let mut values: Vec<String> =
            shown.lines().filter_map(|line| line.rsplit('\t').next()).map(str::to_owned).collect();
        values.sort_unstable();
        values
    };
    assert_eq!(log(&[]), ["a", "b", "c"]);
    assert_eq!(log(&["--state", "failed"]), ["a"]);
}

#[test]
fn a_retry_that_was_stopped_is_gone_on_with_by_another_retry() {
    let sandbox = Sandbox::new();
    let script = ": >began.{}; [ ! -e slow ] || exec sleep 1000; test -e right";
    let mut msup = sandbox.msup(["-j2", "--journal", "j", script, ":::", "1", "2", "3"]);
    assert_eq!(run(&mut msup).status.code(), Some(3));
    sandbox.file("slow", b"");
    fs::remove_file(sandbox.path().join("began.1")).expect("it has run");
    let mut retry = sandbox.msup(["retry", "--failed", "-j1", "./j"]);
    let child = msup_tests::spawn_piped(&mut retry);
    wait_until(|| sandbox.path().join("began.1").exists());
    kill(child.id() as i32, Signal::SIGINT);
    kill(child.id() as i32, Signal::SIGTERM);
    let said = text(&child.wait_with_output().expect("ours").stderr);
    assert!(said.contains("go on: msup retry --failed"), "{said}");
    fs::remove_file(sandbox.path().join("slow")).expect("ours");
    sandbox.file("right", b"");
    assert!(run(&mut sandbox.msup(["retry", "--failed", "./j"])).status.success());
}
