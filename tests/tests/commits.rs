//! `--out`: a task's file is whole or not there, and renamed into place once, whatever is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use msup_tests::{
    Sandbox, TASKS_DO_NOT_KILL, has_begun, kill, run, spawn_piped, summary, wait_until,
};
use nix::sys::signal::Signal;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn shell<'a>(flags: &[&'a str], script: &'a str) -> Vec<&'a str> {
    let words = ["-q", "--out", "{.}.out", "--", "sh", "-c", script, "sh", "{}", "{out}", ":::"];
    flags.iter().copied().chain(words).collect()
}

fn read(sandbox: &Sandbox, name: &str) -> String {
    fs::read_to_string(sandbox.path().join(name)).unwrap_or_else(|why| format!("{name}: {why}"))
}

/// What lies in a folder, hidden files too; but not what the sandbox itself keeps there.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable"));
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| !["tmp", "state"].contains(&name.as_str())).collect()
}

fn is_temporary(name: &str) -> bool {
    name.starts_with(".msup-")
}

fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

#[test]
fn a_file_appears_when_it_is_complete() {
    let sandbox = Sandbox::new();
    let script =
        "printf 'half of '>$2; while ! test -e go; do sleep 0.01; done; echo $1 >>$2; echo $2";
    let msup = spawn_piped(sandbox.msup(shell(&["-j1"], script)).arg("a.txt"));
    wait_until(|| names(sandbox.path()).iter().any(|name| is_temporary(name)));
    assert!(!sandbox.path().join("a.out").exists());
    sandbox.file("go", b"");
    let output = msup.wait_with_output().expect("it was started");
    assert!(output.status.success());
    assert_eq!(read(&sandbox, "a.out"), "half of a.txt\n");
    let name = text(&output.stdout);
    assert!(name.starts_with(".msup-") && name.ends_with("-1.1-a.out\n"), "{name}");
    assert_eq!(names(sandbox.path()), set(["a.out", "go"]));
}

#[test]
fn scripts_and_programs_get_the_name_in_three_ways() {
    let sandbox = Sandbox::new();
    let out = ["-q", "--out", "made/{/.} {#}"];
    let all = run(sandbox.msup(out).args(["echo {} >{out}", ":::", "d/x.1"]));
    assert!(all.status.success(), "{}", text(&all.stderr));
    let by_name = run(sandbox
        .msup(out)
        .args(["--", "sh", "-c", "echo $1 >\"$MSUP_OUT\"", "sh"])
        .args([":::", "d/y.1"]));
    assert!(by_name.status.success(), "{}", text(&by_name.stderr));
    let program = run(sandbox.msup(out).args(["--", "cp", "made/x 1", "{out}", ":::", "z"]));
    assert!(program.status.success(), "{}", text(&program.stderr));
    for name in ["x", "y"] {
        assert_eq!(read(&sandbox, &format!("made/{name} 1")), format!("d/{name}.1\n"));
    }
    assert_eq!(names(&sandbox.path().join("made")), set(["x 1", "y 1", "z 1"]));
}

#[test]
fn tasks_that_fail_change_no_file() {
    let sandbox = Sandbox::new();
    for name in ["exit.out", "signal.out", "slow.out"] {
        sandbox.file(name, b"old");
    }
    let script = "echo new >$2; case $1 in exit.*) exit 3;; signal.*) kill -SEGV $$;; \
                  slow.*) sleep 60;; none.*) rm $2;; esac";
    let flags = ["-j2", "--timeout", "0.5", "--crash-limit", "1", "--summary", "s.json"];
    let output = run(sandbox
        .msup(shell(&flags, script))
        .args(["exit.a", "signal.a", "slow.a"])
        .args(["none.a", "good.a"]));
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    for name in ["exit.out", "signal.out", "slow.out"] {
        assert_eq!(read(&sandbox, name), "old", "{name}");
    }
    let all = set(["exit.out", "signal.out", "slow.out", "good.out", "s.json"]);
    assert_eq!(names(sandbox.path()), all);
    let told = text(&run(&mut sandbox.msup(["log", "last"])).stdout);
    assert!(told.contains("it has not written its output file ({out}, $MSUP_OUT;"), "{told}");
}

