//! Which folder of the supervisor may use which: there are no circles.

use std::collections::BTreeSet;

use super::{code, files};

/// The folders and files at the top, each with all that it may use. What a line names stands on a
/// line above it.
const MAY_USE: [(&str, &[&str]); 18] = [
    ("arguments", &[]),
    ("engine", &[]),
    ("regexp", &[]),
    ("shard", &[]),
    ("template", &["arguments", "regexp"]),
    ("os", &[]),
    ("last_resort", &["os"]),
    ("sysmon", &["os"]),
    ("journal", &["engine", "os", "shard"]),
    ("measure", &["engine", "os"]),
    ("workers", &["engine", "os"]),
    ("pipeline", &["arguments", "journal", "template"]),
    ("input", &["arguments", "journal", "os", "regexp"]),
    ("report", &["arguments", "engine", "journal", "os", "shard"]),
    ("output", &["journal", "os", "report", "template"]),
    ("tasks", &["engine", "journal", "os", "output", "template"]),
    (
        "cli",
        &[
            "arguments",
            "engine",
            "input",
            "journal",
            "os",
            "pipeline",
            "regexp",
            "report",
            "shard",
            "template",
        ],
    ),
    (
        "run",
        &[
            "arguments",
            "cli",
            "engine",
            "input",
            "journal",
            "measure",
            "os",
            "output",
            "pipeline",
            "report",
            "shard",
            "sysmon",
            "tasks",
            "template",
            "workers",
        ],
    ),
];

/// What stands in these only puts the others together, or tests them.
const USES_ALL: [&str; 2] = ["main", "simulation"];

/// The modules at the top that a file of the supervisor names.
fn used(code: &str) -> BTreeSet<&str> {
    code.split("crate::")
        .skip(1)
        .filter_map(|text| text.split(|c: char| !c.is_alphanumeric() && c != '_').next())
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn folders_use_only_what_is_below_them() {
    let mut known = BTreeSet::new();
    for (folder, may_use) in MAY_USE {
        for below in may_use {
            assert!(known.contains(below), "{folder} uses {below}, which is not above it");
        }
        known.insert(folder);
    }
    let mut seen = BTreeSet::new();
    for path in files("supervisor/src", ".rs") {
        let parts: Vec<String> =
            path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let at = parts.windows(2).position(|two| two == ["supervisor", "src"]).expect("below it");
        let top = parts[at + 2].trim_end_matches(".rs").to_owned();
        let is_test = parts.iter().any(|part| part == "tests" || part == "tests.rs");
        if top == "bin" || USES_ALL.contains(&top.as_str()) || is_test {
            continue;
        }
        let entry = MAY_USE.iter().find(|(folder, _)| *folder == top);
        let (_, may_use) = entry.unwrap_or_else(|| panic!("{top} is not in the table"));
        let text = code(&path);
        for name in used(&text).into_iter().filter(|name| known.contains(name) && *name != top) {
            assert!(may_use.contains(&name), "{} must not use {name}", path.display());
            seen.insert((top.clone(), name.to_owned()));
        }
    }
    let allowed: usize = MAY_USE.iter().map(|(_, may_use)| may_use.len()).sum();
    assert_eq!(seen.len(), allowed, "the table allows what nothing uses: {seen:?}");
}
