//! Which run a bare `resume` takes.

use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use msup_tests::{Sandbox, kill, run, spawn_piped, wait_until};
use nix::sys::signal::Signal;

use super::{cut_off, folder, kill_once, msup_in, runs, said, text, was_resumed};

#[test]
fn resume_takes_the_unfinished_run_though_another_one_has_finished_since() {
    let sandbox = Sandbox::new();
    let here = sandbox.path();
    cut_off(&sandbox, here, "a", &[]);
    let cut = runs(&sandbox)[0].file_name().expect("a name").to_string_lossy().into_owned();
    assert!(run(&mut sandbox.msup(["true", ":::", "x"])).status.success());
    let (words, status) = said(&msup_in(&sandbox, here, &["resume"]));
    assert!(status == Some(0) && was_resumed(here, "a"), "{words}");
    assert!(words.contains(&cut), "it says which run it takes: {words}");
}

#[test]
fn resume_takes_the_newest_unfinished_run_of_this_folder() {
    let sandbox = Sandbox::new();
    let (a, b) = (folder(&sandbox, "a"), folder(&sandbox, "b"));
    cut_off(&sandbox, &a, "old", &[]);
    cut_off(&sandbox, &a, "new", &[]);
    cut_off(&sandbox, &b, "other", &[]);
    let (words, status) = said(&msup_in(&sandbox, &a, &["resume"]));
    assert!(status == Some(0) && was_resumed(&a, "new"), "{words}");
    assert!(!was_resumed(&b, "other") && !was_resumed(&a, "old"), "{words}");
    let (words, status) = said(&msup_in(&sandbox, &a, &["resume"]));
    assert!(status == Some(0) && was_resumed(&a, "old"), "{words}");
    // Nothing is left here, and another folder's work was not asked for.
    for command in ["resume", "retry"] {
        let (words, status) = said(&msup_in(&sandbox, &folder(&sandbox, command), &[command]));
        assert!(status == Some(255) && !was_resumed(&b, "other"), "{words}");
        assert!(words.contains("in this folder. The newest one is"), "{words}");
    }
    let (words, status) = said(&msup_in(&sandbox, &b, &["resume"]));
    assert!(status == Some(0) && was_resumed(&b, "other"), "{words}");
    let (words, status) = said(&msup_in(&sandbox, &a, &["resume"]));
    assert!(status == Some(255) && words.contains("nothing to resume"), "{words}");
}

/// Its values would become tasks of that run.
#[test]
fn a_list_is_not_taken_for_a_run_of_another_folder() {
    let sandbox = Sandbox::new();
    let (a, b) = (folder(&sandbox, "a"), folder(&sandbox, "b"));
    cut_off(&sandbox, &a, "x", &[]);
    fs::write(b.join("list"), "x\n").expect("writable");
    let (words, status) = said(&msup_in(&sandbox, &b, &["resume", "-a", "list"]));
    assert!(status == Some(255) && !was_resumed(&a, "x"), "{words}");
    let id = runs(&sandbox)[0].file_name().expect("a name").to_string_lossy().into_owned();
    assert!(words.contains(&a.display().to_string()) && words.contains(&id), "{words}");
    let (words, status) = said(&msup_in(&sandbox, &b, &["resume", "-a", "list", &id]));
    assert!(status == Some(0) && was_resumed(&a, "x"), "{words}");
}

#[test]
fn resume_with_nothing_to_resume_is_no_success() {
    let sandbox = Sandbox::new();
    let (words, status) = said(&msup_in(&sandbox, sandbox.path(), &["resume"]));
    assert!(status == Some(255) && words.contains("nothing to resume"), "{words}");
    let failing = ["-j2", "--", "sh", "-c", "exit $1", "sh", ":::", "0", "3"];
    assert_eq!(run(&mut sandbox.msup(failing)).status.code(), Some(1));
    let (words, status) = said(&msup_in(&sandbox, sandbox.path(), &["resume"]));
    assert_eq!(status, Some(255), "{words}");
    assert!(words.contains("nothing to resume") && words.contains("retry --failed"), "{words}");
}