#[test]
fn each_attempt_writes_a_file_of_its_own() {
    let sandbox = Sandbox::new();
    let script = "echo $MSUP_OUT >>log; echo $MSUP_ATTEMPT >$2; test $MSUP_ATTEMPT = 3";
    let flags = ["--retries", "3", "--backoff", "10ms..20ms"];
    let output = run(sandbox.msup(shell(&flags, script)).arg("a.x"));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(read(&sandbox, "a.out"), "3\n");
    assert_eq!(read(&sandbox, "log").lines().collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(names(sandbox.path()), set(["a.out", "log"]));
}

#[test]
fn a_killed_worker_leaves_no_half_of_a_file() {
    let sandbox = Sandbox::new();
    let script = "echo half >$2; test -e again || { touch again; sleep 60; }; echo whole >$2";
    let msup = spawn_piped(sandbox.msup(shell(&["-j1"], script)).arg("a.x"));
    wait_until(|| sandbox.path().join("again").exists());
    for worker in sandbox.workers(&msup) {
        kill(worker, Signal::SIGKILL);
    }
    let output = msup.wait_with_output().expect("it was started");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(read(&sandbox, "a.out"), "whole\n");
    assert_eq!(names(sandbox.path()), set(["a.out", "again"]));
}

#[test]
fn two_tasks_do_not_make_the_same_file() {
    let sandbox = Sandbox::new();
    let script = "echo $1 >$2";
    let output = run(sandbox.msup(shell(&["-k"], script)).args(["a.x", "./a.y", "b.x"]));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert_eq!(read(&sandbox, "a.out"), "a.x\n");
    let told = text(&run(&mut sandbox.msup(["log", "last", "--state", "failed"])).stdout);
    assert!(told.contains("a.out: not run: task 1 already makes this file (--out)"), "{told}");
    assert!(told.starts_with("2\t"), "{told}");
    // The same again: nothing is guessed differently the second time.
    let again = run(&mut sandbox.msup(["retry", "--failed"]));
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(read(&sandbox, "a.out"), "a.x\n");
}

#[test]
fn names_arrive_as_bytes() {
    let sandbox = Sandbox::new();
    let long = format!("{}.wav", "n".repeat(251));
    let values = [&b"not UTF-8 \xff.wav"[..], b"two\nlines.wav", long.as_bytes()];
    let output = run(sandbox
        .msup(["-q", "--out", "{}", "--", "sh", "-c", "echo $MSUP_SEQ >\"$1\"", "sh", "{out}"])
        .arg(":::")
        .args(values.map(OsStr::from_bytes)));
    assert!(output.status.success(), "{}", text(&output.stderr));
    for (value, seq) in values.iter().zip(1..) {
        let made = fs::read_to_string(sandbox.path().join(OsStr::from_bytes(value)));
        assert_eq!(made.expect("made"), format!("{seq}\n"));
    }
}

#[test]
fn a_file_that_cannot_be_renamed_into_place_is_reported() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path().join("d.out/in")).expect("a folder");
    let output = run(sandbox.msup(shell(&[], "echo >$2; echo printed")).args(["d.x", "ok.x"]));
    assert_eq!(output.status.code(), Some(1));
    let told = text(&run(&mut sandbox.msup(["log", "last", "--state", "failed"])).stdout);
    assert!(told.contains("d.out: Is a directory"), "{told}");
    assert_eq!(names(sandbox.path()), set(["d.out", "ok.out"]));
    let output = run(sandbox.msup(shell(&[], "echo >$2")).args(["ok.out/x.x"]));
    assert_eq!(output.status.code(), Some(1));
    let told = text(&run(&mut sandbox.msup(["log", "last", "--state", "failed"])).stdout);
    assert!(told.contains("ok.out: ") && told.contains("(--out)"), "{told}");
}

#[test]
fn wrong_templates_are_refused() {
    let sandbox = Sandbox::new();
    for (flags, words) in [
        (vec!["--out", "fixed", "true"], "gives every task the same file"),
        (vec!["--out", "{%}/{}", "true"], "may differ from attempt to attempt"),
        (vec!["--", "cp", "{}", "{out}"], "give the name of the file with --out"),
    ] {
        let output = run(sandbox.msup(flags).args([":::", "a"]));
        assert_eq!(output.status.code(), Some(255));
        let said = text(&output.stderr);
        assert!(said.contains(words) && said.lines().count() == 1, "{said}");
    }
    let words = ["-q", "--out", "{}", "--", "sh", "-c", "echo >$1", "sh", "{out}", ":::"];
    let output = run(sandbox.msup(words).args(["folder/..", "", "good"]));
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(names(sandbox.path()), set(["good"]));
}

