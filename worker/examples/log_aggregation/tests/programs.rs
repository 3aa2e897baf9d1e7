//! The example's programs by themselves. That they are named here also makes `cargo test
//! --workspace` build them for the tests with msup.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const MAKE: &str = env!("CARGO_BIN_EXE_make-logs");
const THREADS: &str = env!("CARGO_BIN_EXE_aggregate-threads");
const WORKER: &str = env!("CARGO_BIN_EXE_aggregate-logs");

fn run(program: &str, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it is built");
    // A program that is wrongly called does not read.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    child.wait_with_output().expect("it was started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable"));
    let read = |entry: fs::DirEntry| {
        let content = fs::read(entry.path()).expect("readable");
        (entry.file_name().to_string_lossy().into_owned(), content)
    };
    entries.map(read).collect()
}

#[test]
fn the_same_seed_makes_the_same_logs() {
    let folder = tempfile::tempdir().expect("a folder");
    let make = |name: &str, seed: &str| {
        let path = folder.path().join(name);
        let flags = ["--files", "8", "--size", "2K", "--poison", "25", "--long-line", "1K"];
        let place = path.display().to_string();
        let arguments: Vec<&str> = flags.into_iter().chain(["--seed", seed, &place]).collect();
        let output = run(MAKE, &arguments, "");
        assert!(output.status.success(), "{}", text(&output.stderr));
        let made: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!((&made["files"], made["poison"].as_array().map(Vec::len)), (&8.into(), Some(2)));
        contents(&path)
    };
    let logs = make("a", "1");
    assert_eq!(logs.len(), 8);
    assert!(logs == make("b", "1"));
    assert!(logs != make("c", "2"));
}

#[test]
fn wrong_calls_are_one_clear_line() {
    let wrong = [
        (MAKE, vec!["--size", "5X", "logs"], "no size, as 4096, 256K or 50M"),
        (MAKE, vec!["--poison", "101", "logs"], "not from 0 to 100"),
        (
            MAKE,
            vec!["--files", "1", "/dev/null/logs"],
            "make-logs: /dev/null/logs: Not a directory",
        ),
        (THREADS, vec!["naive", "--procs", "2", "x"], "naive has no limit"),
        (WORKER, vec![], "needs the folder for the reports as its argument"),
    ];
    for (program, arguments, expected) in wrong {
        let output = run(program, &arguments, "");
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn a_log_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().display().to_string();
    for form in ["naive", "pool", "semaphore"] {
        let output = run(THREADS, &[form, &place], "no/such.log\n");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("no/such.log: No such file or directory"), "{said}");
        assert!(said.contains("1 logs failed"), "{said}");
    }
    assert!(contents(folder.path()).is_empty());
}
