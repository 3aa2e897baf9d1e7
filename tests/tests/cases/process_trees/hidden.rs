//! Processes that are hard to see: their first thread has exited, their parents exit all the time,
//! or another process started them.

use msup_tests::{Sandbox, is_alive, kill, program, run, spawn_piped, wait_until};
use nix::sys::signal::Signal;

use super::{exists, pid_in, script, text};

fn first_thread_exits() -> String {
    program("first_thread_exits").display().to_string()
}

#[test]
fn a_background_process_whose_first_thread_has_exited_belongs_to_its_task() {
    let sandbox = Sandbox::new();
    let command = format!("{} 800 done >/dev/null 2>&1 & sleep 0.3", first_thread_exits());
    let output = script(&sandbox, &[], &command, &["a"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(exists(&sandbox, "done"));
}

#[test]
fn a_command_whose_first_thread_has_exited_times_out() {
    let sandbox = Sandbox::new();
    let command = format!("exec {} 60000 done", first_thread_exits());
    let output = script(&sandbox, &["--timeout", "500ms"], &command, &["a"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("timeout"), "{}", text(&output.stderr));
}

#[test]
fn a_chain_of_short_lived_background_processes_belongs_to_its_task() {
    let sandbox = Sandbox::new();
    let command = format!("{} 1500 done", program("relays").display());
    let output = script(&sandbox, &[], &command, &["a"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(exists(&sandbox, "done"), "{said}");
}

/// A task whose worker is stopped, with nothing below it any more.
#[test]
fn a_task_times_out_although_its_command_has_exited_and_its_worker_is_stopped() {
    let sandbox = Sandbox::new();
    let flags = ["-j1", "--timeout", "500ms", "--grace", "300ms"];
    let output = script(&sandbox, &flags, "kill -STOP $PPID", &["a"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("timeout"), "{said}");
}

#[test]
fn a_daemon_and_what_it_has_left_itself_survive_the_timeout_of_a_later_task() {
    let sandbox = Sandbox::new();
    let command = "if [ $1 = first ]; then
            setsid bash -c 'touch up
                until [ -e busy ]; do sleep 0.01; done
                (sleep 1000 & echo $! >orphan); touch left
                until [ -e go ]; do sleep 0.01; done
                kill $(cat orphan); touch done' >/dev/null 2>&1 &
            until [ -e up ]; do sleep 0.01; done
        else touch busy; until [ -e left ]; do sleep 0.01; done; sleep 1000; fi";
    let flags =
        ["-j1", "--timeout", "2s", "--leave-timeout", "1h", "--", "bash", "-c", command, "_"];
    let mut msup = spawn_piped(&mut sandbox.msup(flags.iter().chain(&[":::", "first", "second"])));
    let said = msup_tests::overheard(&mut msup);
    wait_until(|| said.lock().expect("no panic").contains("waiting for processes that tasks left"));
    assert!(is_alive(pid_in(&sandbox, "orphan").expect("written")));
    sandbox.file("go", b"");
    assert_eq!(msup.wait().expect("started").code(), Some(1));
    assert!(exists(&sandbox, "done"), "{}", said.lock().expect("no panic"));
}

/// `exec msup` in a shell that has background jobs: they are msup's children then, and so are their
/// orphans later.
#[test]
fn jobs_of_the_shell_that_became_msup_are_left_alone() {
    let sandbox = Sandbox::new();
    let msup = program("msup");
    // The parent of the job exits while msup runs; and a worker is killed.
    let line = format!(
        "( (until [ -e go ]; do sleep 0.01; done; echo kept >precious) & \
         until [ -e up ]; do sleep 0.01; done ) >/dev/null 2>&1 & \
         exec {} --leave-timeout 300ms -- bash -c \
         '[ -e once ] || {{ touch once up; sleep 0.3; kill -9 $PPID; }}; sleep 0.3' _ ::: a",
        msup.display()
    );
    let output = run(sandbox.command("bash").args(["-c", &line]));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(!said.contains("processes that tasks left running"), "{said}");
    sandbox.file("go", b"");
    wait_until(|| exists(&sandbox, "precious"));
    wait_until(|| sandbox.processes().is_empty());
}

#[test]
fn a_third_signal_that_comes_with_the_second_kills_at_once() {
    let sandbox = Sandbox::new();
    let deaf = "trap '' TERM INT HUP; touch up; while :; do sleep 0.01; done";
    let flags = ["-j1", "--grace", "1h", "--", "bash", "-c", deaf, ":::", "a"];
    let msup = spawn_piped(&mut sandbox.msup(flags));
    wait_until(|| exists(&sandbox, "up"));
    let pid = msup.id() as i32;
    // Stopped, it reads all of them at once afterwards.
    kill(pid, Signal::SIGSTOP);
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCONT] {
        kill(pid, signal);
    }
    msup.wait_with_output().expect("started");
}

#[test]
fn a_run_that_waits_for_daemons_can_be_suspended_and_asked() {
    let sandbox = Sandbox::new();
    let daemon = "setsid sh -c 'until [ -e go ]; do sleep 0.01; done' >/dev/null 2>&1 &";
    let flags = ["-j1", "--leave-timeout", "1h", "--", "bash", "-c", daemon, "_", ":::", "a"];
    let mut msup = spawn_piped(&mut sandbox.msup(flags));
    let said = msup_tests::overheard(&mut msup);
    wait_until(|| said.lock().expect("no panic").contains("waiting for processes that tasks left"));
    let pid = msup.id() as i32;
    let before = said.lock().expect("no panic").len();
    kill(pid, Signal::SIGUSR1);
    wait_until(|| said.lock().expect("no panic").len() > before);
    kill(pid, Signal::SIGTSTP);
    let is_stopped =
        |pid| msup_protocol::process_tree::look_up(pid).is_none_or(|kin| kin.state == 'T');
    wait_until(|| sandbox.processes().into_iter().all(is_stopped));
    kill(pid, Signal::SIGCONT);
    sandbox.file("go", b"");
    assert_eq!(msup.wait().expect("started").code(), Some(0));
}
