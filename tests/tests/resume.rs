//! A run that was cut off is resumed: nothing is lost, and what was shown is not done twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Output};
use std::time::Duration;

use msup_tests::{
    Sandbox, has_begun, inside, kill, overheard, run, run_with_input, spawn_piped, summary,
    wait_until,
};
use nix::sys::signal::Signal;

/// Each command notes its begin and its end.
const NOTES: &str = "echo \"begin $1\" >>log; sleep 0.05; echo \"end $1\" >>log; echo \"out $1\"";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn begin(sandbox: &Sandbox, flags: &[&str], tasks: u32) -> Child {
    let mut msup =
        sandbox.msup(flags.iter().copied().chain(["--", "sh", "-c", NOTES, "sh", "{}", ":::"]));
    msup.args((0..tasks).map(|n| n.to_string()));
    spawn_piped(&mut msup)
}

/// Kills a supervisor when this number of its commands has finished, and waits until everything it
/// started has exited.
fn kill_after(sandbox: &Sandbox, msup: Child, finished: usize) -> Output {
    let log = sandbox.path().join("log");
    wait_until(|| lines(&log).iter().filter(|line| line.starts_with("end")).count() >= finished);
    kill(msup.id() as i32, Signal::SIGKILL);
    let output = msup.wait_with_output().expect("it was started");
    wait_until(|| sandbox.processes().is_empty());
    output
}

fn resume(sandbox: &Sandbox, flags: &[&str]) -> Output {
    run(&mut sandbox.msup(["resume"].iter().chain(flags)))
}

fn journal(sandbox: &Sandbox) -> PathBuf {
    let runs = fs::read_dir(sandbox.path().join("state/msup")).expect("a journal was kept");
    let runs: Vec<PathBuf> = runs.map(|run| run.expect("readable").path()).collect();
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs[0].join("journal.jsonl")
}

/// What the only journal says so far, if there is one.
fn told(sandbox: &Sandbox) -> String {
    let runs = fs::read_dir(sandbox.path().join("state/msup")).into_iter().flatten();
    let journals = runs.map(|run| run.expect("readable").path().join("journal.jsonl"));
    journals.map(|path| text(&fs::read(path).unwrap_or_default())).collect()
}

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
fn resuming_a_finished_run_does_nothing_and_says_so() {
    let sandbox = Sandbox::new();
    let first =
        run(&mut sandbox.msup(["-j2", "--", "sh", "-c", "exit $1", "sh", ":::", "0", "3", "0"]));
    assert_eq!(first.status.code(), Some(1));
    let before = fs::read(journal(&sandbox)).expect("readable");
    let id = journal(&sandbox).parent().expect("a folder").to_owned();
    let again = resume(&sandbox, &[&id.display().to_string()]);
    assert_eq!(again.status.code(), Some(1), "the run's own status");
    let said = text(&again.stderr);
    assert!(
        said.contains("this run is finished: 2 succeeded, 1 failed (msup retry --failed)"),
        "{said}"
    );
    assert_eq!(again.stdout, b"");
    assert_eq!(fs::read(journal(&sandbox)).expect("readable"), before);
}

#[test]
fn what_failed_is_run_again_when_asked_for() {
    let sandbox = Sandbox::new();
    let script = "echo $1 >>log; test -e mended || test $1 != bad";
    let first =
        run(&mut sandbox.msup(["-j2", "--", "sh", "-c", script, "sh", ":::", "a", "bad", "c"]));
    assert_eq!(first.status.code(), Some(1));
    sandbox.file("mended", b"");
    let again = run(&mut sandbox.msup(["retry", "--failed"]));
    assert!(again.status.success(), "{}", text(&again.stderr));
    let mut ran = lines(&sandbox.path().join("log"));
    ran.sort();
    assert_eq!(ran, ["a", "bad", "bad", "c"]);
    let nothing = run(&mut sandbox.msup(["retry", "--failed"]));
    assert!(nothing.status.success() && text(&nothing.stderr).contains("nothing to retry"));
    let log = text(&run(&mut sandbox.msup(["log", "last"])).stdout);
    assert_eq!((log.lines().count(), log.matches("2\tsucceeded\t").count()), (3, 1), "{log}");
}

