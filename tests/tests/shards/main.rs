//! `--shard`: each of several runs does a share of the tasks of one list.

mod collect;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::thread;

use collect::collect;
use msup_tests::{Sandbox, kill, run, spawn_piped, summary, wait_until};
use nix::sys::signal::Signal;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect()
}

/// What every shard is told: the numbers from 1 to 40, one a line.
fn list(sandbox: &Sandbox) {
    let all: String = (1..=40).map(|number| format!("v{number}\n")).collect();
    sandbox.file("list", all.as_bytes());
}

fn shard(sandbox: &Sandbox, nth: u32, words: &[&str]) -> Command {
    let mut msup = sandbox.msup(["--shard", &format!("{nth}/4"), "-k"]);
    msup.args(words);
    msup
}

/// How often each line is in this file.
fn counts(sandbox: &Sandbox, name: &str) -> BTreeMap<String, usize> {
    let text = fs::read_to_string(sandbox.path().join(name)).unwrap_or_default();
    let mut counts = BTreeMap::new();
    text.lines().for_each(|line| *counts.entry(line.to_owned()).or_default() += 1);
    counts
}

#[test]
fn each_task_runs_in_one_shard_and_numbers_are_those_of_the_list() {
    let sandbox = Sandbox::new();
    list(&sandbox);
    for nth in 0..4 {
        let summary_file = format!("s{nth}.json");
        let words = ["--summary", &summary_file, "echo", "{#}", "{}", "::::", "list"];
        let output = run(&mut shard(&sandbox, nth, &words));
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let expected = (1..=40).filter(|number| number % 4 == nth);
        let expected: Vec<String> = expected.map(|number| format!("{number} v{number}")).collect();
        assert_eq!(lines(&output.stdout), expected);
        assert!(said(&output).contains(&format!("msup: shard {nth}/4\n")), "{}", said(&output));
        assert!(said(&output).contains("10 of 10 tasks succeeded"), "{}", said(&output));
        let tasks = &summary(&sandbox.path().join(&summary_file))["tasks"];
        assert_eq!((&tasks["total"], &tasks["succeeded"]), (&10.into(), &10.into()));
    }
}

#[test]
fn values_from_a_pipe_are_divided_too() {
    let sandbox = Sandbox::new();
    let mut shell = sandbox.command("sh");
    let msup = msup_tests::program("msup");
    let script = format!("seq 1001 | {} -q -k --shard 1/500 echo", msup.display());
    let output = run(shell.args(["-c", &script]));
    assert_eq!(lines(&output.stdout), ["1", "501", "1001"]);
}

#[test]
fn the_scheduler_says_which_shard_it_is() {
    let sandbox = Sandbox::new();
    list(&sandbox);
    let mut msup = sandbox.msup(["--shard", "auto", "-k", "echo", "::::", "list"]);
    for (name, value) in [("ID", "2"), ("MIN", "0"), ("MAX", "3"), ("COUNT", "4"), ("STEP", "1")] {
        msup.env(format!("SLURM_ARRAY_TASK_{name}"), value);
    }
    let output = run(&mut msup);
    assert_eq!(lines(&output.stdout).first().map(String::as_str), Some("v2"));
    assert!(said(&output).contains("shard 2/4 (SLURM_ARRAY_TASK_ID=2)"), "{}", said(&output));
    let output = run(&mut sandbox.msup(["--shard", "auto", "echo", "::::", "list"]));
    assert_eq!(output.status.code(), Some(255));
    assert!(said(&output).contains("no scheduler says which shard this is"), "{}", said(&output));
    assert!(output.stdout.is_empty(), "never all tasks");
}

#[test]
fn what_has_no_fixed_numbers_is_refused() {
    let sandbox = Sandbox::new();
    for flag in ["--shuf", "-X", "-m", "--pipe"] {
        let output = run(&mut sandbox.msup(["--shard", "0/2", flag, "cat", ":::", "1"]));
        assert_eq!(output.status.code(), Some(255), "{flag}");
        assert!(said(&output).contains(flag) && said(&output).lines().count() == 1, "{flag}");
    }
}

/// Appends its value to `ran`, then makes its file.
const TASK: &str = "echo {} >>ran; sleep 0.05; echo made {} >{out}";

fn start<'a>(sandbox: &Sandbox, nth: u32, more: &[&'a str], task: &'a str) -> Command {
    let fixed = ["--journal", "journals", "--out", "out/{}", task, "::::", "list"];
    shard(sandbox, nth, &[&["-j4"], more, &fixed].concat())
}

