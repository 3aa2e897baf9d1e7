//! `msup ctl` changes a run that goes on: its numbers, single tasks; and finds runs wherever they
//! keep their journals.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use msup_tests::{Sandbox, run, spawn_piped, wait_until};
use serde_json::Value;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A run of 12 tasks, each of which waits until `go` or a file of its own exists.
fn begin(sandbox: &Sandbox, flags: &[&str]) -> Child {
    let script = "echo {} >> ran; while [ ! -e go ] && [ ! -e go-{} ]; do sleep 0.01; done";
    let mut msup = sandbox.msup(["-q"].iter().chain(flags).chain(&[script, ":::"]));
    msup.args((1..=12).map(|n| n.to_string())).stdout(Stdio::null()).stderr(Stdio::null());
    let child = msup.spawn().expect("msup is built");
    wait_until(|| !ran(sandbox).is_empty());
    child
}

/// The tasks that have begun, in this order.
fn ran(sandbox: &Sandbox) -> Vec<String> {
    let ran = std::fs::read_to_string(sandbox.path().join("ran")).unwrap_or_default();
    ran.lines().map(str::to_owned).collect()
}

fn ctl(sandbox: &Sandbox, words: &[&str]) -> Output {
    run(&mut sandbox.msup(["ctl"].iter().chain(words)))
}

/// It does what it is told.
fn obeys(sandbox: &Sandbox, words: &[&str]) {
    let output = ctl(sandbox, words);
    assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
}

/// It does not, and says this.
fn refuses(sandbox: &Sandbox, words: &[&str], why: &str) {
    let output = ctl(sandbox, words);
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), said.lines().count()), (Some(255), 1), "{said}");
    assert!(said.contains(why), "{words:?}: {said}");
}

