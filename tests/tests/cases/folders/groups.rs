//! Control groups of runs that are gone.

use std::fs;
use std::path::{Path, PathBuf};

use msup_tests::{Sandbox, groups, run, spawn_piped, wait_until};

/// A run in a container, so to say: with a process id namespace of its own, where it is the first
/// process.
fn contained(sandbox: &Sandbox, script: &str) -> Option<std::process::Command> {
    let flags = ["--pid", "--fork", "--mount-proc", "--kill-child"];
    let mut probe = sandbox.command("unshare");
    if !probe.args(flags).arg("true").status().is_ok_and(|end| end.success()) {
        eprintln!("not tested: no process id namespaces here");
        return None;
    }
    let mut command = sandbox.command("unshare");
    command.args(flags).arg(msup_tests::program("msup"));
    command.args(["-q", "-j1", "--no-journal", "--", "sh", "-c", script, ":::", "x"]);
    Some(command)
}

/// The groups that a first process has made and that processes of this sandbox are in.
fn of_container(sandbox: &Sandbox) -> Vec<PathBuf> {
    let memberships = sandbox.processes().into_iter().filter_map(|process| {
        // It may have exited.
        fs::read_to_string(format!("/proc/{process}/cgroup")).ok()
    });
    let memberships: String = memberships.collect();
    let has_member = |group: &PathBuf| {
        let name = group.file_name().expect("a name").to_string_lossy();
        memberships.split(['/', '\n']).any(|part| part == name)
    };
    groups::of_process(1).into_iter().filter(has_member).collect()
}

#[test]
fn what_a_dead_container_leaves_is_swept_when_it_is_empty() {
    let sandbox = Sandbox::new();
    if !groups::are_made_here(&sandbox) {
        return;
    }
    let script = "touch started; exec sleep 1000";
    let Some(mut command) = contained(&sandbox, script) else { return };
    let mut child = spawn_piped(&mut command);
    wait_until(|| sandbox.path().join("started").exists());
    let made = of_container(&sandbox);
    assert_eq!(made.len(), 1, "{made:?}");
    // It goes on, and no other start touches its group.
    sandbox.start_once_more();
    assert!(made[0].exists());
    assert!(sandbox.processes().len() > 1, "the run was killed");
    // All processes of the container are killed at the same time.
    child.kill().expect("ours");
    child.wait().expect("ours");
    wait_until(|| sandbox.processes().is_empty());
    // No process of the run is left to remove it; the next start does.
    wait_until(|| is_empty(&made[0]) || !made[0].exists());
    assert!(run(&mut sandbox.msup(["true", ":::", "x"])).status.success());
    assert!(!made[0].exists());
}

fn is_empty(group: &Path) -> bool {
    let events = fs::read_to_string(group.join("cgroup.events")).unwrap_or_default();
    events.contains("populated 0")
}