/// The same where the processes of this machine cannot be seen, as on another one.
fn elsewhere(sandbox: &Sandbox, msup: &Command) -> Command {
    let mut elsewhere = sandbox.command("unshare");
    elsewhere.args(["--pid", "--mount-proc", "--fork", "--kill-child"]);
    elsewhere.arg(msup.get_program()).args(msup.get_args());
    elsewhere
}

fn all_files(sandbox: &Sandbox, nth: u32) {
    for number in (1..=40).filter(|number| number % 4 == nth) {
        let path = sandbox.path().join(format!("out/v{number}"));
        let content = fs::read_to_string(&path).unwrap_or_else(|why| panic!("{number}: {why}"));
        assert_eq!(content, format!("made v{number}\n"));
    }
}

#[test]
fn a_shard_that_is_killed_goes_on_when_it_is_started_again() {
    let sandbox = Sandbox::new();
    list(&sandbox);
    let mut msup = spawn_piped(&mut start(&sandbox, 1, &["-j1"], TASK));
    wait_until(|| counts(&sandbox, "ran").len() >= 4);
    kill(msup.id() as i32, Signal::SIGKILL);
    msup.wait().expect("ours");
    let before = counts(&sandbox, "ran").len();
    let output = run(&mut start(&sandbox, 1, &[], TASK));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("was started once before"), "{}", said(&output));
    let ran = counts(&sandbox, "ran");
    assert_eq!(ran.len(), 10);
    // At most the one that was in flight, and one whose file was being placed.
    let again = ran.values().sum::<usize>() - 10;
    assert!(before < 10 && again <= 2, "{ran:?}");
    all_files(&sandbox, 1);
    let names: Vec<_> = fs::read_dir(sandbox.path().join("journals/shard-1"))
        .expect("there")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("text"))
        .collect();
    assert_eq!(names.len(), 2, "each start has its own: {names:?}");
}

#[test]
fn a_shard_that_runs_twice_at_once_makes_each_file_once() {
    let sandbox = Sandbox::new();
    list(&sandbox);
    let twice: Vec<Output> = thread::scope(|scope| {
        let start = || scope.spawn(|| run(&mut start(&sandbox, 2, &[], TASK)));
        let both = [start(), start()];
        both.map(|thread| thread.join().expect("no panic")).into()
    });
    for output in &twice {
        assert_eq!(output.status.code(), Some(0), "{}", said(output));
    }
    all_files(&sandbox, 2);
    let told: String = twice.iter().map(said).collect();
    assert!(told.contains("another start of this shard has made"), "{told}");
    let left = fs::read_dir(sandbox.path().join("out")).expect("there").count();
    assert_eq!(left, 10, "no temporary file is left");
    let claims = fs::read_dir(sandbox.path().join("journals/claims-2")).expect("there");
    assert_eq!(claims.count(), 10);
}

#[test]
fn the_early_warning_of_a_scheduler_drains_a_shard() {
    let sandbox = Sandbox::new();
    list(&sandbox);
    let mut msup = start(&sandbox, 3, &["-j1"], TASK);
    let mut msup = spawn_piped(&mut msup);
    wait_until(|| counts(&sandbox, "ran").len() >= 2);
    kill(msup.id() as i32, Signal::SIGUSR1);
    let status = msup.wait().expect("ours");
    assert_eq!(status.signal(), Some(Signal::SIGUSR1 as i32), "138 in a shell");
    let before = counts(&sandbox, "ran");
    assert!(before.len() < 10);
    let output = run(&mut start(&sandbox, 3, &[], TASK));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let ran = counts(&sandbox, "ran");
    assert!(ran.len() == 10 && ran.values().all(|count| *count == 1), "nothing twice: {ran:?}");
    all_files(&sandbox, 3);
}

