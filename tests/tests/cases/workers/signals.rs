//! A run that is stopped by a signal dies of it, once everything is done: shells and launchers look
//! at that.

use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};

use msup_tests::{Sandbox, kill, program, run, spawn_piped, wait_until};
use nix::sys::signal::Signal;

/// A command that says that it runs and then waits to be let go.
const WAITS: [&str; 4] =
    ["sh", "-c", "echo $1; : >began.$1; until test -e go; do sleep 0.01; done", "sh"];

#[test]
fn a_loop_in_a_shell_stops_with_the_run_that_is_interrupted() {
    let sandbox = Sandbox::new();
    sandbox.file("task", b": >began; until test -e go; do sleep 0.01; done");
    let script = format!(
        "for round in 1 2 3; do echo $round >>rounds; {} sh task ::: 1; done; : >after",
        program("msup").display()
    );
    let mut shell = sandbox.command("bash");
    // As a terminal does it: the shell and msup are in one process group, and both get the signal.
    let shell = spawn_piped(shell.args(["-c", &script]).process_group(0));
    wait_until(|| sandbox.path().join("began").exists());
    kill(-(shell.id() as i32), Signal::SIGINT);
    let has_stopped = || {
        let journals = fs::read_dir(sandbox.path().join("state/msup")).expect("kept").flatten();
        let read = |folder: fs::DirEntry| fs::read_to_string(folder.path().join("journal.jsonl"));
        journals.flat_map(read).count() == 1
    };
    assert!(has_stopped());
    sandbox.file("go", b"");
    let output = shell.wait_with_output().expect("ours");
    let rounds = fs::read_to_string(sandbox.path().join("rounds")).expect("begun");
    assert_eq!(rounds, "1\n", "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.signal(), Some(Signal::SIGINT as i32));
    assert!(!sandbox.path().join("after").exists());
}

/// Stopped by this signal while two of five tasks run: what they wrote is shown, and the rest can
/// be resumed.
fn stopped_by(signal: Signal, times: usize) {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["-j2", "-k"]);
    let mut child = spawn_piped(msup.args(WAITS).args(["{}", ":::", "1", "2", "3", "4", "5"]));
    let said = msup_tests::overheard(&mut child);
    let has_begun = |n: u32| sandbox.path().join(format!("began.{n}")).exists();
    wait_until(|| has_begun(1) && has_begun(2));
    kill(child.id() as i32, signal);
    wait_until(|| said.lock().expect("no panic").contains("stopping when"));
    match times {
        1 => drop(sandbox.file("go", b"")),
        _ => kill(child.id() as i32, signal),
    }
    let output = child.wait_with_output().expect("ours");
    let said = said.lock().expect("no panic").clone();
    assert_eq!(output.status.signal(), Some(signal as i32), "{said}");
    assert!(sandbox.processes().is_empty() && sandbox.residue().is_empty(), "something is left");
    if times == 1 {
        assert_eq!(output.stdout, b"1\n2\n", "{said}");
    }
    sandbox.file("go", b"");
    let resumed = run(&mut sandbox.msup(["resume"]));
    assert_eq!(resumed.status.code(), Some(0), "{}", String::from_utf8_lossy(&resumed.stderr));
    let left: &[u8] = if times == 1 { b"3\n4\n5\n" } else { b"1\n2\n3\n4\n5\n" };
    assert_eq!(resumed.stdout, left);
}

#[test]
fn an_interrupted_run_dies_of_the_signal() {
    stopped_by(Signal::SIGINT, 1);
}

#[test]
fn a_terminated_run_dies_of_the_signal() {
    stopped_by(Signal::SIGTERM, 1);
}

#[test]
fn a_run_whose_terminal_is_gone_dies_of_the_signal() {
    stopped_by(Signal::SIGHUP, 1);
}

#[test]
fn a_run_that_was_told_twice_dies_of_the_signal() {
    stopped_by(Signal::SIGINT, 2);
}

/// The shell's own view of it stays what it was.
#[test]
fn a_shell_sees_128_and_the_signal() {
    let sandbox = Sandbox::new();
    let msup = program("msup");
    let script = format!("{} sh -c 'kill -TERM {{}}; sleep 0.1' ::: $PPID_OF_IT", msup.display());
    // The task asks its supervisor to stop: its parent's parent.
    let script =
        script.replace("{}", "$(cut -d\" \" -f4 /proc/$PPID/stat)").replace("$PPID_OF_IT", "1");
    let output = run(sandbox.command("bash").args(["-c", &format!("{script}; echo $?")]));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "143\n", "{said}");
}

/// A task's own status is none of msup's signals.
#[test]
fn a_status_that_looks_like_a_signal_is_a_status() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--halt", "now,fail=1", "sh", "-c", "exit 130", ":::", "1"]);
    let output = run(&mut msup);
    assert_eq!(output.status.signal(), None, "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.code().is_some_and(|code| code > 0));
}

/// The kernel keeps signals that are not handled from the first process of a container.
#[test]
fn the_first_process_of_a_container_exits_with_the_signals_status() {
    let sandbox = Sandbox::new();
    let unshare = ["-p", "-f", "-m", "--mount-proc"];
    let mut probe = sandbox.command("unshare");
    if !probe.args(unshare).arg("true").status().is_ok_and(|end| end.success()) {
        eprintln!("not tested: no pid namespaces here");
        return;
    }
    let mut outside = sandbox.command("unshare");
    outside.args(unshare).arg(program("msup")).args(WAITS).args(["{}", ":::", "1"]);
    let child = spawn_piped(&mut outside);
    wait_until(|| sandbox.path().join("began.1").exists());
    let is_msup = |pid: &i32| msup_tests::name_of(*pid).as_deref() == Some("msup");
    let msup = sandbox.processes().into_iter().find(is_msup).expect("it runs");
    kill(msup, Signal::SIGTERM);
    sandbox.file("go", b"");
    let output = child.wait_with_output().expect("ours");
    assert_eq!(output.status.code(), Some(143), "{}", String::from_utf8_lossy(&output.stderr));
}
