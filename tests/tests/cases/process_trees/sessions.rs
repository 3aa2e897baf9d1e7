//! Commands have no terminal, and what is stopped is reported.

use std::fs;

use msup_tests::{Sandbox, kill, overheard, program, run, spawn_piped, wait_until};
use nix::sys::signal::Signal;

use super::{pid_in, script, text};

/// `script` of util-linux gives a terminal to what it runs.
fn on_a_terminal(sandbox: &Sandbox, line: &str) -> std::process::Output {
    let mut command = sandbox.command("script");
    run(command.args(["-qec", line, "/dev/null"]))
}

#[test]
fn a_command_that_opens_the_terminal_fails_at_once() {
    let sandbox = Sandbox::new();
    let msup = program("msup");
    for command in ["read x </dev/tty", "stty -a </dev/tty", "echo prompt >/dev/tty"] {
        let line = format!("{} -j1 -- bash -c '{command}' _ ::: a", msup.display());
        let output = on_a_terminal(&sandbox, &line);
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{command}: {said}");
        assert!(said.contains("No such device or address"), "{command}: {said}");
    }
}

#[test]
fn an_interactive_shell_does_not_stop_its_task() {
    let sandbox = Sandbox::new();
    let line = format!("{} -j1 -- bash -ic 'echo done $1' _ ::: a", program("msup").display());
    let output = on_a_terminal(&sandbox, &line);
    assert!(text(&output.stdout).contains("done a"), "{}", text(&output.stdout));
}

#[test]
fn a_command_leads_a_session_of_its_own() {
    let sandbox = Sandbox::new();
    let output = script(&sandbox, &["-j1"], "echo $(($(ps -o sid= -p $$)==$$))", &["a"]);
    assert_eq!(text(&output.stdout), "1\n", "{}", text(&output.stderr));
}

#[test]
fn a_stopped_task_is_reported_unasked() {
    let sandbox = Sandbox::new();
    let script = "echo $$ >pid; kill -STOP $$; echo on";
    let mut msup =
        spawn_piped(&mut sandbox.msup(["-j1", "--", "sh", "-c", script, "sh", ":::", "a"]));
    let said = overheard(&mut msup);
    wait_until(|| said.lock().expect("no panic").contains("task 1 is stopped"));
    let pid = pid_in(&sandbox, "pid").expect("written");
    let text = said.lock().expect("no panic").clone();
    assert!(text.contains(&format!("kill -CONT {pid}")), "{text}");
    kill(pid, Signal::SIGCONT);
    assert_eq!(msup.wait_with_output().expect("started").status.code(), Some(0));
    let text = said.lock().expect("no panic").clone();
    assert_eq!(text.matches("is stopped").count(), 1, "once: {text}");
}
#[test]
fn a_task_loop_has_no_terminal_either() {
    let sandbox = Sandbox::new();
    let worker = program("opens_terminal");
    let line = format!("{} -j1 --worker {} ::: a", program("msup").display(), worker.display());
    let output = on_a_terminal(&sandbox, &line);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert_eq!(fs::read_to_string(sandbox.path().join("answer")).expect("written"), "ENXIO");
}
