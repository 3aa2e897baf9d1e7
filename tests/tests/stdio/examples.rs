//! The examples in `worker/examples/stdio/`, as the guide shows them.

use std::fs;
use std::path::{Path, PathBuf};

use msup_tests::{Sandbox, run, run_with_input};

use super::text;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn example(name: &str) -> PathBuf {
    root().join("worker/examples/stdio").join(name)
}

/// Whether these words can be run; prints a note if they cannot.
fn runs(sandbox: &Sandbox, words: &[&str]) -> bool {
    let there = sandbox.command(words[0]).args(&words[1..]).output();
    let is_there = there.is_ok_and(|output| output.status.success());
    if !is_there {
        eprintln!("not tested: {words:?} does not run here");
    }
    is_there
}

/// Counts the lines of a few files, of which one is missing.
fn counts(sandbox: &Sandbox, name: &str, shown: &str) {
    for (file, lines) in [("one", 1), ("none", 0), ("it's \"\u{e9}\" {}", 1000)] {
        sandbox.file(file, "line\n".repeat(lines).as_bytes());
    }
    let mut msup = sandbox.msup(["-k", "-j2", "--worker-stdio"]);
    let values = [":::", "one", "none", "missing", "it's \"\u{e9}\" {}"];
    let output = run(msup.arg(example(name)).args(values));
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), shown.into()), "{said}");
    assert!(said.contains("task 3 failed: error: ") && said.contains("No such file"), "{said}");
}

/// The same with values that hold newlines.
fn counts_with_nul(sandbox: &Sandbox, name: &str) {
    sandbox.file("two\nlines", b"1\n2\n");
    let mut msup = sandbox.msup(["-k", "-0", "--worker-stdio"]);
    let output = run_with_input(msup.arg(example(name)).arg("-0"), b"two\nlines\0one\0");
    let said = text(&output.stderr);
    let shown = (output.status.code(), text(&output.stdout));
    assert_eq!(shown, (Some(0), "2 two\nlines\n1 one\n".into()), "{said}");
}

const COUNTED: &str = "1 one\n0 none\n1000 it's \"\u{e9}\" {}\n";

#[test]
fn the_python_example_counts_lines() {
    let sandbox = Sandbox::new();
    if runs(&sandbox, &["python3", "-c", "import json"]) {
        counts(&sandbox, "count.py", COUNTED);
        counts_with_nul(&sandbox, "count.py");
    }
}

#[test]
fn the_perl_example_counts_lines() {
    let sandbox = Sandbox::new();
    if runs(&sandbox, &["perl", "-MJSON::PP", "-e", "1"]) {
        counts(&sandbox, "count.pl", COUNTED);
        counts_with_nul(&sandbox, "count.pl");
    }
}

#[test]
fn the_shell_example_counts_lines() {
    counts(&Sandbox::new(), "count.sh", "1\n0\n1000\n");
}

#[test]
fn the_guide_shows_an_example_as_it_is() {
    let guide = fs::read_to_string(root().join("docs/guide/stdio-workers.md")).expect("there");
    let example = fs::read_to_string(example("count.py")).expect("there");
    assert!(guide.contains(&format!("```python\n{example}```\n")), "they differ");
}
