//! Batches: how many values one command gets. Beside GNU parallel where it is installed.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use msup_tests::{Sandbox, kill, numbers, program, records, run, run_with_input, wait_until};
use nix::sys::signal::Signal;

/// Words of a command line, and the standard input.
type Case = (&'static [&'static str], &'static str);

const TEN: &str = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n";

/// GNU parallel does the same as `msup parallel`.
const SAME: [Case; 48] = [
    (&["-j3", "-m", "echo"], TEN),
    (&["-j3", "-X", "echo"], TEN),
    (&["-j3", "--xargs", "echo"], TEN),
    (&["-j1", "-m", "echo"], TEN),
    (&["-j1", "-X", "echo", "pre{}post"], TEN),
    (&["-j1", "-m", "echo", "pre{}post"], TEN),
    (&["-j1", "-X", "echo", "a{}b{}c", "{.}"], "1\n2\n3\n4\n"),
    (&["-j1", "-m", "echo", "a{}b{}c", "{.}"], "1\n2\n3\n4\n"),
    (&["-j2", "--xargs", "echo", "a{}b{}c", "{.}"], "1\n2\n3\n4\n"),
    (&["-j1", "-X", "echo", "{.}-{/}"], "d/a.b\nc.d\n"),
    (&["-j2", "-X", "echo a{} b; echo {}c"], "1\n2\n3\n4\n"),
    (&["-j3", "-X", "-n2", "echo"], TEN),
    (&["-j3", "-m", "-n4", "echo"], TEN),
    (&["-j3", "-m", "-n4", "echo"], "1\n2\n3\n4\n5\n6\n7\n8\n"),
    (&["-j1", "-X", "-s", "20", "echo"], TEN),
    (&["-j1", "-m", "-s", "20", "echo"], TEN),
    (&["-j1", "-m", "-s", "20", "echo", "x{}y"], TEN),
    (&["-j1", "-X", "-s", "20", "echo", "x{}"], TEN),
    (&["-j1", "-X", "--max-chars", "25", "echo", "x{} {}"], TEN),
    (&["-j2", "-s", "20", "--xargs", "echo"], TEN),
    (&["-j1", "-X", "-s", "7", "echo"], "1\n2\n3\n"),
    (&["-j1", "-X", "-s", "21", "echo"], "it's\na b\n"),
    (&["-j1", "-X", "-s", "22", "echo"], "it's\na b\n"),
    (&["-j1", "-m", "-s", "30", "--dry-run", "echo"], "it's\na b\nc\n$d\n"),
    (&["-n", "2", "-s", "8", "-x", "echo"], "1\n2\n3\n"),
    (&["-n", "2", "-s", "10", "--exit", "echo"], "1\n2\n3\n"),
    (&["-n", "2", "-s", "8", "echo"], "1\n2\n3\n"),
    (&["-L2", "echo"], "1\n2\n3\n"),
    (&["-L1", "--dry-run", "echo"], "a b \nc\n\nd\n"),
    (&["-L2", "--dry-run", "echo"], "a b \nc\n\nd\n"),
    (&["-l", "echo"], "a b \nc\n\nd\n"),
    (&["-l", "2", "echo"], "a b \nc\n\nd\n"),
    (&["-l2", "echo"], "a b\t\nc\n\nd\n"),
    (&["--max-lines=2", "echo"], "a b \nc\n\nd\n"),
    (&["--max-lines", "echo"], "a b \nc\n\nd\n"),
    (&["-E", "E", "echo"], "a\nb\nE\nd\n"),
    (&["-eE", "echo"], "a\nb\nE\nd\n"),
    (&["--eof=E", "echo"], "a\nb\nE\nd\n"),
    (&["-EE", "echo", ":::", "a", "E", "b"], ""),
    (&["-j2", "-m", "echo", ":::", "a", "b", ":::", "c", "d"], ""),
    (&["-j4", "-m", "echo"], "1\n2\n3\n4\n5\n6\n"),
    (&["-j4", "-m", "echo"], "1\n2\n3\n4\n5\n6\n7\n"),
    (&["-j4", "-m", "echo"], "1\n2\n3\n"),
    (&["-j4", "-m", "echo"], "1\n"),
    (&["-j4", "-m", "echo"], ""),
    (&["-j4", "-X", "echo", "<{}>"], "a b\nc\n"),
    (&["-j1", "-0", "-X", "echo", "{}."], "a\0b\0"),
    (&["-j1", "--colsep", ",", "-X", "echo"], "a,b\nc,d\n"),
];

