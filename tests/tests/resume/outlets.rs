//! Journals and joblogs that cannot be written, for lack of space or of a place.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::time::Duration;

use msup_tests::{Sandbox, inside, kill, overheard, run, spawn_piped, wait_until};
use nix::sys::signal::Signal;

use super::{lines, text};

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
