//! What the journal says of tasks, and what a resume makes of it.

mod attempts;
mod blame;
mod changed_lists;
mod damage;
mod disks;
mod duplicates;
mod interrupted;
mod joblogs;
mod keeping;
mod over;
mod renumbered;
mod statuses;
mod unshown;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use msup_tests::{Sandbox, run};
use serde_json::Value;

/// In a script of a task: kills msup, and waits to be killed.
const KILLS: &str = "kill -9 $(cut -d' ' -f4 /proc/$PPID/stat); sleep 1000";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// The journal in the folder `j`.
fn journal(sandbox: &Sandbox) -> PathBuf {
    sandbox.path().join("j/journal.jsonl")
}

/// What it says of this kind.
fn told(sandbox: &Sandbox, event: &str) -> Vec<Value> {
    let all = lines(&journal(sandbox));
    let all = all.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    all.filter(|record| record["event"] == event).collect()
}

fn resume(sandbox: &Sandbox, flags: &[&str]) -> Output {
    run(&mut sandbox.msup(["resume"].iter().chain(flags).chain(&["./j"])))
}

/// Each resume is killed as well, until one is not. That one, and how many were begun.
fn resume_until_finished(sandbox: &Sandbox, flags: &[&str]) -> (Output, usize) {
    for times in 1..30 {
        let output = resume(sandbox, flags);
        if output.status.code().is_some() {
            return (output, times);
        }
    }
    panic!("it never comes to its end");
}
