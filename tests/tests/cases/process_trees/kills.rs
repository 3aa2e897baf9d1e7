//! The supervisor is killed at random moments while tasks leave work to the background.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use msup_tests::{Sandbox, TASKS_DO_NOT_KILL, has_begun, kill, run, spawn_piped, wait_until};
use nix::sys::signal::Signal;

use super::text;

/// The first half of the file is written by the command, the second half second later by what it
/// leaves running.
const HALVES: &str = "seq $1 >$2; (sleep 0.5; seq $1 -1 1 >>$2) & echo $1";

fn start(sandbox: &Sandbox, folder: &str, tasks: u32) -> Child {
    let out = format!("{folder}/{{}}.txt");
    let journal = format!("{folder}.run");
    let mut command =
        sandbox.msup(["-j16", "--journal", &journal, "--out", &out, TASKS_DO_NOT_KILL]);
    command.args(["--", "sh", "-c", HALVES, "sh", "{}"]);
    spawn_piped(command.args(["{out}", ":::"]).args((1..=tasks).map(|n| n.to_string())))
}

fn contents(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let content = |path: &Path| fs::read_to_string(path).expect("readable");
    entries
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), content(&entry.path())))
        .collect()
}

/// Kills a run and its successors so often. How many kills there were before it had finished.
fn killed(kills_wanted: u32, tasks: u32, random: &mut u64) -> u32 {
    let sandbox = Sandbox::new();
    let undisturbed = start(&sandbox, "undisturbed", tasks).wait_with_output().expect("started");
    assert!(undisturbed.status.success(), "{}", text(&undisturbed.stderr));
    let mut msup = start(&sandbox, "killed", tasks);
    let mut kills = 0;
    let last = loop {
        if kills == kills_wanted {
            break msup.wait_with_output().expect("started");
        }
        wait_until(|| has_begun(&sandbox, "killed.run"));
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // The moment of the kill is what is random.
        std::thread::sleep(Duration::from_millis(20 + (*random >> 33) % 900));
        kill(msup.id() as i32, Signal::SIGKILL);
        let output = msup.wait_with_output().expect("started");
        if output.status.code().is_some() {
            break output;
        }
        kills += 1;
        msup = spawn_piped(&mut sandbox.msup(["resume", "./killed.run"]));
    };
    assert!(last.status.success(), "after {kills} kills: {}", text(&last.stderr));
    let expected = contents(&sandbox.path().join("undisturbed"));
    assert_eq!(expected.len() as u32, tasks);
    assert!(contents(&sandbox.path().join("killed")) == expected, "outputs differ");
    let again = run(&mut sandbox.msup(["resume", "./killed.run"]));
    assert!(text(&again.stderr).contains("finished"), "{}", text(&again.stderr));
    // The last generation may have been killed after its work was done.
    sandbox.start_once_more();
    kills
}

#[test]
fn outputs_are_those_of_an_undisturbed_run() {
    // The nightly run takes two hundred kills, a few at a time: the watchdog kills a test that
    // takes minutes.
    let nightly = std::env::var_os("MSUP_NIGHTLY").is_some();
    let (rounds, kills_wanted) = if nightly { (20, 10) } else { (1, 4) };
    let mut random = 5;
    let kills: u32 = (0..rounds).map(|_| killed(kills_wanted, 60, &mut random)).sum();
    println!("{kills} kills");
    assert!(kills >= rounds * kills_wanted / 2, "only {kills} kills");
}
