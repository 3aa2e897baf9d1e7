//! The repository's own rules: which crate may use which, sizes of files, names in documents.

mod imports;
mod names;
mod records;
mod sizes;
mod words;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const LINES_AT_MOST: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with(".git") {
                folders.push(path);
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "no {ending} in {folder}");
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("text")
}

/// A source file without its tests and comments.
fn code(path: &Path) -> String {
    let text = read(path);
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let lines = text[..end].lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn assert_free_of(folder: &str, words: &[&str], but: &[&str]) {
    let is_free = |path: &PathBuf| !but.iter().any(|name| path.ends_with(name));
    for path in files(folder, ".rs").into_iter().filter(is_free) {
        let code = code(&path);
        for word in words {
            assert!(!code.contains(word), "{} must not use {word}", path.display());
        }
    }
}

#[test]
fn every_file_says_what_it_is_about_and_is_small() {
    for path in files(".", ".rs") {
        let text = read(&path);
        assert!(text.starts_with("//! "), "{} does not begin with //!", path.display());
        let lines = if path.ends_with("tests.rs") { 0 } else { code(&path).lines().count() };
        assert!(lines <= LINES_AT_MOST, "{} has {lines} lines", path.display());
    }
}

#[test]
fn the_layers_hold() {
    assert_free_of("protocol/src", &["msup_worker", "crate::engine"], &[]);
    assert_free_of("worker/src", &["shared_memory", "segment::create"], &[]);
    // One exception, three lines long: docs/decisions/0007.
    assert_free_of("supervisor/src", &["msup_worker"], &["bin/msup-worker.rs"]);
    let effects =
        ["crate::os", "std::fs", "std::process", "std::thread", "Instant", "rustix", "nix"];
    assert_free_of("supervisor/src/engine", &effects, &[]);
    assert_free_of("supervisor/src/os", &["Engine", "Effect"], &[]);
}

#[test]
fn shared_words_are_atomics_behind_one_door() {
    assert_free_of("protocol/src", &["std::sync::atomic"], &["sync.rs"]);
    let serializer = ["bincode", "serde"];
    let is_codec = |path: &&PathBuf| {
        path.ends_with("codec.rs") || path.parent().is_some_and(|above| above.ends_with("codec"))
    };
    for path in files("protocol/src", ".rs").iter().filter(|path| !is_codec(path)) {
        assert!(!serializer.iter().any(|word| code(path).contains(word)), "{}", path.display());
    }
}

#[test]
fn manifests_keep_to_the_layers() {
    let depends = |manifest: &str, on: &str| {
        let text = read(&root().join(manifest));
        let lines = text.lines().skip_while(|line| *line != "[dependencies]");
        lines.take_while(|line| !line.starts_with("[dev-")).any(|line| line.starts_with(on))
    };
    assert!(!depends("protocol/Cargo.toml", "msup"));
    assert!(depends("worker/Cargo.toml", "msup-protocol"));
    assert!(!depends("worker/Cargo.toml", "msup."));
    assert!(!depends("protocol/Cargo.toml", "tokio") && !depends("supervisor/Cargo.toml", "tokio"));
}

#[test]
fn names_say_something() {
    for path in files(".", ".rs") {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let empty = ["util", "utils", "misc", "common", "helper", "helpers"];
        assert!(!empty.contains(&name.as_str()), "{}", path.display());
    }
}

#[test]
fn documents_name_what_is_there() {
    for document in files(".", ".md") {
        for (number, line) in read(&document).lines().enumerate() {
            for name in line.split('`').skip(1).step_by(2).filter(|name| is_path(name)) {
                let path = root().join(name.trim_end_matches('/'));
                let place = format!("{}:{}", document.display(), number + 1);
                assert!(path.exists(), "{place}: {name} is not there");
            }
        }
    }
}

/// `folder/file.rs`, as opposed to a type, a flag or a path of some other machine.
fn is_path(name: &str) -> bool {
    let tops = ["protocol/", "worker/", "supervisor/", "tests/", "configs/", "docs/", ".ci/"];
    tops.iter().any(|top| name.starts_with(top)) && !name.contains(['*', ' ', '{', 'N'])
}

/// Every `// CRASH: label` stands over the point of that name, and has a test and a row in the
/// table.
#[test]
fn every_crash_point_has_its_test_and_its_row() {
    let tests = files("tests/tests/crash_points", ".rs").into_iter().map(|path| read(&path));
    let tests = tests.chain([read(&root().join("tests/tests/crash_points.rs"))]);
    let tests: String = tests.collect();
    let table = read(&root().join("protocol/src/token/README.md"));
    let (mut labels, mut points) = (BTreeSet::new(), BTreeSet::new());
    for folder in ["protocol/src", "worker/src", "supervisor/src"] {
        for path in files(folder, ".rs") {
            let text = read(&path);
            let quoted = |line: &str| line.split('"').nth(1).map(str::to_owned);
            let mut last = None;
            for line in text.lines().map(str::trim) {
                if let Some(comment) = line.strip_prefix("// CRASH: ") {
                    last = comment.split('.').next().map(str::to_owned);
                    labels.extend(last.clone());
                } else if line.starts_with("crash::point(") {
                    assert_eq!(quoted(line), last, "{}: {line}", path.display());
                    points.extend(quoted(line));
                }
            }
        }
    }
    assert!(labels.len() > 20, "they have not been found");
    assert_eq!(labels, points);
    for label in &labels {
        assert!(tests.contains(&format!("#[test]\nfn {label}() {{")), "{label} has no test");
        assert!(table.contains(&format!("| `{label}` |")), "{label} has no row");
    }
    let tested = tests.matches("#[test]").count();
    assert_eq!(tested, labels.len(), "a test of a point that is not there");
}

#[test]
fn unsafe_code_is_confined() {
    assert_free_of("supervisor/src", &["unsafe {", "unsafe fn"], &[]);
    assert_free_of("tests/tests", &["unsafe {", "unsafe fn"], &["main.rs"]);
    // A mapped file; what no worker should do.
    assert_free_of(
        "tests/src",
        &["unsafe {", "unsafe fn"],
        &["board.rs", "misbehaves.rs", "first_thread_exits.rs"],
    );
}

#[test]
fn every_scenario_names_tests_that_there_are() {
    let table = read(&root().join("docs/scenarios.md"));
    let mut named = 0;
    for words in table.split('`').skip(1).step_by(2) {
        let Some((file, test)) = words.split_once("::") else { continue };
        let text = read(&root().join("tests/tests").join(file));
        assert!(text.contains(&format!("fn {test}()")), "{words} is no test");
        named += 1;
    }
    assert!(named >= 25, "{named} tests named");
}