/// A scheduler that cancels a job sends SIGTERM to its tasks, too: they run again.
#[test]
fn tasks_that_are_killed_with_their_shard_have_not_failed() {
    let sandbox = Sandbox::new();
    // Two tasks: a worker that is free would start a third one before msup hears of the signal.
    sandbox.file("list", b"v1\nv2\nv3\nv4\nv5\nv6\nv7\nv8\n");
    let waits = "echo $$ >>pids; [ -e go ] || exec sleep 100; echo made {} >{out}";
    let mut msup = spawn_piped(&mut start(&sandbox, 3, &["-j2", "--retries", "1"], waits));
    wait_until(|| counts(&sandbox, "pids").len() >= 2);
    let cancel = || {
        let pids = counts(&sandbox, "pids").into_keys();
        pids.for_each(|pid| kill(pid.parse().expect("a number"), Signal::SIGTERM));
    };
    // It comes to the tasks first, which are then started again.
    cancel();
    wait_until(|| counts(&sandbox, "pids").len() >= 4);
    kill(msup.id() as i32, Signal::SIGTERM);
    cancel();
    assert_eq!(msup.wait().expect("ours").signal(), Some(Signal::SIGTERM as i32));
    assert!(!collect(&sandbox).1.contains("failed"), "{}", collect(&sandbox).1);
    sandbox.file("go", b"");
    let output = run(&mut start(&sandbox, 3, &["-j2", "--retries", "1"], waits));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    for value in ["v3", "v7"] {
        let content = fs::read_to_string(sandbox.path().join("out").join(value)).expect("made");
        assert_eq!(content, format!("made {value}\n"));
    }
}

#[test]
fn a_finished_shard_tries_its_failed_tasks_again() {
    let sandbox = Sandbox::new();
    list(&sandbox);
    let fails = "test -e right && echo made {} >{out} || { echo {} >>ran; exit 3; }";
    let output = run(&mut start(&sandbox, 0, &["--retries", "1"], fails));
    assert_eq!(output.status.code(), Some(10), "{}", said(&output));
    sandbox.file("right", b"");
    let output = run(&mut start(&sandbox, 0, &["--retries", "1"], fails));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    all_files(&sandbox, 0);
    assert_eq!(counts(&sandbox, "ran").values().sum::<usize>(), 10);
}

#[test]
fn journals_of_another_number_of_shards_are_refused() {
    let sandbox = Sandbox::new();
    list(&sandbox);
    assert!(run(&mut start(&sandbox, 0, &[], TASK)).status.success());
    let words = ["--shard", "0/5", "--journal", "journals", "true", "::::", "list"];
    let output = run(&mut sandbox.msup(words));
    assert_eq!(output.status.code(), Some(255));
    assert!(said(&output).contains("the shards of this folder are of 4"), "{}", said(&output));
}

#[test]
fn another_command_in_the_folder_of_a_shard_is_refused() {
    let sandbox = Sandbox::new();
    list(&sandbox);
    assert!(run(&mut start(&sandbox, 0, &[], TASK)).status.success());
    let output = run(&mut start(&sandbox, 0, &[], "echo other {} >{out}"));
    assert_eq!(output.status.code(), Some(255));
    assert!(said(&output).contains("was started with another command"), "{}", said(&output));
    let starts = fs::read_dir(sandbox.path().join("journals/shard-0")).expect("there").count();
    assert_eq!(starts, 1, "nothing was begun");
}

/// Files that a killed start has not finished are removed by the next one on this machine; those
/// of another machine by `msup collect`, when all is complete.
#[test]
fn temporary_files_of_dead_starts_are_removed() {
    let sandbox = Sandbox::new();
    list(&sandbox);
    let temporaries = || {
        let entries = fs::read_dir(sandbox.path().join("out")).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with(".msup-")).collect::<Vec<_>>()
    };
    // It says that it hangs when it does not look at `go` any more.
    let hangs =
        "echo half >{out}; [ -e go ] || { echo {} >>hung; sleep 100; }; echo made {} >{out}";
    let cut_off = |msup: &mut Command| {
        let before = counts(&sandbox, "hung").len();
        let mut msup = spawn_piped(msup);
        wait_until(|| counts(&sandbox, "hung").len() > before);
        kill(msup.id() as i32, Signal::SIGKILL);
        msup.wait().expect("ours");
    };
    cut_off(&mut start(&sandbox, 0, &["-j1"], hangs));
    sandbox.file("go", b"");
    assert!(run(&mut start(&sandbox, 0, &["-j1"], hangs)).status.success());
    assert_eq!(temporaries(), [""; 0]);
    fs::remove_file(sandbox.path().join("go")).expect("there");
    cut_off(&mut elsewhere(&sandbox, &start(&sandbox, 1, &["-j1"], hangs)));
    sandbox.file("go", b"");
    for nth in 1..4 {
        assert!(run(&mut start(&sandbox, nth, &["-j1"], hangs)).status.success());
    }
    let left = temporaries();
    assert_eq!(left.len(), 1, "what another machine has left stays: {left:?}");
    let (status, text) = collect(&sandbox);
    assert_eq!(status, Some(0), "{text}");
    assert_eq!(temporaries(), [""; 0]);
}

