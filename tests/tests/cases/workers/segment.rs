//! Tasks that write over the shared memory, or take it away.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::process::Child;

use msup_tests::{Sandbox, kill, numbers, overheard, program, spawn_piped, summary, wait_until};
use nix::sys::signal::Signal;

/// The segment, opened as a task of the same user can.
fn segment_of(msup: &Child) -> File {
    let folder = fs::read_dir(format!("/proc/{}/fd", msup.id())).expect("it lives").flatten();
    let is_segment = |fd: &fs::DirEntry| {
        let target = fs::read_link(fd.path()).unwrap_or_default();
        target.to_string_lossy().starts_with("/dev/shm/msup-")
    };
    let segment = folder.into_iter().find(is_segment).expect("it has one").path();
    File::options().read(true).write(true).open(segment).expect("ours")
}

/// One of a hundred tasks does this to the segment each time it runs. It is quarantined, and all
/// others succeed.
fn one_task_always(does: &str, options: &[&str]) {
    let sandbox = Sandbox::new();
    let list = sandbox.file("list", &numbers(100));
    let mut msup = sandbox.msup(["--procs", "2", "--summary", "s.json", "-a"]);
    msup.arg(list).args(options).args(["--", "sh", "-c"]);
    msup.arg("if [ $1 = 50 ]; then \"$2\" $3; fi; echo done $1").arg("sh").arg("{}");
    let output = msup_tests::run(msup.arg(program("harms_segment")).arg(does));
    let said = String::from_utf8_lossy(&output.stderr);
    let tasks = &summary(&sandbox.path().join("s.json"))["tasks"];
    let counts = ["succeeded", "quarantined", "cancelled"].map(|name| tasks[name].as_u64());
    assert_eq!(counts, [Some(99), Some(1), Some(0)], "{said}");
    assert_eq!(output.status.code(), Some(1), "{said}");
    let shown = String::from_utf8_lossy(&output.stdout);
    let mut lines: Vec<&str> = shown.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), 99, "{said}");
}

#[test]
fn a_task_that_always_writes_over_the_segment_is_quarantined() {
    one_task_always("overwrite", &[]);
}

#[test]
fn a_task_that_always_writes_over_the_segment_is_quarantined_in_order() {
    one_task_always("overwrite", &["-k"]);
}

#[test]
fn a_task_that_always_writes_over_the_segment_is_quarantined_with_fixed_jobs() {
    one_task_always("overwrite", &["--max-workers", "2"]);
}

#[test]
fn a_task_loop_that_always_writes_over_the_segment_is_quarantined() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--procs", "2", "--summary", "s.json", "--worker"]);
    msup.arg(program("misbehaves")).args([":::", "1", "2", "overwrite"]);
    let output = msup_tests::run(msup.args((3..40).map(|n| n.to_string())));
    let said = String::from_utf8_lossy(&output.stderr);
    let tasks = &summary(&sandbox.path().join("s.json"))["tasks"];
    assert_eq!((&tasks["succeeded"], &tasks["quarantined"]), (&39.into(), &1.into()), "{said}");
    assert_eq!(output.status.code(), Some(1), "{said}");
}

#[test]
fn a_task_that_always_truncates_the_segment_is_quarantined() {
    one_task_always("truncate", &[]);
}

#[test]
fn a_task_that_always_writes_over_the_header_is_quarantined() {
    one_task_always("header", &[]);
}

/// Something outside does this to the segment in the middle of a run: every task succeeds all the
/// same.
fn in_the_middle(harm: impl Fn(&File), worker: Option<&str>, then_kills_a_worker: bool) {
    let sandbox = Sandbox::new();
    let list = sandbox.file("list", &numbers(200));
    let mut msup = sandbox.msup(["--procs", "2", "-k", "--summary", "s.json", "-a"]);
    msup.arg(list);
    match worker {
        Some(worker) => msup.arg("--worker").arg(program(worker)),
        None => msup.args(["--", "sh", "-c", "sleep 0.01; echo done $1; : >ran.$1", "sh", "{}"]),
    };
    let mut child = spawn_piped(&mut msup);
    let said = overheard(&mut child);
    if worker.is_none() {
        wait_until(|| sandbox.path().join("ran.20").exists());
    } else {
        wait_until(|| !sandbox.workers(&child).is_empty());
    }
    harm(&segment_of(&child));
    if then_kills_a_worker && let Some(worker) = sandbox.workers(&child).first() {
        kill(*worker, Signal::SIGKILL);
    }
    let output = child.wait_with_output().expect("ours");
    let said = said.lock().expect("no panic").clone();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(!said.contains("crashed"), "no task is to blame: {said}");
    let expected: String = (1..=200).map(|n| format!("done {n}\n")).collect();
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{said}");
    assert_eq!(summary(&sandbox.path().join("s.json"))["tasks"]["succeeded"], 200);
}

fn overwrite_magic(segment: &File) {
    segment.write_all_at(b"nonsense", 0).expect("ours");
}

#[test]
fn an_overwritten_magic_is_no_other_version() {
    in_the_middle(overwrite_magic, None, true);
}

#[test]
fn an_overwritten_magic_is_noticed_though_no_worker_attaches() {
    in_the_middle(overwrite_magic, None, false);
}

#[test]
fn an_overwritten_layout_version_is_no_other_version() {
    in_the_middle(|segment| segment.write_all_at(&[99], 8).expect("ours"), None, true);
}

#[test]
fn a_truncated_segment_is_replaced() {
    in_the_middle(|segment| segment.set_len(0).expect("ours"), None, false);
}

#[test]
fn a_segment_that_was_cut_in_the_middle_is_replaced() {
    in_the_middle(|segment| segment.set_len(64 << 10).expect("ours"), None, false);
}

#[test]
fn a_segment_that_was_cut_and_grown_again_is_replaced() {
    let harm = |segment: &File| {
        let len = segment.metadata().expect("ours").len();
        segment.set_len(0).expect("ours");
        segment.set_len(len).expect("ours");
    };
    in_the_middle(harm, None, false);
}