fn snapshot(sandbox: &Sandbox) -> Value {
    let output = ctl(sandbox, &["snapshot"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn release(sandbox: &Sandbox, task: &str) {
    sandbox.file(format!("go-{task}"), b"");
}

fn go(sandbox: &Sandbox, mut msup: Child) {
    sandbox.file("go", b"");
    assert!(msup.wait().expect("ours").success());
    assert_eq!(ran(sandbox).len(), 12);
}

/// No more tasks begin.
fn stays_at(sandbox: &Sandbox, count: usize) {
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(ran(sandbox).len(), count);
}

#[test]
fn a_lower_number_counts_for_the_next_tasks_and_a_higher_one_at_once() {
    let sandbox = Sandbox::new();
    let msup = begin(&sandbox, &["-j3"]);
    wait_until(|| ran(&sandbox).len() == 3);
    obeys(&sandbox, &["procs", "1"]);
    assert_eq!(snapshot(&sandbox)["tokens"], 1);
    let first = ran(&sandbox);
    release(&sandbox, &first[0]);
    release(&sandbox, &first[1]);
    wait_until(|| snapshot(&sandbox)["finished"] == 2);
    stays_at(&sandbox, 3);
    release(&sandbox, &first[2]);
    wait_until(|| ran(&sandbox).len() == 4);
    stays_at(&sandbox, 4);
    obeys(&sandbox, &["procs", "3"]);
    wait_until(|| ran(&sandbox).len() == 6);
    refuses(&sandbox, &["procs", "4"], "at most 3, as the run was started");
    refuses(&sandbox, &["max-workers", "2"], "use procs");
    go(&sandbox, msup);
}

#[test]
fn tokens_and_tasks_at_once_are_two_numbers() {
    let sandbox = Sandbox::new();
    let msup = begin(&sandbox, &["--procs", "1", "--max-workers", "4"]);
    wait_until(|| ran(&sandbox).len() == 4);
    obeys(&sandbox, &["max-workers", "1"]);
    refuses(&sandbox, &["procs", "2"], "raise max-workers first");
    refuses(&sandbox, &["max-workers", "5"], "at most 4");
    refuses(&sandbox, &["max-workers", "0"], "at least 1");
    for task in ran(&sandbox) {
        release(&sandbox, &task);
    }
    wait_until(|| ran(&sandbox).len() == 5);
    stays_at(&sandbox, 5);
    obeys(&sandbox, &["max-workers", "3"]);
    wait_until(|| ran(&sandbox).len() == 7);
    stays_at(&sandbox, 7);
    obeys(&sandbox, &["max-workers", "4"]);
    let cpus = std::thread::available_parallelism().expect("known").get();
    if cpus > 1 {
        obeys(&sandbox, &["procs", "2"]);
        assert_eq!(snapshot(&sandbox)["tokens"], 2);
    }
    refuses(&sandbox, &["procs", "9999"], "procs: at most");
    go(&sandbox, msup);
}

#[test]
fn a_killed_task_has_failed_and_is_not_retried() {
    let sandbox = Sandbox::new();
    let mut msup = begin(&sandbox, &["-j2", "--retries", "5"]);
    refuses(&sandbox, &["kill", "12"], "task 12 is not running");
    obeys(&sandbox, &["kill", "1"]);
    wait_until(|| snapshot(&sandbox)["failed"] == 1);
    let failure = snapshot(&sandbox)["failures"][0].clone();
    assert_eq!((&failure["seq"], &failure["cause"]), (&1.into(), &"killed by msup ctl".into()));
    sandbox.file("go", b"");
    assert_eq!(msup.wait().expect("ours").code(), Some(1));
    assert_eq!(ran(&sandbox).iter().filter(|task| *task == "1").count(), 1);
    let log = run(&mut sandbox.msup(["log", "last", "1"]));
    assert!(text(&log.stdout).contains("killed by msup ctl"), "{}", text(&log.stdout));
}

#[test]
fn a_failed_task_runs_again_in_the_same_run() {
    let sandbox = Sandbox::new();
    let script = "echo {} >> ran; [ {} != 2 ] || [ -e mended ] || exit 3; \
                  while [ ! -e go ]; do sleep 0.01; done";
    let mut msup = sandbox.msup(["-j2", "--joblog", "joblog", script, ":::", "1", "2", "3"]);
    let msup = msup.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("msup is built");
    wait_until(|| ran(&sandbox).len() == 3 && snapshot(&sandbox)["failed"] == 1);
    refuses(&sandbox, &["retry", "1"], "task 1 has not failed, or 40 others have failed since");
    sandbox.file("mended", b"");
    obeys(&sandbox, &["retry", "2"]);
    let now = snapshot(&sandbox);
    assert_eq!((&now["failed"], &now["finished"]), (&0.into(), &0.into()));
    refuses(&sandbox, &["retry", "2"], "task 2 has not failed, or 40 others have failed since");
    sandbox.file("go", b"");
    let output = msup.wait_with_output().expect("ours");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("3 of 3 tasks succeeded"), "{}", text(&output.stderr));
    assert_eq!(ran(&sandbox).iter().filter(|task| *task == "2").count(), 2);
    let log = run(&mut sandbox.msup(["log", "last", "--json"]));
    let of_two =
        text(&log.stdout).lines().map(str::to_owned).find(|line| line.contains("\"seq\":2"));
    let of_two: Value = serde_json::from_str(&of_two.expect("a line")).expect("JSON");
    assert_eq!((&of_two["state"], &of_two["attempts"]), (&"succeeded".into(), &2.into()));
    let resumed = run(&mut sandbox.msup(["resume"]));
    assert!(text(&resumed.stderr).contains("nothing to resume"), "{}", text(&resumed.stderr));
}

/// As the journal says, and so that it is known what to do.
#[test]
fn a_retry_that_is_cut_short_leaves_a_failure() {
    let sandbox = Sandbox::new();
    let script = "[ {} != 1 ] || exit 3; echo {} >> ran; while [ ! -e go ]; do sleep 0.01; done";
    let mut msup = sandbox.msup(["-j1", "--journal", "./j", script, ":::", "1", "2", "3"]);
    let msup = msup.stderr(Stdio::piped()).spawn().expect("msup is built");
    wait_until(|| ran(&sandbox).len() == 1);
    obeys(&sandbox, &["retry", "1"]);
    obeys(&sandbox, &["drain"]);
    sandbox.file("go", b"");
    let said = text(&msup.wait_with_output().expect("ours").stderr);
    assert!(said.contains("1 of 3 tasks succeeded, 1 failed, 1 left"), "{said}");
    let resumed = run(&mut sandbox.msup(["resume", "./j"]));
    assert_eq!(resumed.status.code(), Some(1), "{}", text(&resumed.stderr));
    assert_eq!(ran(&sandbox), ["2", "3"]);
}

#[test]
fn where_a_failure_cannot_be_taken_back_it_is_said_what_to_do() {
    let sandbox = Sandbox::new();
    let script = "[ {} != 1 ] || exit 3; echo {} >> ran; while [ ! -e go ]; do sleep 0.01; done";
    let mut msup = sandbox.msup(["-q", "-k", "-j2", script, ":::", "1", "2"]);
    let mut msup = msup.stderr(Stdio::null()).spawn().expect("msup is built");
    wait_until(|| ran(&sandbox).len() == 1 && snapshot(&sandbox)["failed"] == 1);
    refuses(&sandbox, &["retry", "1"], "(-k): msup retry --failed, once the run is over");
    sandbox.file("go", b"");
    assert_eq!(msup.wait().expect("ours").code(), Some(1));
}

#[test]
fn what_a_running_task_has_written_is_seen_and_nothing_is_lost() {
    let sandbox = Sandbox::new();
    let script = "echo one {}; echo two >&2; seq 20000 >&2; echo {} >> ran; \
                  while [ ! -e go ]; do sleep 0.01; done; echo three";
    let mut msup = sandbox.msup(["-q", "-j1", script, ":::", "x", "y"]);
    let msup = msup.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("msup is built");
    wait_until(|| ran(&sandbox).len() == 1);
    for _ in 0..3 {
        let output = ctl(&sandbox, &["output", "1"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), "one x\n");
        assert!(text(&output.stderr).ends_with("\n19999\n20000\n"));
        assert!(text(&output.stderr).contains("bytes before are not shown"));
    }
    refuses(&sandbox, &["output", "2"], "task 2 is not running");
    let all: Vec<Child> =
        (0..6).map(|_| spawn_piped(&mut sandbox.msup(["ctl", "output", "1"]))).collect();
    for one in all {
        assert_eq!(text(&one.wait_with_output().expect("ours").stdout), "one x\n");
    }
    sandbox.file("go", b"");
    let output = msup.wait_with_output().expect("ours");
    assert_eq!(text(&output.stdout), "one x\nthree\none y\nthree\n");
    assert_eq!(text(&output.stderr).lines().count(), 2 * 20_001);
    assert!(sandbox.residue().is_empty(), "{:?}", sandbox.residue());
}

#[test]
fn outputs_that_are_shown_as_they_come_are_not_shown_twice() {
    let sandbox = Sandbox::new();
    let msup = begin(&sandbox, &["-j1", "--lb"]);
    refuses(&sandbox, &["output", "1"], "outputs are shown as they come");
    go(&sandbox, msup);
}

#[test]
fn a_run_without_a_journal_is_found_too() {
    let sandbox = Sandbox::new();
    let msup = begin(&sandbox, &["-j2", "--no-journal"]);
    assert_eq!(snapshot(&sandbox)["total"], 12);
    obeys(&sandbox, &["pause"]);
    obeys(&sandbox, &["continue"]);
    go(&sandbox, msup);
    refuses(&sandbox, &["snapshot"], "no run goes on");
}

#[test]
fn a_run_without_a_journal_is_chosen_and_named_as_others_are() {
    let sandbox = Sandbox::new();
    let msup = begin(&sandbox, &["-j2", "--no-journal"]);
    let id = snapshot(&sandbox)["run"].as_str().expect("an id").to_owned();
    // Another one in another folder, with a journal.
    let other = sandbox.path().join("other");
    std::fs::create_dir(&other).expect("new");
    let wait = "echo > ran; until [ -e ../go ]; do sleep 0.01; done; : {}";
    let mut beside = sandbox.msup(["-q", wait, ":::", "1"]);
    let mut beside = beside.current_dir(&other).spawn().expect("msup is built");
    wait_until(|| other.join("ran").exists());
    let from = |folder: &Path, words: &[&str]| {
        run(sandbox.msup(["ctl"].iter().chain(words)).current_dir(folder))
    };
    let of = |output: Output| {
        let now: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        now["run"].as_str() == Some(&id)
    };
    assert!(of(from(sandbox.path(), &["snapshot"])), "that of the folder");
    assert!(!of(from(&other, &["snapshot"])), "that of the other folder");
    let away = sandbox.path().join("tmp");
    assert!(of(from(&away, &[&id, "snapshot"])), "the one that is named");
    let said = text(&from(&away, &["snapshot"]).stderr);
    assert!(said.starts_with("msup: several runs go on: name one of "), "{said}");
    assert!(said.contains(&format!("{id} (in {})", sandbox.path().display())), "{said}");
    go(&sandbox, msup);
    assert!(beside.wait().expect("ours").success());
}

#[test]
fn a_run_with_its_journal_elsewhere_is_found_from_anywhere() {
    let sandbox = Sandbox::new();
    let msup = begin(&sandbox, &["-j2", "--journal", "./j"]);
    std::fs::create_dir(sandbox.path().join("other")).expect("new");
    let from_other = |words: &[&str]| {
        let mut msup = sandbox.msup(words);
        run(msup.current_dir(sandbox.path().join("other")))
    };
    let output = from_other(&["ctl", "snapshot"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let listed = |output: Output| {
        text(&output.stdout).lines().filter(|line| line.contains("running")).count()
    };
    assert_eq!(listed(from_other(&["log"])), 1);
    let id = serde_json::from_slice::<Value>(&output.stdout).expect("JSON")["run"].clone();
    let id = id.as_str().expect("an id").to_owned();
    assert!(from_other(&["ctl", &id, "pause"]).status.success());
    assert!(from_other(&["ctl", &id, "continue"]).status.success());
    go(&sandbox, msup);
    let output = from_other(&["log", &id]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    // The folder is the user's: it is not listed any more when that has removed it.
    std::fs::remove_dir_all(sandbox.path().join("j")).expect("there");
    assert!(!text(&from_other(&["log"]).stdout).contains(&id));
    assert!(run(&mut sandbox.msup(["clean"])).status.success());
    let left = sandbox.path().join("state/msup").join(&id);
    assert!(left.symlink_metadata().is_err() && !Path::new(&left).exists());
}

#[test]
fn a_resume_never_takes_a_run_from_a_folder_of_the_users() {
    let sandbox = Sandbox::new();
    let mut msup = begin(&sandbox, &["-j2", "--journal", "./j"]);
    obeys(&sandbox, &["drain"]);
    sandbox.file("go", b"");
    assert!(!msup.wait().expect("ours").success());
    let output = run(&mut sandbox.msup(["resume"]));
    assert_eq!(output.status.code(), Some(255), "{}", text(&output.stderr));
    assert!(run(&mut sandbox.msup(["resume", "-q", "./j"])).status.success());
    assert_eq!(ran(&sandbox).len(), 12);
}

/// Even where the folder and the socket are open to all.
#[test]
fn another_user_is_not_heard() {
    let sandbox = Sandbox::new();
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: only root can be another user");
        return;
    }
    let msup = begin(&sandbox, &["-j2", "--journal", "./j"]);
    let open = |path: &str, mode| {
        let path = sandbox.path().join(path);
        std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
    };
    open("", 0o755);
    open("j", 0o755);
    open("j/control", 0o666);
    let ask = "$SIG{PIPE} = 'IGNORE'; $s = IO::Socket::UNIX->new(Peer => 'j/control') or die; \
               print {$s} '{\"request\":\"snapshot\"}', \"\\n\"; $s->flush; \
               read $s, $x, 9; print length $x";
    let heard = |user: u32| {
        let mut perl = sandbox.command("perl");
        text(&run(perl.args(["-MIO::Socket::UNIX", "-e", ask]).uid(user)).stdout)
    };
    assert_eq!((heard(0), heard(65_534)), ("9".to_owned(), "0".to_owned()));
    go(&sandbox, msup);
}
