//! Runs that were killed: what runs again, what does not, and what survives.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use msup_tests::{
    Sandbox, TASKS_DO_NOT_KILL, has_begun, kill, run, spawn_piped, summary, wait_until,
};
use nix::sys::signal::Signal;

use super::{begin, kill_after, lines, resume, text};

#[test]
fn a_killed_run_is_resumed() {
    let sandbox = Sandbox::new();
    let before = kill_after(&sandbox, begin(&sandbox, &["-j4"], 40), 10);
    let seen: BTreeSet<String> = text(&before.stdout).lines().map(str::to_owned).collect();
    let after = resume(&sandbox, &["--summary", "s.json"]);
    assert!(after.status.success(), "{}", text(&after.stderr));
    let ends = lines(&sandbox.path().join("log"));
    let mut ended: BTreeMap<&str, u32> = BTreeMap::new();
    for line in ends.iter().filter_map(|line| line.strip_prefix("end ")) {
        *ended.entry(line).or_default() += 1;
    }
    assert_eq!(ended.len(), 40, "every task has run");
    let again = ended.values().filter(|times| **times > 1).count();
    assert!(again <= 8, "{again} ran twice: only those whose output was not yet shown");
    let shown: Vec<String> = text(&after.stdout).lines().map(str::to_owned).collect();
    let all: BTreeSet<String> = seen.iter().cloned().chain(shown.iter().cloned()).collect();
    assert_eq!(all.len(), 40, "every output was seen");
    let figures = summary(&sandbox.path().join("s.json"));
    assert_eq!(
        (&figures["tasks"]["total"], &figures["tasks"]["succeeded"]),
        (&40.into(), &40.into())
    );
    let skipped = figures["tasks"]["skipped"].as_u64().expect("a number");
    assert!(skipped >= 4 && skipped <= seen.len() as u64 + 4, "{skipped} of {}", seen.len());
    assert_eq!(figures["exit_status"], 0);
}

#[test]
fn nothing_of_a_killed_run_runs_beside_its_successor() {
    let sandbox = Sandbox::new();
    let msup = begin(&sandbox, &["-j4"], 40);
    let log = sandbox.path().join("log");
    wait_until(|| lines(&log).len() >= 10);
    kill(msup.id() as i32, Signal::SIGKILL);
    // At once: what the killed one had started may still be dying.
    let after = resume(&sandbox, &[]);
    msup.wait_with_output().expect("it was started");
    assert!(after.status.success(), "{}", text(&after.stderr));
    let mut open: BTreeSet<String> = BTreeSet::new();
    let mut generation_of: BTreeMap<String, u32> = BTreeMap::new();
    for line in lines(&log) {
        let (what, task) = line.split_once(' ').expect("two words");
        if what == "begin" {
            // One that was cut off does not finish; it begins once more.
            *generation_of.entry(task.to_owned()).or_default() += 1;
            open.insert(task.to_owned());
        } else {
            assert!(open.remove(task), "{task} finished twice: two of it ran at once");
        }
    }
    assert!(open.is_empty(), "{open:?} have not finished");
    assert!(generation_of.values().all(|times| *times <= 2));
}

#[test]
fn two_supervisors_do_not_work_in_one_folder() {
    let sandbox = Sandbox::new();
    let msup = begin(&sandbox, &["-j2", "--journal", "here"], 200);
    wait_until(|| lines(&sandbox.path().join("log")).len() >= 2);
    let second = resume(&sandbox, &["./here"]);
    assert_eq!(second.status.code(), Some(255));
    assert!(text(&second.stderr).contains("still running"), "{}", text(&second.stderr));
    let third = run(&mut sandbox.msup(["--journal", "here", "--", "true", ":::", "x"]));
    assert_eq!(third.status.code(), Some(255));
    assert!(
        text(&third.stderr).contains("there is a run in it already"),
        "{}",
        text(&third.stderr)
    );
    kill_after(&sandbox, msup, 2);
    sandbox.start_once_more();
}

#[test]
fn a_survivor_of_the_killed_run_is_killed_first() {
    let sandbox = Sandbox::new();
    // It leaves its session and its group, and closes what it has.
    let script = "if mkdir once 2>/dev/null; then \
                  setsid sleep 1000 >/dev/null 2>&1 </dev/null & sleep 1000; fi";
    let msup = spawn_piped(&mut sandbox.msup(["-j1", "--", "sh", "-c", script, ":::", "x"]));
    let survivors = || sandbox.processes().into_iter().filter(|pid| name(*pid) == "sleep").count();
    wait_until(|| survivors() == 2);
    for pid in sandbox.processes() {
        // Its guardians are killed as well.
        if name(pid).starts_with("msup") {
            kill(pid, Signal::SIGKILL);
        }
    }
    msup.wait_with_output().expect("it was started");
    let after = resume(&sandbox, &[]);
    assert!(after.status.success(), "{}", text(&after.stderr));
    assert_eq!(survivors(), 0);
}

fn name(pid: i32) -> String {
    msup_tests::name_of(pid).unwrap_or_default()
}

/// Each start reads the journal of all starts before: after more kills, it has hardly begun when it
/// is killed.
const KILLS_AT_MOST: u32 = 200;

#[test]
fn a_run_killed_at_any_moment_repeatedly_finishes() {
    let sandbox = Sandbox::new();
    let script = "echo begin $1 >>log; sleep 0.01; echo end $1 >>log";
    let flags = ["-j3", "-a", "list", "--journal", "kept", TASKS_DO_NOT_KILL];
    let mut first = sandbox.msup(flags);
    first.args(["--", "sh", "-c", script, "sh"]);
    // The nightly run's is killed two hundred times.
    let nightly = std::env::var_os("MSUP_NIGHTLY").is_some();
    let (tasks, least) = if nightly { (2_600, 200) } else { (150, 3) };
    sandbox.file("list", (0..tasks).map(|n| format!("{n}\n")).collect::<String>().as_bytes());
    let mut msup = spawn_piped(&mut first);
    let mut random = 7_u64;
    let mut kills = 0;
    let status = loop {
        // Before that there is no run to resume.
        wait_until(|| has_begun(&sandbox, "kept"));
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        if kills < KILLS_AT_MOST {
            std::thread::sleep(Duration::from_millis(20 + (random >> 33) % 150));
            kill(msup.id() as i32, Signal::SIGKILL);
        }
        let output = msup.wait_with_output().expect("it was started");
        if output.status.code().is_some() {
            break output.status;
        }
        kills += 1;
        msup = spawn_piped(&mut sandbox.msup(["resume", "./kept"]));
    };
    assert!(status.success() && kills >= least, "{kills} kills, {status}");
    let mut open: BTreeSet<String> = BTreeSet::new();
    let mut ended: BTreeSet<String> = BTreeSet::new();
    for line in lines(&sandbox.path().join("log")) {
        match line.split_once(' ').expect("two words") {
            ("begin", task) => drop(open.insert(task.to_owned())),
            (_, task) => {
                assert!(open.remove(task), "two of {task} ran at once");
                ended.insert(task.to_owned());
            }
        }
    }
    assert_eq!((ended.len(), open.len()), (tasks, 0));
    let nothing = resume(&sandbox, &["./kept"]);
    assert!(text(&nothing.stderr).contains("is finished"), "{}", text(&nothing.stderr));
    // The last one may have been killed after its work was done.
    sandbox.start_once_more();
}