#[test]
fn values_that_cannot_be_read_again_are_kept() {
    let sandbox = Sandbox::new();
    let names: Vec<String> = (0..30).map(|n| format!("a b\n{n} \u{e9}")).collect();
    let input = names.iter().flat_map(|name| name.bytes().chain([0])).collect::<Vec<u8>>();
    let mut first = sandbox.msup(["-0", "-j2", "--", "sh", "-c", NOTES, "sh"]);
    let mut child = spawn_piped(&mut first);
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(&input).expect("it reads");
    drop(stdin);
    let log = sandbox.path().join("log");
    wait_until(|| told(&sandbox).contains("inputs-end"));
    wait_until(|| lines(&log).len() >= 10);
    kill_after(&sandbox, child, 4);
    let after = resume(&sandbox, &[]);
    assert!(after.status.success(), "{}", text(&after.stderr));
    let ended = fs::read_to_string(&log).expect("readable");
    for name in &names {
        assert!(ended.contains(&format!("end {name}\n")), "{name:?}");
    }
}

#[test]
fn input_that_was_cut_off_is_never_a_success() {
    let sandbox = Sandbox::new();
    let mut child = spawn_piped(&mut sandbox.msup(["-j2", "--", "sh", "-c", NOTES, "sh"]));
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"1\n2\n3\n").expect("it reads");
    // More would come.
    kill_after(&sandbox, child, 1);
    drop(stdin);
    let after = resume(&sandbox, &[]);
    assert_eq!(after.status.code(), Some(255));
    assert!(text(&after.stderr).contains("only 3 values were read before the run was stopped"));
    let ended = lines(&sandbox.path().join("log"));
    for n in ["end 1", "end 2", "end 3"] {
        assert!(ended.iter().any(|line| line == n), "{n}");
    }
}