#[test]
fn a_run_that_a_task_started_is_not_taken() {
    let sandbox = Sandbox::new();
    let here = sandbox.path();
    let msup = msup_tests::program("msup").display().to_string();
    let inner = "touch inner.$1; test -e go || exec sleep 1000";
    let script = format!("{msup} -j1 -- sh -c '{inner}' sh ::: \"$1\" && touch outer.$1");
    let mut outer = sandbox.msup(["-j1", "--", "sh", "-c", &script, "sh", ":::", "x"]);
    kill_once(&sandbox, &mut outer, &here.join("inner.x"));
    assert_eq!(runs(&sandbox).len(), 2, "both keep a journal");
    sandbox.file("go", b"");
    let (words, status) = said(&msup_in(&sandbox, here, &["resume"]));
    assert!(status == Some(0) && here.join("outer.x").exists(), "{words}");
    // What is left is the inner run that was cut off: only a task of the outer run resumes that.
    let (words, status) = said(&msup_in(&sandbox, here, &["resume"]));
    assert!(status == Some(255) && words.contains("nothing to resume"), "{words}");
}

#[test]
fn a_task_that_resumes_takes_what_its_earlier_attempt_began() {
    let sandbox = Sandbox::new();
    let here = sandbox.path();
    let msup = msup_tests::program("msup").display().to_string();
    let inner = "touch inner.$1; test -e go || exec sleep 1000; touch end.$1";
    let script = format!(
        "if test -e inner.x; then {msup} resume; else {msup} -j1 -- sh -c '{inner}' sh ::: x; fi"
    );
    let mut outer = sandbox.msup(["-j1", "--", "sh", "-c", &script, ":::", "x"]);
    kill_once(&sandbox, &mut outer, &here.join("inner.x"));
    sandbox.file("go", b"");
    let (words, status) = said(&msup_in(&sandbox, here, &["resume"]));
    assert!(status == Some(0) && here.join("end.x").exists(), "{words}");
}

#[test]
fn a_run_that_goes_on_is_not_taken() {
    let sandbox = Sandbox::new();
    let here = sandbox.path();
    cut_off(&sandbox, here, "a", &[]);
    let script = "touch running; while ! test -e go; do sleep 0.01; done";
    let running = spawn_piped(&mut sandbox.msup(["-j1", "--", "sh", "-c", script, ":::", "x"]));
    wait_until(|| here.join("running").exists());
    let (words, status) = said(&msup_in(&sandbox, here, &["resume"]));
    assert!(status == Some(0) && was_resumed(here, "a"), "{words}");
    let (words, status) = said(&msup_in(&sandbox, here, &["resume"]));
    assert!(status == Some(255) && words.contains("still running"), "{words}");
    sandbox.file("go", b"");
    assert!(running.wait_with_output().expect("it was started").status.success());
}

#[test]
fn a_lock_that_outlasts_its_supervisor_for_a_moment_is_waited_for() {
    let sandbox = Sandbox::new();
    let here = sandbox.path();
    cut_off(&sandbox, here, "a", &[]);
    cut_off(&sandbox, here, "b", &[]);
    // As a child has it that the supervisor had just forked.
    let lock = fs::File::open(runs(&sandbox).remove(1).join("lock")).expect("a run has one");
    lock.lock().expect("its supervisor was killed");
    let mut resume = sandbox.msup(["resume"]);
    let resumed = spawn_piped(resume.current_dir(here));
    thread::sleep(Duration::from_millis(300));
    drop(lock);
    let (words, status) = said(&resumed.wait_with_output().expect("it was started"));
    assert!(status == Some(0) && was_resumed(here, "b"), "{words}");
}

