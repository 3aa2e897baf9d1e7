//! Words: documents and messages are in plain English.

use super::{files, read, root};

/// Processes are "it", or named; these words make a reader ask which one is meant.
const NOT_FOR_PROCESSES: [&str; 6] = ["who", "whoever", "whom", "nobody", "somebody", "everybody"];

/// Documents for users and for those who change the code. Accepted decision records stay as they
/// are.
fn documents() -> Vec<std::path::PathBuf> {
    let records = root().join("docs/decisions");
    let is_ours = |path: &std::path::PathBuf| {
        let is_record = path.starts_with(&records) && !path.ends_with("README.md");
        !is_record && !path.ends_with("docs/performance.md")
    };
    files(".", ".md").into_iter().filter(is_ours).collect()
}

fn words(line: &str) -> impl Iterator<Item = String> {
    line.split(|c: char| !c.is_alphabetic()).map(str::to_lowercase)
}

#[test]
fn documents_call_processes_by_their_names() {
    let mut wrong = Vec::new();
    for path in documents() {
        for (number, line) in read(&path).lines().enumerate() {
            // Names of tests and of files stand between backticks.
            let prose: String = line.split('`').step_by(2).collect();
            let mut found = words(&prose).filter(|word| NOT_FOR_PROCESSES.contains(&word.as_str()));
            if let Some(word) = found.next() {
                wrong.push(format!("{}:{}: {word}", path.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What stands between quotes in the supervisor is mostly shown to users; doc comments of flags
/// are `--help`.
#[test]
fn messages_and_help_call_processes_by_their_names() {
    let mut wrong = Vec::new();
    for path in files("supervisor/src", ".rs") {
        let text = super::code(&path);
        let is_test = path.iter().any(|part| part == "tests" || part == "tests.rs");
        let is_help = path.ends_with("args.rs");
        if is_test || path.iter().any(|part| part == "simulation") {
            continue;
        }
        let shown: Vec<String> = if is_help {
            read(&path).lines().filter(|line| line.contains("///")).map(str::to_owned).collect()
        } else {
            text.split('"').skip(1).step_by(2).map(str::to_owned).collect()
        };
        for text in shown {
            let mut found = words(&text).filter(|word| NOT_FOR_PROCESSES.contains(&word.as_str()));
            if let Some(word) = found.next() {
                wrong.push(format!("{}: {word}: {text}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Names and comments too, where processes are what the code is about.
#[test]
fn code_about_processes_calls_them_by_their_names() {
    let mut wrong = Vec::new();
    for path in ["protocol", "worker", "tests"].iter().flat_map(|folder| files(folder, ".rs")) {
        if path.ends_with("tidy/words.rs") {
            continue;
        }
        for (number, line) in read(&path).lines().enumerate() {
            let mut found = words(line).filter(|word| NOT_FOR_PROCESSES.contains(&word.as_str()));
            if let Some(word) = found.next() {
                wrong.push(format!("{}:{}: {word}", path.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