#[test]
fn tasks_are_known_by_their_values_not_by_their_positions() {
    let sandbox = Sandbox::new();
    sandbox.file("list", b"c\na\nb\na\n");
    let script = "echo $1 >>log; test -e slow && test $1 = b && sleep 100; true";
    sandbox.file("slow", b"");
    let msup =
        spawn_piped(&mut sandbox.msup(["-j1", "-a", "list", "--", "sh", "-c", script, "sh"]));
    let log = sandbox.path().join("log");
    wait_until(|| lines(&log) == ["c", "a", "b"]);
    wait_until(|| told(&sandbox).matches("\"end\"").count() == 2);
    kill(msup.id() as i32, Signal::SIGKILL);
    msup.wait_with_output().expect("it was started");
    fs::remove_file(sandbox.path().join("slow")).expect("it is there");
    // In another order, with one that is new, and one that is gone.
    sandbox.file("list", b"a\nnew\nb\na\n");
    let after = resume(&sandbox, &[]);
    assert!(after.status.success(), "{}", text(&after.stderr));
    assert!(text(&after.stderr).contains("1 tasks of the journal are not in the input any more"));
    assert_eq!(lines(&log), ["c", "a", "b", "new", "a", "b"], "what was cut off is run last");
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
    let script = "if mkdir once 2>/dev/null; then setsid sleep 1000 >/dev/null 2>&1 </dev/null & sleep 1000; fi";
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

#[test]
fn a_damaged_journal_costs_only_what_is_damaged() {
    let sandbox = Sandbox::new();
    let script = "echo $1 >>log";
    let mut first = sandbox.msup(["-j2", "--", "sh", "-c", script, "sh"]);
    let values: String = (0..200).map(|n| format!("{n}\n")).collect();
    assert!(run_with_input(&mut first, values.as_bytes()).status.success());
    let path = journal(&sandbox);
    let whole = fs::read(&path).expect("readable");
    // A block of zeros in the middle, and the last record gone.
    let mut damaged = whole[..whole.len() - 5].to_vec();
    let middle = whole.len() / 2;
    damaged[middle..middle + 2000].fill(0);
    fs::write(&path, &damaged).expect("writable");
    let after = resume(&sandbox, &[]);
    assert!(after.status.success(), "{}", text(&after.stderr));
    assert!(
        text(&after.stderr).contains("lines of the journal are damaged"),
        "{}",
        text(&after.stderr)
    );
    let log = lines(&sandbox.path().join("log"));
    let again = log.len() - 200;
    assert!((5..60).contains(&again), "{again} were run again");
    assert_eq!(log.iter().collect::<BTreeSet<_>>().len(), 200);
    // Now all is told once more.
    let nothing = resume(&sandbox, &[]);
    assert!(text(&nothing.stderr).contains("is finished"), "{}", text(&nothing.stderr));
}

#[test]
fn a_journal_torn_anywhere_is_resumed() {
    let sandbox = Sandbox::new();
    let mut first = sandbox.msup(["-j2", "--", "sh", "-c", "echo $1 >>log", "sh"]);
    let values: String = (0..40).map(|n| format!("{n}\n")).collect();
    assert!(run_with_input(&mut first, values.as_bytes()).status.success());
    let path = journal(&sandbox);
    let whole = fs::read(&path).expect("readable");
    let inputs_end = text(&whole).find("inputs-end").expect("it was written");
    // Every byte is the nightly run's; here a few, none of them special.
    let step = if std::env::var_os("MSUP_NIGHTLY").is_some() { 1 } else { 97 };
    for cut in (whole.len().saturating_sub(4096).max(200)..whole.len()).step_by(step) {
        fs::write(&path, &whole[..cut]).expect("writable");
        fs::write(sandbox.path().join("log"), b"").expect("writable");
        let after = resume(&sandbox, &[]);
        let kept = text(&whole[..cut]);
        let is_kept = |what: &str| {
            let whole = kept.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            whole.filter(|line| line.contains(what)).count()
        };
        let ends = is_kept("\"event\":\"end\"");
        let ran = lines(&sandbox.path().join("log")).len();
        assert_eq!(ran, 40 - ends, "cut at {cut}: {}", text(&after.stderr));
        // Whether all input was read must be known for a success.
        let knows = is_kept("inputs-end") > 0;
        assert_eq!(
            after.status.success(),
            knows,
            "cut at {cut} of {inputs_end}: {}",
            text(&after.stderr)
        );
    }
}

#[test]
fn foreign_and_newer_journals_are_refused() {
    let sandbox = Sandbox::new();
    let refused = |content: &[u8], says: &str| {
        let folder = sandbox.path().join("run");
        fs::create_dir_all(&folder).expect("writable");
        fs::write(folder.join("journal.jsonl"), content).expect("writable");
        let output = resume(&sandbox, &["./run"]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(255), "{said}");
        assert!(said.contains(says) && said.lines().count() == 1, "{said}");
        assert_eq!(fs::read(folder.join("journal.jsonl")).expect("readable"), content, "untouched");
    };
    refused(b"", "this run is empty");
    refused(b"hello\nworld\n", "not an msup journal");
    refused(&newer(), "written by a later release (schema 99");
    let nowhere = resume(&sandbox, &["nowhere"]);
    assert_eq!(nowhere.status.code(), Some(255));
    assert!(text(&nowhere.stderr).contains("nowhere: no such run"), "{}", text(&nowhere.stderr));
    let none = resume(&sandbox, &[]);
    assert!(text(&none.stderr).contains("no run in"), "{}", text(&none.stderr));
}

/// As a later release might write it.
fn newer() -> Vec<u8> {
    let body = "{\"n\":1,\"t\":1.000,\"event\":\"run\",\"schema\":99,\"run\":\"x\",\"version\":\"9\",\"generation\":1,\
                \"arguments\":[],\"folder\":\"/\",\"pid\":1";
    format!("{body},\"crc\":\"{:08x}\"}}\n", crc32fast::hash(body.as_bytes())).into_bytes()
}

#[test]
fn a_joblog_is_as_parallel_writes_it() {
    let sandbox = Sandbox::new();
    let flags =
        ["-j1", "--joblog", "jobs", "--", "sh", "-c", "echo hello; exit $1", "sh", ":::", "0", "3"];
    assert_eq!(run(&mut sandbox.msup(flags)).status.code(), Some(1));
    let log = lines(&sandbox.path().join("jobs"));
    assert_eq!(log[0], "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand");
    let fields: Vec<&str> = log[2].split('\t').collect();
    assert_eq!((fields.len(), fields[0], fields[1]), (9, "2", ":"));
    assert_eq!((fields[2].len(), fields[3].len()), (14, 10), "{fields:?}");
    assert_eq!(fields[4..8], ["0", "6", "3", "0"]);
    assert!(fields[8].contains("exit $1"), "{}", fields[8]);
    let more = ["-j1", "--joblog", "+jobs", "--", "true", ":::", "x"];
    assert!(run(&mut sandbox.msup(more)).status.success());
    assert_eq!(lines(&sandbox.path().join("jobs")).len(), 4);
}

#[test]
fn a_run_killed_at_any_moment_repeatedly_finishes() {
    let sandbox = Sandbox::new();
    let script = "echo begin $1 >>log; sleep 0.01; echo end $1 >>log";
    let flags = ["-j3", "-a", "list", "--journal", "kept", "--", "sh", "-c", script, "sh"];
    let mut first = sandbox.msup(flags);
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
        std::thread::sleep(Duration::from_millis(20 + (random >> 33) % 150));
        kill(msup.id() as i32, Signal::SIGKILL);
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

#[test]
fn the_log_tells_what_became_of_each_task() {
    let sandbox = Sandbox::new();
    let script = "sleep $1; exit $1";
    run(&mut sandbox.msup(["-j2", "--", "sh", "-c", script, "sh", ":::", "0", "1", "0"]));
    let log = |flags: &[&str]| {
        let output = run(&mut sandbox.msup(["log"].iter().chain(flags)));
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert!(log(&[]).contains("finished  2 succeeded, 1 failed, 0 quarantined"), "{}", log(&[]));
    assert_eq!(log(&["last"]).lines().count(), 3);
    let failed = log(&["last", "--state", "failed"]);
    assert!(failed.starts_with("2\tfailed: exit 1\tattempt 1\t1."), "{failed}");
    assert_eq!(log(&["last", "--cause", "exit 1"]), failed);
    let slowest: serde_json::Value =
        serde_json::from_str(log(&["last", "--slowest", "1", "--json"]).trim()).expect("JSON");
    assert_eq!((&slowest["seq"], &slowest["state"]), (&2.into(), &"failed".into()));
    let removed = run(&mut sandbox.msup(["clean"]));
    assert!(removed.status.success() && text(&removed.stdout).contains("state/msup/"));
    assert_eq!(log(&[]), "");
}

#[test]
fn a_run_without_a_place_for_a_journal_succeeds() {
    let sandbox = Sandbox::new();
    sandbox.file("state", b"a file, not a folder");
    let output = run(&mut sandbox.msup(["--", "echo", ":::", "x"]));
    assert!(output.status.success());
    assert_eq!(output.stdout, b"x\n");
    assert!(text(&output.stderr).contains("no journal is kept"), "{}", text(&output.stderr));
    let asked_for = run(&mut sandbox.msup(["--journal", "state/here", "--", "echo", ":::", "x"]));
    assert_eq!(asked_for.status.code(), Some(255));
    let not_wanted = run(&mut sandbox.msup(["--no-journal", "--", "echo", ":::", "x"]));
    assert!(!text(&not_wanted.stderr).contains("journal"));
}

#[test]
fn a_full_disk_starts_nothing_new_and_loses_nothing() {
    let sandbox = Sandbox::new();
    let msup = msup_tests::program("msup").display().to_string();
    let script = format!(
        "head -c 221000 /dev/zero >state/filler && exec {msup} -j2 -- sh -c 'echo $1 >>log' sh"
    );
    let Some(mut command) = sandbox.on_small_disk("state", 256 << 10, &script) else { return };
    let mut child = spawn_piped(&mut command);
    let mut stdin = child.stdin.take().expect("piped");
    // What is written of all of them fits, without what fills the disk now.
    let values: String = (0..500).map(|n| format!("{n}\n")).collect();
    let feeder = std::thread::spawn(move || drop(stdin.write_all(values.as_bytes())));
    let said = overheard(&mut child);
    wait_until(|| said.lock().expect("no panic").contains("no space left for the journal"));
    let log = sandbox.path().join("log");
    // Running tasks may finish.
    std::thread::sleep(Duration::from_millis(200));
    let before = lines(&log).len();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(lines(&log).len(), before, "it goes on without a journal");
    assert!(before < 500);
    let filler = inside(&child, &sandbox.path().join("state/filler"));
    fs::remove_file(filler).expect("it is there");
    let output = child.wait_with_output().expect("it was started");
    feeder.join().expect("no panic");
    let said = said.lock().expect("no panic").clone();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("there is space for the journal again"), "{said}");
    let ran = lines(&log);
    assert_eq!((ran.len(), ran.iter().collect::<BTreeSet<_>>().len()), (500, 500));
}

#[test]
fn a_joblog_that_cannot_be_written_is_never_a_success() {
    let sandbox = Sandbox::new();
    let mut msup =
        sandbox.msup(["-j1", "--joblog", "/dev/full", "--", "true", ":::", "1", "2", "3"]);
    let mut child = spawn_piped(&mut msup);
    let said = overheard(&mut child);
    wait_until(|| said.lock().expect("no panic").contains("no space left"));
    kill(child.id() as i32, Signal::SIGTERM);
    let output = child.wait_with_output().expect("it was started");
    assert_eq!(output.status.code(), Some(102), "{}", said.lock().expect("no panic"));
}