#[test]
fn an_unreadable_newest_journal_blocks_nothing() {
    let sandbox = Sandbox::new();
    let here = sandbox.path();
    cut_off(&sandbox, here, "a", &[]);
    let bad = folder(&sandbox, "state/msup/9999999999999-0123456789abcdef");
    fs::write(bad.join("journal.jsonl"), b"no journal\nat all\n").expect("writable");
    let folders = folder(&sandbox, "state/msup/9999999999998-0123456789abcdef");
    fs::create_dir(folders.join("journal.jsonl")).expect("writable");
    let output = msup_in(&sandbox, here, &["log", "last"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let (words, status) = said(&msup_in(&sandbox, here, &["retry", "--failed"]));
    assert!(status == Some(255) && words.contains("is not finished"), "it found it: {words}");
    let (words, status) = said(&msup_in(&sandbox, here, &["resume"]));
    assert!(status == Some(0) && was_resumed(here, "a"), "{words}");
    assert!(words.contains("9999999999999-0123456789abcdef"), "it is named: {words}");
}

#[test]
fn the_newest_run_is_told_by_its_record_and_not_by_its_name() {
    let sandbox = Sandbox::new();
    let here = sandbox.path();
    cut_off(&sandbox, here, "old", &[]);
    let old = runs(&sandbox).remove(0);
    // As a process number of one digit less does it, or a clock that was set back.
    fs::rename(&old, old.with_file_name("9999999999-9")).expect("writable");
    cut_off(&sandbox, here, "new", &[]);
    let (words, status) = said(&msup_in(&sandbox, here, &["resume"]));
    assert!(status == Some(0) && was_resumed(here, "new"), "{words}");
    let listed = text(&msup_in(&sandbox, here, &["log"]).stdout);
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines[1].contains("cut-off") && lines[2].contains("finished"), "{listed}");
    assert_eq!(lines.len(), 3, "with a line of headings");
}

#[test]
fn a_run_that_was_resumed_last_is_the_newest() {
    let sandbox = Sandbox::new();
    let here = sandbox.path();
    let script =
        "test -e $1.2 && exec touch $1.3; test -e $1.1 && touch $1.2; touch $1.1; exec sleep 1000";
    let begin = |name| {
        let mut msup = sandbox.msup(["-j1", "--", "sh", "-c", script, "sh", ":::", name]);
        kill_once(&sandbox, &mut msup, &here.join(format!("{name}.1")));
    };
    begin("a");
    let a = runs(&sandbox).remove(0);
    begin("b");
    let a = a.file_name().expect("a name").to_str().expect("text");
    kill_once(&sandbox, &mut sandbox.msup(["resume", a]), &here.join("a.2"));
    let (words, status) = said(&msup_in(&sandbox, here, &["resume"]));
    assert!(status == Some(0) && here.join("a.3").exists(), "{words}");
    assert!(!here.join("b.2").exists(), "{words}");
}

#[test]
fn ids_of_runs_differ_and_sort_by_time() {
    let sandbox = Sandbox::new();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let output = run(&mut sandbox.msup(["-q", "printenv MSUP_RUN; : {}", ":::", "x"]));
        ids.push(text(&output.stdout).trim().to_owned());
    }
    assert!(ids.is_sorted() && ids[0] != ids[1] && ids[1] != ids[2], "{ids:?}");
    // Two machines' first processes start in the same instant: 64 random bits tell them apart.
    let random = |id: &String| u64::from_str_radix(id.rsplit('-').next()?, 16).ok();
    let random: Vec<Option<u64>> = ids.iter().map(random).collect();
    assert!(
        ids.iter().all(|id| id.rsplit('-').next().is_some_and(|end| end.len() == 16)),
        "{ids:?}"
    );
    assert!(random.iter().all(|bits| bits.is_some_and(|bits| bits > 1 << 40)), "{ids:?}");
    let clean = run(&mut sandbox.msup(["clean"]));
    assert_eq!(text(&clean.stdout).lines().count(), 3);
}

#[test]
fn a_run_that_has_done_nothing_is_not_kept() {
    let sandbox = Sandbox::new();
    let log = ["--joblog", "log", "--resume"];
    assert!(run(sandbox.msup(log).args(["true {}", ":::", "x"])).status.success());
    let (words, status) = said(&run(sandbox.msup(log).args(["false {}", ":::", "x"])));
    assert!(status == Some(255) && words.contains("another one now"), "{words}");
    assert_eq!(runs(&sandbox).len(), 1, "the other command was not run");
    let child = sandbox.msup(["true"]).stdin(Stdio::piped()).spawn().expect("built");
    wait_until(|| runs(&sandbox).len() == 2);
    kill(child.id() as i32, Signal::SIGINT);
    let output = child.wait_with_output().expect("ours");
    assert_eq!(output.status.code(), None, "of the signal");
    assert_eq!(runs(&sandbox).len(), 1, "no value was read");
}
