//! docs/guide/coming-from-parallel.md: every row that says "same" is run by msup and by the real
//! GNU parallel, where that is installed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use msup_tests::{Sandbox, program, run};

/// An example that takes more seconds is considered to hang. All take less than a tenth of it.
const HANGS_AFTER: &str = "50";

/// The exit status of `timeout` then.
const HUNG: i32 = 124;

/// Flags whose commands wait while the whole machine swaps, is loaded or lacks memory.
const WAIT_FOR_THE_MACHINE: [&str; 3] = ["`--load`", "`--memfree`", "`--noswap`"];

/// What the page says of a flag.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
enum Verdict {
    Same,
    Better,
    Different,
    No,
}

/// A row of one of the tables.
struct Row {
    flag: String,
    verdict: Verdict,
    /// The example of one that is the same.
    example: String,
}

fn page() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
    std::fs::read_to_string(root.join("docs/guide/coming-from-parallel.md")).expect("the page")
}

/// The rows of all tables. Cells are separated by ` | ` outside backticks.
fn rows(page: &str) -> Vec<Row> {
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| flag |"));
    let row = |line: &str| {
        let inner = line.trim_start_matches("| ").trim_end_matches(" |");
        let (flag, rest) = inner.split_once(" | ").expect("a second cell");
        let (verdict, note) = rest.split_once(" | ").expect("a third cell");
        let verdict = match verdict {
            "same" => Verdict::Same,
            "better" => Verdict::Better,
            "different" => Verdict::Different,
            "no" => Verdict::No,
            other => panic!("{flag}: {other}"),
        };
        let example = note.trim_matches('`').to_owned();
        Row { flag: flag.to_owned(), verdict, example }
    };
    rows.map(row).collect()
}

/// A sandbox for one program, with what examples use.
struct Place {
    sandbox: Sandbox,
    /// A folder that comes first in `$PATH`.
    first: Option<PathBuf>,
}

impl Place {
    /// `own`: `parallel` is msup.
    fn new(own: bool) -> Place {
        let sandbox = Sandbox::new();
        sandbox.file("list", b"l1\nl2\nl3\n");
        std::fs::create_dir(sandbox.path().join(".parallel")).expect("writable");
        std::fs::write(sandbox.path().join(".parallel/prof"), "-k --tag\n").expect("writable");
        let bin = sandbox.path().join("bin");
        std::fs::create_dir(&bin).expect("writable");
        if own {
            std::os::unix::fs::symlink(program("msup"), bin.join("parallel")).expect("a new name");
        }
        Place { sandbox, first: own.then_some(bin) }
    }

    /// What an example shows, and its exit status.
    fn run(&self, example: &str) -> (Option<i32>, String) {
        let mut bash = self.sandbox.command("timeout");
        bash.args(["--kill-after=5", HANGS_AFTER, "bash"]);
        // GNU parallel asks terminfo how colours are reset.
        bash.env("HOME", self.sandbox.path()).env_remove("PARALLEL").env_remove("TERM");
        if let Some(first) = &self.first {
            let path = std::env::var("PATH").expect("a path");
            bash.env("PATH", format!("{}:{path}", first.display()));
        }
        let Output { status, stdout, .. } = run(bash.args(["-c", example]));
        // What --files leaves for the user.
        for left in self.sandbox.residue().into_iter().filter(|left| {
            left.file_name().is_some_and(|name| name.to_string_lossy().starts_with("par"))
        }) {
            std::fs::remove_file(left).expect("it is there");
        }
        (status.code(), String::from_utf8_lossy(&stdout).into_owned())
    }
}

#[test]
fn rows_that_say_same_are_the_same() {
    let real = Command::new("parallel").arg("--version").output();
    if !real.is_ok_and(|output| output.stdout.starts_with(b"GNU parallel")) {
        println!("skipped: GNU parallel is not installed");
        return;
    }
    let mut different = Vec::new();
    for row in rows(&page()).iter().filter(|row| row.verdict == Verdict::Same) {
        assert!(row.example.contains("parallel"), "{}: no example", row.flag);
        let real = Place::new(false).run(&row.example);
        let own = Place::new(true).run(&row.example);
        if WAIT_FOR_THE_MACHINE.contains(&row.flag.as_str()) && real.0 == Some(HUNG) {
            println!("not compared: GNU parallel waits for a calmer machine: {}", row.example);
        } else if real != own {
            different.push(format!("{}: {}\n  {real:?}\n  {own:?}", row.flag, row.example));
        }
    }
    assert!(different.is_empty(), "{} rows:\n{}", different.len(), different.join("\n"));
}

/// The page says how many rows of each kind there are.
#[test]
fn the_page_counts_its_rows() {
    let page = page();
    let mut counts = BTreeMap::new();
    for row in rows(&page) {
        *counts.entry(row.verdict).or_insert(0) += 1;
    }
    let [same, better, different, no] =
        [Verdict::Same, Verdict::Better, Verdict::Different, Verdict::No]
            .map(|verdict| counts.get(&verdict).copied().unwrap_or(0));
    let line = format!("{same} same, {better} better, {different} different, {no} no");
    assert!(page.contains(&line), "the page should say: {line}");
}