#[test]
fn another_list_in_the_folder_of_a_shard_is_refused() {
    let sandbox = Sandbox::new();
    list(&sandbox);
    assert!(run(&mut start(&sandbox, 0, &[], TASK)).status.success());
    sandbox.file("list", b"v0\nv1\nv2\nv3\nv4\n");
    let output = run(&mut start(&sandbox, 0, &[], TASK));
    assert!(!output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("give another list another --journal"), "{}", said(&output));
    sandbox.file("list", b"");
    let output = run(&mut start(&sandbox, 0, &[], TASK));
    assert!(!output.status.success(), "an empty list: {}", said(&output));
}

/// One start of a shard knows only what it has done itself.
#[test]
fn a_start_of_a_shard_is_neither_resumed_nor_retried_alone() {
    let sandbox = Sandbox::new();
    list(&sandbox);
    let output = run(&mut start(&sandbox, 1, &["--retries", "1"], "exit 3"));
    assert_eq!(output.status.code(), Some(10));
    assert!(said(&output).contains("start the same command line again"), "{}", said(&output));
    for verb in ["resume", "retry"] {
        let output = run(&mut sandbox.msup([verb, "journals/shard-1/1"]));
        assert_eq!(output.status.code(), Some(255), "{verb}");
        assert!(said(&output).contains("one start of a shard"), "{verb}: {}", said(&output));
    }
}

#[test]
fn a_file_that_a_task_of_another_shard_makes_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.file("list", b"a\nb\nc\na\n");
    let words = ["--shard", "0/4", "--out", "{}.out", "echo {} >{out}", "::::", "list"];
    let output = run(&mut sandbox.msup(words));
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("task 1"), "{}", said(&output));
}

#[test]
fn a_dry_run_shows_the_share() {
    let sandbox = Sandbox::new();
    list(&sandbox);
    let words = ["--shard", "1/20", "--dry-run", "echo", "{#}", "::::", "list"];
    let output = run(&mut sandbox.msup(words));
    assert_eq!(lines(&output.stdout), ["echo 1", "echo 21"]);
}

#[test]
fn what_only_all_shards_can_have_is_said() {
    let sandbox = Sandbox::new();
    list(&sandbox);
    let output = run(&mut start(&sandbox, 1, &["--joblog", "log"], TASK));
    assert_eq!(output.status.code(), Some(255));
    assert!(said(&output).contains("msup collect --joblog"), "{}", said(&output));
    let output = run(&mut shard(&sandbox, 1, &["true", "::::", "list"]));
    assert!(said(&output).contains("without --journal FOLDER, msup collect cannot"));
}

/// Tasks that a task loop adds belong to its shard; two starts never give one number twice, and
/// what a task has added counts once.
#[test]
fn tasks_that_others_add_are_done_by_whichever_start_comes_next() {
    let sandbox = Sandbox::new();
    sandbox.file("list", b"leaf:x\nmany:3\n");
    let worker = msup_tests::program("emits");
    let worker = worker.to_str().expect("text");
    let start = || {
        let mut msup = sandbox.msup(["--shard", "0/2", "--journal", "j", "--worker", worker]);
        msup.args(["::::", "list"]);
        msup
    };
    let output = run(&mut start());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let output = run(&mut start());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let output = run(&mut sandbox.msup(["collect", "j"]));
    assert!(said(&output).contains("shard 1/2 has not begun"), "{}", said(&output));
    assert!(!said(&output).contains("shard 0/2"), "complete: {}", said(&output));
}

#[test]
fn a_resume_keeps_the_shard_of_the_first_start() {
    let sandbox = Sandbox::new();
    list(&sandbox);
    let words = ["-j1", "echo {} >>ran; sleep 0.05", "::::", "list"];
    let mut msup = sandbox.msup(["--shard", "auto"]);
    msup.args(words).env("AWS_BATCH_JOB_ARRAY_INDEX", "1").env("AWS_BATCH_JOB_ARRAY_SIZE", "4");
    let mut msup = spawn_piped(&mut msup);
    wait_until(|| counts(&sandbox, "ran").len() >= 2);
    kill(msup.id() as i32, Signal::SIGTERM);
    msup.wait().expect("ours");
    let output = run(&mut sandbox.msup(["resume"]));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let expected: Vec<String> = (1..=40).filter(|n| n % 4 == 1).map(|n| format!("v{n}")).collect();
    let mut ran: Vec<String> = counts(&sandbox, "ran").into_keys().collect();
    ran.sort_by_key(|value| value[1..].parse::<u32>().ok());
    assert_eq!(ran, expected);
}
