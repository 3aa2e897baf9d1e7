//! Runs whose outputs are filed, and that are killed.

use std::fs;
use std::process::{Child, Stdio};

use msup_tests::{Sandbox, kill, records, run, wait_until};
use nix::sys::signal::Signal;

use super::{text, tree};

/// Starts a run of tasks with outputs of 200 KB, some of which wait for the file `go`.
fn started(sandbox: &Sandbox, flags: &[&str]) -> Child {
    let script = "if [ $((V % 3)) = 0 ]; then while [ ! -e go ]; do sleep 0.01; done; fi; \
                  seq $((V * 1000)) $((V * 1000 + 30000)); echo err $V >&2";
    let mut msup = sandbox.msup(["-q", "-j4", "--journal", "j"]);
    msup.args(flags).arg(format!("V={{}}; {script}"));
    msup.arg(":::").args((1..=20).map(|n| n.to_string()));
    msup.stdout(Stdio::null()).spawn().expect("built")
}

fn expected(value: u64) -> String {
    let numbers = value * 1000..=value * 1000 + 30000;
    numbers.map(|n| n.to_string() + "\n").collect()
}

fn killed(sandbox: &Sandbox, mut child: Child, after: usize) {
    let journal = sandbox.path().join("j/journal.jsonl");
    wait_until(|| journal.exists() && records(&journal, "end") >= after);
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait().expect("ours");
    wait_until(|| sandbox.processes().is_empty());
    sandbox.file("go", b"");
}

fn resumed(sandbox: &Sandbox) {
    let output = run(&mut sandbox.msup(["resume", "-q", "./j"]));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn a_killed_run_leaves_whole_files_and_its_resume_the_others() {
    for (flags, after) in
        [(&["--results", "made"] as &[&str], 2), (&["-k", "--results", "made"], 1)]
    {
        let sandbox = Sandbox::new();
        killed(&sandbox, started(&sandbox, flags), after);
        let check = |all: bool| {
            for value in 1..=20_u64 {
                let folder = sandbox.path().join(format!("made/1/{value}"));
                match fs::read_to_string(folder.join("stdout")) {
                    Ok(content) => assert!(content == expected(value), "{value} is not whole"),
                    Err(_) => assert!(!all, "{value} is missing"),
                }
            }
        };
        check(false);
        resumed(&sandbox);
        check(true);
        assert_eq!(tree(&sandbox.path().join("made")).len(), 1 + 20 * 4, "nothing else");
    }
}

#[test]
fn a_killed_run_and_its_resume_make_one_table() {
    for flags in [&["--results", "t.csv"] as &[&str], &["-k", "--results", "t.csv"]] {
        let sandbox = Sandbox::new();
        let is_sorted = flags[0] == "-k";
        killed(&sandbox, started(&sandbox, flags), 1);
        let table = sandbox.path().join("t.csv");
        // As a kill in the middle of a write leaves it.
        let mut torn = fs::read(&table).expect("made");
        torn.extend_from_slice(b"19,:,1.000,0.0");
        fs::write(&table, torn).expect("writable");
        resumed(&sandbox);
        let content = fs::read_to_string(&table).expect("made");
        assert!(content.starts_with("Seq,Host,"));
        let row = |line: &str| line.split_once(",:,").and_then(|(seq, _)| seq.parse().ok());
        let mut seqs: Vec<u64> = content.lines().filter_map(row).collect();
        assert!(!is_sorted || seqs.is_sorted(), "{seqs:?}");
        seqs.sort_unstable();
        assert_eq!(seqs, (1..=20).collect::<Vec<u64>>());
        for value in 1..=20 {
            let field = format!(",{value},\"{}\",\"err {value}\n\"\n", expected(value));
            assert!(content.contains(&field), "{value} is not whole");
        }
    }
}

/// A kill between the row and the record that its task has ended.
#[test]
fn a_task_that_runs_again_has_one_row() {
    let sandbox = Sandbox::new();
    let words = ["-q", "--joblog", "log", "--results", "t.json", "echo", ":::", "a", "b", "c"];
    assert!(run(&mut sandbox.msup(words)).status.success());
    let log = fs::read_to_string(sandbox.path().join("log")).expect("made");
    let shorter: Vec<&str> =
        log.split_inclusive('\n').filter(|line| !line.starts_with('2')).collect();
    fs::write(sandbox.path().join("log"), shorter.concat()).expect("writable");
    assert!(run(&mut sandbox.msup([&["--resume"], &words[..]].concat())).status.success());
    let table = fs::read_to_string(sandbox.path().join("t.json")).expect("made");
    let mut seqs: Vec<&str> = table.lines().map(|line| &line[..11]).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, [r#"{ "Seq": 1,"#, r#"{ "Seq": 2,"#, r#"{ "Seq": 3,"#]);
    assert!(table.lines().last().is_some_and(|line| line.contains("echo b")), "{table}");
}
