//! What is left alive of a killed run is found, whatever it has closed.

use std::fs;
use std::process::Command;

use msup_tests::{Sandbox, kill, name_of, run, spawn_piped, wait_until};
use nix::sys::signal::Signal;

use super::{said, text};

/// Kills the supervisor and its workers at one stroke when this script, run in a task, has left a
/// `sleep`.
fn kill_all_but_the_sleepers(sandbox: &Sandbox, msup: &mut Command) {
    let sleepers = || sleepers(sandbox);
    let child = spawn_piped(msup);
    wait_until(|| sleepers().len() == 2 && sandbox.path().join("ready").exists());
    // What would look after it is killed as well, and has no time to act: first the supervisor
    // stands still.
    let tell = |what: &str, signal| {
        let named = |pid: &i32| name_of(*pid).as_deref() == Some(what);
        sandbox.processes().into_iter().filter(named).for_each(|pid| kill(pid, signal));
    };
    tell("msup", Signal::SIGSTOP);
    tell("msup-worker", Signal::SIGKILL);
    tell("msup", Signal::SIGKILL);
    child.wait_with_output().expect("it was started");
    wait_until(|| sandbox.processes().len() == 1);
}

fn sleepers(sandbox: &Sandbox) -> Vec<i32> {
    let is_sleep = |pid: &i32| name_of(*pid).as_deref() == Some("sleep");
    sandbox.processes().into_iter().filter(is_sleep).collect()
}

#[test]
fn a_survivor_that_has_closed_the_lock_is_killed_before_anything_is_started() {
    let sandbox = Sandbox::new();
    // In a session of its own, with standard streams of its own and nothing else open.
    let close =
        "for fd in /proc/self/fd/*; do fd=${fd##*/}; test $fd -gt 2 && eval \"exec $fd>&-\"; done";
    let daemon = format!("{close}; touch ready; exec sleep 1000");
    sandbox.file("daemon", daemon.as_bytes());
    let script = "if mkdir once 2>/dev/null; then setsid bash daemon >/dev/null 2>&1 </dev/null & \
                  exec sleep 1000; fi; touch again";
    let mut msup = sandbox.msup(["-j1", "--", "sh", "-c", script, ":::", "x"]);
    kill_all_but_the_sleepers(&sandbox, msup.env("MSUP_NO_GROUPS", "1"));
    assert_eq!(sleepers(&sandbox).len(), 1, "the daemon has survived");
    let (words, status) = said(&run(sandbox.msup(["resume"]).env("MSUP_NO_GROUPS", "1")));
    assert!(status == Some(0) && sandbox.path().join("again").exists(), "{words}");
    assert_eq!(sleepers(&sandbox), Vec::<i32>::new(), "{words}");
}

#[test]
fn the_lock_that_everything_inherits_has_no_number_that_scripts_use() {
    let sandbox = Sandbox::new();
    let script = "for fd in /proc/$$/fd/*; do echo ${fd##*/} $(readlink $fd); done; : {}";
    let output = run(&mut sandbox.msup(["-q", script, ":::", "x"]));
    let shown = text(&output.stdout);
    let line = shown.lines().find(|line| line.ends_with("/generation")).expect("it is inherited");
    let number: u32 = line.split(' ').next().and_then(|number| number.parse().ok()).expect(line);
    // What flock's manual page and others use: 3 to 9, 99, 100, 200; bash itself 63 and 255.
    assert!(number > 255 && !number.is_multiple_of(100) && number != 999, "{number}");
    // A script that takes 200 for itself loses nothing.
    let script = "exec 200>mine; echo x >&200";
    assert!(run(&mut sandbox.msup(["-q", "bash", "-c", script, "_", ":::", "x"])).status.success());
    assert_eq!(fs::read(sandbox.path().join("mine")).expect("written"), b"x\n");
}

#[test]
fn the_shell_that_resumes_is_not_taken_for_a_survivor() {
    let sandbox = Sandbox::new();
    let msup = msup_tests::program("msup").display().to_string();
    let here = sandbox.path();
    super::cut_off(&sandbox, here, "a", &[]);
    let id = super::runs(&sandbox).remove(0);
    let id = id.file_name().expect("a name").to_str().expect("text").to_owned();
    // As in a terminal that a task of the run has opened: two shells, both marked as of the run.
    let script = format!("sh -c '{msup} resume {id}; echo inner'; echo outer");
    let output = run(sandbox.command("sh").args(["-c", &script]).env("MSUP_RUN", &id));
    assert_eq!(text(&output.stdout), "inner\nouter\n", "{}", text(&output.stderr));
    assert!(super::was_resumed(here, "a"));
}