#[test]
fn resuming_removes_half_made_files() {
    let sandbox = Sandbox::new();
    let script = "echo $1 >$2; test -e go || sleep 60";
    let msup = spawn_piped(sandbox.msup(shell(&["-j2"], script)).args(["a.x", "b.x", "c.x"]));
    wait_until(|| names(sandbox.path()).iter().filter(|name| is_temporary(name)).count() == 2);
    kill(msup.id() as i32, Signal::SIGKILL);
    msup.wait_with_output().expect("it was started");
    sandbox.file("go", b"");
    sandbox.file(".msup-999-1-1.1-x", b"of another program");
    let output = run(&mut sandbox.msup(["resume"]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let all = set(["a.out", "b.out", "c.out", "go", ".msup-999-1-1.1-x"]);
    assert_eq!(names(sandbox.path()), all);
}

/// What is left of an intent is removed only when the journal says that nothing came of it.
#[test]
fn a_second_kill_does_not_make_a_file_of_nothing() {
    let sandbox = Sandbox::new();
    let script = "echo $MSUP_ATTEMPT >>log; test ! -e block || sleep 60; echo $1 >$2";
    let mut msup = sandbox.msup(shell(&[], script));
    msup.arg("a.x").env("MSUP_CRASH_SUPERVISOR", "intent_before_rename:crashed");
    assert_eq!(run(&mut msup).status.code(), None, "it was killed");
    sandbox.file("block", b"");
    let second = spawn_piped(&mut sandbox.msup(["resume"]));
    wait_until(|| read(&sandbox, "log").lines().count() == 2);
    kill(second.id() as i32, Signal::SIGKILL);
    second.wait_with_output().expect("it was started");
    fs::remove_file(sandbox.path().join("block")).expect("it is there");
    let third = run(&mut sandbox.msup(["resume"]));
    assert!(third.status.success(), "{}", text(&third.stderr));
    assert_eq!(read(&sandbox, "a.out"), "a.x\n");
    let attempts = read(&sandbox, "log");
    let attempts: Vec<u32> = attempts.lines().map(|line| line.parse().expect("a number")).collect();
    assert!(attempts.is_sorted_by(|one, next| one < next), "{attempts:?}");
}

/// Its `end` record waits for its turn (`-k`) when the run is killed.
#[test]
fn a_file_that_could_not_be_renamed_is_not_taken_for_done() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path().join("d.out")).expect("a folder");
    let script = "echo $1 | tee $2; case $1 in a*) test -e go || sleep 60;; esac";
    let msup = spawn_piped(sandbox.msup(shell(&["-k", "-j2"], script)).args(["a.x", "d.x"]));
    let journal = || text(&run(sandbox.command("sh").args(["-c", "cat state/msup/*/j*"])).stdout);
    wait_until(|| journal().contains("\"void\""));
    wait_until(|| names(sandbox.path()).iter().filter(|name| is_temporary(name)).count() == 1);
    kill(msup.id() as i32, Signal::SIGKILL);
    msup.wait_with_output().expect("it was started");
    sandbox.file("go", b"");
    let after = run(&mut sandbox.msup(["resume"]));
    assert_eq!(after.status.code(), Some(1), "{}", text(&after.stderr));
    assert_eq!(names(sandbox.path()), set(["a.out", "d.out", "go"]));
}

/// All files that were made so far, each whole, with their inodes: a file that is placed twice gets
/// another one.
fn made(folder: &Path) -> BTreeMap<String, u64> {
    let mut made = BTreeMap::new();
    for name in names(folder).into_iter().filter(|name| !is_temporary(name)) {
        let path = folder.join(&name);
        let seq: u64 = name.trim_end_matches(".sum").parse().expect("a number");
        assert_eq!(fs::read(&path).expect("readable"), content(seq), "{name} is not whole");
        made.insert(name, fs::metadata(&path).expect("readable").ino());
    }
    made
}

