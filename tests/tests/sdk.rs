//! What a task loop in Rust can do: child processes that are measured, pinned tokens, files.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use msup_tests::{Sandbox, overheard, program, run, summary, wait_until};

/// The arguments of a run of the task loop with these values.
fn arguments<'a>(flags: &[&'a str], worker: &'a str, values: &[&'a str]) -> Vec<&'a str> {
    [flags, &["--worker", worker, ":::"], values].concat()
}

fn worker() -> String {
    program("uses_sdk").display().to_string()
}

fn exists(sandbox: &Sandbox, name: &str) -> bool {
    sandbox.path().join(name).exists()
}

/// With one token, three tasks can only meet if a child that waits does not keep it.
#[test]
fn a_child_that_waits_uses_no_token() {
    let sandbox = Sandbox::new();
    let flags = ["-q", "--procs", "1", "--max-workers", "3"];
    let done = run(&mut sandbox.msup(arguments(&flags, &worker(), &["meet:3"; 3])));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn one_token_is_never_pinned_where_there_are_several() {
    let sandbox = Sandbox::new();
    let flags = ["-q", "--procs", "2", "--max-workers", "2", "--summary", "s.json"];
    let values = ["pin-until:go"];
    let mut command = sandbox.msup(arguments(&flags, &worker(), &values));
    command.args(["tries-to-pin:a", "tries-to-pin:b"]);
    let mut child = command.spawn().expect("built");
    // Those that only try run on the other token, one after the other, perhaps before the first.
    wait_until(|| ["pinned", "a", "b"].iter().all(|name| exists(&sandbox, name)));
    sandbox.file("go", b"");
    assert!(child.wait().expect("ours").success());
    let told = |name: &str| fs::read_to_string(sandbox.path().join(name)).expect("written");
    let pins = ["a", "b"].into_iter().filter(|name| told(name) == "true").count();
    let summary = summary(&sandbox.path().join("s.json"));
    assert_eq!(summary["tokens"]["pins"], 1 + pins as u64);
}

#[test]
fn a_run_whose_only_token_is_pinned_in_a_blocking_call_says_so() {
    let sandbox = Sandbox::new();
    let flags = ["--procs", "1", "--max-workers", "2"];
    let mut command = sandbox.msup(arguments(&flags, &worker(), &["pin-until:go", "nothing"]));
    let mut child = command.stderr(Stdio::piped()).spawn().expect("built");
    let said = overheard(&mut child);
    wait_until(|| said.lock().expect("no panic").contains("the only token is pinned by tasks"));
    sandbox.file("go", b"");
    assert!(child.wait().expect("ours").success());
}

#[test]
fn files_of_task_loops_are_put_into_place_when_their_tasks_have_succeeded() {
    let sandbox = Sandbox::new();
    let flags = ["-q", "--crash-limit", "1", "--out", "made/{}"];
    fs::create_dir(sandbox.path().join("made")).expect("new");
    let values = ["makes:a", "makes:b", "fails:c", "aborts:d"];
    let done = run(&mut sandbox.msup(arguments(&flags, &worker(), &values)));
    assert_eq!(done.status.code(), Some(2), "{}", String::from_utf8_lossy(&done.stderr));
    let made = |name| fs::read_to_string(sandbox.path().join("made").join(name)).ok();
    assert_eq!((made("makes:a").as_deref(), made("makes:b").as_deref()), (Some("a"), Some("b")));
    let left: Vec<_> = fs::read_dir(sandbox.path().join("made")).expect("there").collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_task_loop_without_out_that_wants_a_file_fails_with_the_reason() {
    let sandbox = Sandbox::new();
    let done = run(&mut sandbox.msup(arguments(&[], &worker(), &["makes:a"])));
    assert_eq!(done.status.code(), Some(1));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(said.contains("run msup with --out"), "{said}");
}

#[test]
fn buffered_reading_and_writing_copies_exactly() {
    let sandbox = Sandbox::new();
    let content: String = (0..50_000).map(|n| format!("line {n}\n")).collect();
    sandbox.file("f", content.as_bytes());
    let flags = ["-q", "--summary", "s.json"];
    let done = run(&mut sandbox.msup(arguments(&flags, &worker(), &["copy:f"])));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(fs::read_to_string(sandbox.path().join("f.copy")).expect("copied") == content);
    let tokens = &summary(&sandbox.path().join("s.json"))["tokens"];
    let calls = [&tokens["fast_exits"], &tokens["slow_exits"]].map(|n| n.as_u64().unwrap_or(0));
    let blocks = (content.len() / (64 << 10)) as u64;
    assert!(
        (2 * blocks..8 * blocks).contains(&calls.iter().sum()),
        "{calls:?} for {blocks} blocks"
    );
}

#[test]
fn a_panic_fails_one_task_only() {
    let sandbox = Sandbox::new();
    let flags = ["--crash-limit", "1"];
    let done = run(&mut sandbox.msup(arguments(&flags, &worker(), &["panics", "a", "b"])));
    assert_eq!(done.status.code(), Some(1));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(said.contains("2 of 3 tasks succeeded") && said.contains("panic: asked to"), "{said}");
}

/// As if msup were absent.
#[test]
fn a_task_loop_works_without_a_supervisor() {
    let sandbox = Sandbox::new();
    sandbox.file("f", b"1\n2\n");
    let mut alone = sandbox.command(Path::new(&worker()));
    let done = msup_tests::run_with_input(&mut alone, b"copy:f\ntries-to-pin:x\nmeet:1\n");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(fs::read(sandbox.path().join("x")).expect("written"), b"true");
    assert!(exists(&sandbox, "f.copy"));
}