fn told(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The command lines are compared in three parts, at the same time.
const PARTS: usize = 3;

#[test]
fn batches_are_those_of_gnu_parallel_1() {
    compare(0);
}

#[test]
fn batches_are_those_of_gnu_parallel_2() {
    compare(1);
}

#[test]
fn batches_are_those_of_gnu_parallel_3() {
    compare(2);
}

fn compare(part: usize) {
    let real = Command::new("parallel").arg("--version").output();
    if !real.is_ok_and(|output| output.stdout.starts_with(b"GNU parallel")) {
        println!("skipped: GNU parallel is not installed");
        return;
    }
    let sandbox = Sandbox::new();
    let mut different = Vec::new();
    for (words, input) in SAME.iter().skip(part).step_by(PARTS) {
        let ran = |program: &Path, first: &str| {
            let mut command = sandbox.command(program);
            command.env("HOME", sandbox.path()).env("SHELL", "/bin/sh").env_remove("PARALLEL");
            told(&run_with_input(command.args([first, "-k"]).args(*words), input.as_bytes()))
        };
        let real = ran(Path::new("parallel"), "--will-cite");
        let own = ran(&program("msup"), "parallel");
        if real != own {
            different.push(format!("{words:?} {input:?}:\n  {real:?}\n  {own:?}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

fn shown(words: &[&str], input: &[u8]) -> (Option<i32>, String) {
    let sandbox = Sandbox::new();
    told(&run_with_input(&mut sandbox.msup([&["-q", "-k"], words].concat()), input))
}

#[test]
fn in_its_own_reading_msup_fills_as_many_as_fit_and_spreads_none() {
    let ten = TEN.as_bytes();
    let of = |words: &[&str], text: &str| assert_eq!(shown(words, ten), (Some(0), text.into()));
    of(&["-m", "-j3", "echo", "{}."], "1 2 3 4 5 6 7 8 9 10.\n");
    of(&["-X", "-j3", "echo", "a{}", "{#}"], "a1 a2 a3 a4 a5 a6 a7 a8 a9 a10 1\n");
    of(&["-m", "-s", "20", "echo"], "1 2 3 4 5 6 7\n8 9 10\n");
    of(&["-n3", "-s", "10", "echo"], "1 2\n3 4\n5 6\n7 8\n9 10\n");
    of(&["-n3", "-s", "9", "echo"], "1 2\n3 4\n5 6\n7 8\n9\n10\n");
    of(&["-L", "4", "echo"], "1 2 3 4\n5 6 7 8\n9 10\n");
    of(&["-m", "printf '<%s>' {}; echo"], "<1><2><3><4><5><6><7><8><9><10>\n");
    of(&["-X", "echo {}; true"], "1 2 3 4 5 6 7 8 9 10\n");
}

#[test]
fn what_cannot_be_filled_is_refused_in_one_line() {
    let sandbox = Sandbox::new();
    for (words, said) in [
        (&["-X", "echo x{}; true"][..], "each {} must be a word of its own"),
        (&["-m", "--worker", "./loop"], "use -n N"),
        (&["-s", "0", "echo"], "-s 0: must be the number of bytes"),
        (&["-L", "x", "echo"], "-L x: must be the number of values"),
        (&["-n", "0.5", "echo"], "-n 0.5: must be the number of values"),
        (&["-N", "1.5", "echo"], "1.5: must be the number of values"),
        (&["-s", "1.5", "echo"], "-s 1.5: must be the number of bytes"),
        (&["-n3", "-s", "10", "-x", "echo"], "value 3: a command has room for 2 values only (-x)"),
        (&["-s", "5", "echo"], "value 1: the command with it has 7 bytes: too long"),
    ] {
        sandbox.program("loop", b"#!/bin/sh\n");
        let output = run_with_input(&mut sandbox.msup([&["-q"], words].concat()), TEN.as_bytes());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(255), "{words:?}: {text}");
        assert!(text.starts_with("msup: ") && text.contains(said), "{words:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

#[test]
fn the_limits_are_told() {
    let sandbox = Sandbox::new();
    let longest = |words: &[&str]| {
        let output = run(&mut sandbox.msup([words, &["--max-line-length-allowed"]].concat()));
        told(&output).1.trim().parse::<usize>().expect("a number")
    };
    let (own, gnu) = (longest(&[]), longest(&["parallel"]));
    assert!(own > gnu && gnu == 128 * 1024 - 1, "{own} {gnu}");
    // It is what the system allows.
    let argument = "x".repeat(gnu);
    let ran = |argument: &str| sandbox.command("true").arg(argument).status().is_ok();
    assert!(ran(&argument) && !ran(&format!("{argument}x")));
    let output = run(&mut sandbox.msup(["-q", "--show-limits", "echo", ":::", "a"]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told(&output).1 == "a\n" && said.contains(&format!("{gnu} bytes")), "{said}");
}

/// Megabytes of arguments pass through the task slots, and arrive whole.
#[test]
fn commands_are_as_long_as_the_system_allows() {
    let sandbox = Sandbox::new();
    let list = numbers(400_000);
    for (words, at_most) in [
        (&["-m", "sh", "-c", "echo $#; echo \"$*\" >>all", "_"][..], 6),
        // Variables hold the values, and the script names them.
        (&["-m", "printf '%s\\n' {} | wc -l; echo {} >>all"], 400),
        (&["-X", "--journal", "run", "sh", "-c", "echo $#; echo \"$*\" >>all", "_", "{}"], 6),
    ] {
        let _ = fs::remove_file(sandbox.path().join("all"));
        let mut msup = sandbox.msup([&["-q", "-k", "-j1"], words].concat());
        let output = run_with_input(&mut msup, &list);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.as_str()), (Some(0), ""), "{words:?}");
        let counts: Vec<u64> =
            told(&output).1.lines().map(|line| line.trim().parse().expect("a number")).collect();
        assert_eq!(counts.iter().sum::<u64>(), 400_000, "{words:?}: {counts:?}");
        assert!(counts.len() <= at_most, "{words:?}: {} commands", counts.len());
        let all = fs::read_to_string(sandbox.path().join("all")).expect("written");
        let all: Vec<u8> = all.replace([' ', '\n'], "\n").into_bytes();
        assert!(all == list, "{words:?}: the values are not those of the list");
    }
}

/// A resumed run has the same batches, also where the system would allow others now.
#[test]
fn a_run_with_batches_is_resumed() {
    let sandbox = Sandbox::new();
    sandbox.file("list", &numbers(100));
    let script = "test $1 = 1 || test -e go || sleep 100; echo \"$*\" >>all";
    let words = ["-q", "-j1", "-m", "-s", "120", "-a", "list", "--journal", "run", "--", "sh"];
    let mut msup = sandbox.msup(words);
    msup.args(["-c", script, "_"]).stdout(Stdio::null());
    let mut child = msup.spawn().expect("built");
    let journal = sandbox.path().join("run/journal.jsonl");
    wait_until(|| journal.exists() && records(&journal, "inputs-end") == 1);
    wait_until(|| sandbox.path().join("all").exists());
    wait_until(|| records(&journal, "end") == 1);
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait().expect("ours");
    wait_until(|| sandbox.processes().is_empty());
    sandbox.file("go", b"");
    // Another list and another environment make no difference.
    sandbox.file("list", b"x\n");
    let mut resume = sandbox.msup(["resume", "-q", "./run"]);
    let output = run(resume.env("LONG", "x".repeat(100_000)));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let all = fs::read_to_string(sandbox.path().join("all")).expect("written");
    let mut all: Vec<u32> =
        all.split_ascii_whitespace().map(|word| word.parse().expect("a number")).collect();
    // What was under way runs last.
    all.sort_unstable();
    assert_eq!(all, (1..=100).collect::<Vec<_>>());
}