/// What the file with this number holds, several pages of it.
fn content(seq: u64) -> Vec<u8> {
    format!("{seq} {}\n", seq * 7919).repeat(2000).into_bytes()
}

/// The files of a run that is killed this often, and the kills that it takes.
const FILES: u64 = 80;
const KILLS: u32 = 12;

#[test]
fn every_file_is_made_once_despite_repeated_kills() {
    // The nightly run takes two hundred kills, a few at a time: the watchdog kills a test that
    // takes minutes.
    let rounds = if std::env::var_os("MSUP_NIGHTLY").is_some() { 17 } else { 1 };
    let mut random = 11;
    let kills: u32 = (0..rounds).map(|_| makes_every_file_once(&mut random)).sum();
    println!("{kills} kills");
}

/// Makes files in a run that is killed and resumed. How often it was killed.
fn makes_every_file_once(random: &mut u64) -> u32 {
    let sandbox = Sandbox::new();
    let folder = |name: &str| -> PathBuf {
        let path = sandbox.path().join(name);
        fs::create_dir(&path).expect("a folder");
        path
    };
    let (from, to) = (folder("in"), folder("sums"));
    for seq in 0..FILES {
        fs::write(from.join(format!("{seq}.txt")), content(seq)).expect("writable");
    }
    // In two steps, so that there is something to be cut in two. A task that prints is run again if
    // the run is killed between the rename of its file and the keeping of what it printed.
    let script = "echo begin $1 >>log; head -n 1000 $1 >$2; sleep 0.05; tail -n 1000 $1 >>$2; \
                  echo end $1 >>log";
    let flags = ["-j4", "--journal", "kept", "--out", "sums/{/.}.sum", TASKS_DO_NOT_KILL];
    let mut first = sandbox.msup(flags);
    first.args(["--", "sh", "-c", script, "sh"]);
    first.args(["{}", "{out}", ":::"]).args((0..FILES).map(|seq| format!("in/{seq}.txt")));
    let mut msup = spawn_piped(&mut first);
    let (mut kills, mut before) = (0, made(&to));
    let last: Output = loop {
        if kills == KILLS {
            break msup.wait_with_output().expect("it was started");
        }
        // Before that there is no run to resume.
        wait_until(|| has_begun(&sandbox, "kept"));
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // Some files have been made since the last kill, however slow the machine is.
        let wanted = before.len() + (*random >> 33) as usize % 4;
        wait_until(|| made(&to).len() >= wanted || msup.try_wait().expect("ours").is_some());
        std::thread::sleep(Duration::from_millis((*random >> 40) % 60));
        kill(msup.id() as i32, Signal::SIGKILL);
        let output = msup.wait_with_output().expect("it was started");
        if output.status.code().is_some() {
            break output;
        }
        kills += 1;
        let now = made(&to);
        for (name, inode) in &before {
            let run = format!("{name}, generation {kills}: {}", text(&output.stderr));
            assert_eq!(now.get(name), Some(inode), "placed twice: {run}");
        }
        before = now;
        msup = spawn_piped(&mut sandbox.msup(["resume", "./kept", "--summary", "s.json"]));
    };
    assert!(last.status.success(), "{}", text(&last.stderr));
    assert!(kills >= KILLS / 2, "only {kills} kills");
    assert!(before.len() as u64 >= FILES / 8, "hardly anything was made before the last kill");
    assert_eq!(made(&to).len() as u64, FILES);
    assert!(!names(&to).iter().any(|name| is_temporary(name)));
    assert_eq!(summary(&sandbox.path().join("s.json"))["tasks"]["succeeded"], FILES);
    let (mut open, mut finished) = (BTreeSet::new(), BTreeSet::new());
    for line in read(&sandbox, "log").lines() {
        match line.split_once(' ').expect("two words") {
            ("begin", task) => drop(open.insert(task.to_owned())),
            (_, task) => {
                assert!(open.remove(task), "two of {task} ran at once");
                finished.insert(task.to_owned());
            }
        }
    }
    assert_eq!(finished.len() as u64, FILES);
    let nothing = run(&mut sandbox.msup(["resume", "./kept"]));
    assert!(nothing.status.success() && text(&nothing.stderr).contains("is finished"));
    sandbox.start_once_more();
    kills
}
