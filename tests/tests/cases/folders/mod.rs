//! Where a run keeps its files, and what strangers can do to them.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use msup_tests::{Sandbox, kill, run, spawn_piped, wait_until};
use nix::sys::signal::Signal;

mod choosing;
mod groups;
mod journals;
mod named;
mod starting;
mod survivors;
mod targets;
mod temporary;

/// An account that is not the one that runs the tests.
const STRANGER: u32 = 65_534;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a command says on its standard error, and its exit status.
fn said(output: &Output) -> (String, Option<i32>) {
    (text(&output.stderr), output.status.code())
}

/// A word about it where this test cannot give files away.
fn cannot_give_away() -> bool {
    let cannot = !nix::unistd::geteuid().is_root();
    if cannot {
        eprintln!("not tested: only root can give files to another user");
    }
    cannot
}

fn give_away(path: &Path) {
    chown(path, Some(STRANGER), Some(STRANGER)).expect("root may");
}

/// A folder of the sandbox.
fn folder(sandbox: &Sandbox, name: &str) -> PathBuf {
    let path = sandbox.path().join(name);
    fs::create_dir_all(&path).expect("the sandbox is writable");
    path
}

/// A run that sleeps in its only task, the first time, and is killed there. The task leaves
/// `NAME.1`, and when it is run again `NAME.2`.
fn cut_off(sandbox: &Sandbox, place: &Path, name: &str, flags: &[&str]) {
    let script = "test -e $1.1 && exec touch $1.2; touch $1.1; exec sleep 1000";
    let mut msup = sandbox.msup(flags.iter().copied().chain(["-j1", "--", "sh", "-c", script]));
    kill_once(
        sandbox,
        msup.args(["sh", ":::", name]).current_dir(place),
        &place.join(format!("{name}.1")),
    );
}

/// Starts a supervisor and kills it as soon as there is this file. Returns when nothing of it is
/// left.
fn kill_once(sandbox: &Sandbox, msup: &mut Command, there_is: &Path) {
    let child = spawn_piped(msup);
    wait_until(|| there_is.exists());
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait_with_output().expect("it was started");
    wait_until(|| sandbox.processes().is_empty());
}

/// Whether the task of such a run has been run again.
fn was_resumed(place: &Path, name: &str) -> bool {
    place.join(format!("{name}.2")).exists()
}

/// The folders of all runs.
fn runs(sandbox: &Sandbox) -> Vec<PathBuf> {
    let entries = fs::read_dir(sandbox.path().join("state/msup")).into_iter().flatten().flatten();
    let mut runs: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    runs.sort();
    runs
}

/// `msup` with these arguments, in this folder of the sandbox.
fn msup_in(sandbox: &Sandbox, place: &Path, arguments: &[&str]) -> Output {
    run(sandbox.msup(arguments).current_dir(place))
}
