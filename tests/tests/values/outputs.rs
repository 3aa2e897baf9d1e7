//! Outputs arrive whole, in one piece, and in order on request.

use msup_tests::{Sandbox, numbers, run, shown, shown_text};

const TASKS: usize = 200;
const LINES: usize = 3_000;

/// The output of many tasks that print their number many times, as runs of equal lines.
fn blocks(arguments: &[&str]) -> Vec<(usize, usize)> {
    let sandbox = Sandbox::new();
    let command = [arguments, &["yes {} | head -n 3000"]].concat();
    let stdout = shown_text(&sandbox, &command, &numbers(TASKS));
    let lines: Vec<usize> = stdout.lines().map(|line| line.parse().expect("a number")).collect();
    lines.chunk_by(|one, other| one == other).map(|block| (block[0], block.len())).collect()
}

#[test]
fn the_lines_of_a_task_stay_together() {
    let mut blocks = blocks(&["--procs", "4"]);
    blocks.sort_unstable();
    assert_eq!(blocks, (1..=TASKS).map(|task| (task, LINES)).collect::<Vec<_>>());
}

#[test]
fn outputs_keep_the_order_of_the_input_when_asked() {
    let blocks = blocks(&["--procs", "4", "-k"]);
    assert_eq!(blocks, (1..=TASKS).map(|task| (task, LINES)).collect::<Vec<_>>());
}

#[test]
fn a_large_output_arrives_whole() {
    let sandbox = Sandbox::new();
    let stdout = shown(&sandbox, &["head -c 20971520 /dev/zero | tr '\\0' {}", ":::", "x"], b"");
    assert_eq!(stdout.len(), 20 << 20);
    assert!(stdout.iter().all(|byte| *byte == b'x'));
}

#[test]
fn large_outputs_of_several_tasks_do_not_mix() {
    let sandbox = Sandbox::new();
    let command =
        ["-k", "--procs", "2", "head -c 20971520 /dev/zero | tr '\\0' {}", ":::", "a", "b"];
    let stdout = shown(&sandbox, &command, b"");
    let blocks = stdout.chunk_by(|one, other| one == other);
    let blocks: Vec<_> = blocks.map(|block| (block[0], block.len())).collect();
    assert_eq!(blocks, [(b'a', 20 << 20), (b'b', 20 << 20)]);
}

#[test]
fn an_output_without_a_final_newline_stays_so() {
    let sandbox = Sandbox::new();
    assert_eq!(shown_text(&sandbox, &["-k", "--", "printf", "%s", ":::", "a", "b"], b""), "ab");
}

#[test]
fn errors_of_tasks_arrive_on_standard_error() {
    let sandbox = Sandbox::new();
    let output = run(&mut sandbox.msup(["-q", "echo {} >&2", ":::", "oops"]));
    assert_eq!((output.stdout, output.stderr), (Vec::new(), b"oops\n".to_vec()));
}

#[test]
fn the_output_of_a_task_that_fails_is_shown() {
    let sandbox = Sandbox::new();
    let output = run(&mut sandbox.msup(["-q", "echo {}; exit 7", ":::", "shown"]));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "shown\n");
}

/// What took longest in the run that the log tells of comes first, what it does not know before
/// all. Outputs and numbers are those of the input.
#[test]
fn the_longest_can_come_first() {
    let sandbox = Sandbox::new();
    let line = |value: &str, seconds: f64| {
        format!("1\t:\t1795478552.077\t{seconds:10.3}\t0\t4\t0\t0\tsh ./note {value}\n")
    };
    let log = [line("a", 0.5), line("b", 7.0), line("c", 3.0)].concat();
    sandbox.file("log", log.as_bytes());
    sandbox.file("note", b"#!/bin/sh\necho $1 >>started\necho $MSUP_SEQ\n");
    let mut msup = sandbox.msup(["-k", "-j", "1", "--order", "longest", "--from", "log", "--"]);
    let output = run(msup.args(["sh", "./note", "{}", ":::", "a", "b", "new", "c"]));
    assert_eq!(output.stdout, b"1\n2\n3\n4\n");
    let started = std::fs::read_to_string(sandbox.path().join("started")).expect("written");
    assert_eq!(started, "new\nb\nc\na\n");
}
