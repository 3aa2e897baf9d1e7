//! However a task is stopped: SIGTERM to all its processes, the grace, SIGKILL.

use std::fs;
use std::process::Child;

use msup_tests::{Sandbox, is_alive, kill, program, run, spawn_piped, wait_until};
use nix::sys::signal::Signal;

use super::{exists, pid_in, text};

/// A command, a child in its session and a daemon, each of which needs half a second to put its
/// things in order when it gets a SIGTERM. `$1` is the value.
const TIDY: &str = "
    tidies() {
        trap \"sleep 0.5; touch $1.$2; exit 1\" TERM
        touch up.$1.$2
        while :; do sleep 0.01; done
    }
    export -f tidies
    (tidies child $1) &
    setsid bash -c 'tidies daemon $1' _ $1 &
    tidies command $1";

const PARTS: [&str; 3] = ["command", "child", "daemon"];

fn start(sandbox: &Sandbox, flags: &[&str], values: &[&str]) -> Child {
    let words = ["--", "bash", "-c", TIDY, "_", ":::"];
    spawn_piped(&mut sandbox.msup(flags.iter().chain(&words).chain(values)))
}

fn all_up(sandbox: &Sandbox, values: &[&str]) {
    for value in values {
        wait_until(|| PARTS.iter().all(|part| exists(sandbox, format!("up.{part}.{value}"))));
    }
}

fn assert_tidy(sandbox: &Sandbox, values: &[&str], said: &str) {
    for value in values {
        for part in PARTS {
            assert!(exists(sandbox, format!("{part}.{value}")), "{part} of {value}: {said}");
        }
    }
}

#[test]
fn a_second_signal_lets_the_whole_tree_put_its_things_in_order() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let sandbox = Sandbox::new();
        let mut msup = start(&sandbox, &["-j2"], &["a", "b"]);
        let said = msup_tests::overheard(&mut msup);
        all_up(&sandbox, &["a", "b"]);
        kill(msup.id() as i32, signal);
        wait_until(|| said.lock().expect("no panic").contains("a second signal stops them"));
        kill(msup.id() as i32, signal);
        msup.wait().expect("started");
        assert_tidy(&sandbox, &["a", "b"], &said.lock().expect("no panic"));
    }
}

#[test]
fn when_the_grace_of_a_drain_is_over_the_whole_tree_gets_sigterm() {
    let sandbox = Sandbox::new();
    let msup = start(&sandbox, &["-j1", "--grace", "3s"], &["a"]);
    all_up(&sandbox, &["a"]);
    kill(msup.id() as i32, Signal::SIGTERM);
    let output = msup.wait_with_output().expect("started");
    assert_tidy(&sandbox, &["a"], &text(&output.stderr));
}

#[test]
fn halting_now_lets_running_tasks_put_their_things_in_order() {
    let sandbox = Sandbox::new();
    let script = format!(
        "if [ $1 = bad ]; then \
         until [ -e up.command.a -a -e up.child.a -a -e up.daemon.a ]; do sleep 0.01; done; \
         exit 3; fi; {TIDY}"
    );
    let flags =
        ["-j2", "--halt", "now,fail=1", "--", "bash", "-c", &script, "_", ":::", "a", "bad"];
    let output = run(&mut sandbox.msup(flags));
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert_tidy(&sandbox, &["a"], &text(&output.stderr));
}

#[test]
fn a_timeout_gives_the_whole_tree_its_grace() {
    let sandbox = Sandbox::new();
    // One token and one worker: nothing else delays the start.
    let msup = start(&sandbox, &["-j1", "--timeout", "5s"], &["a"]);
    all_up(&sandbox, &["a"]);
    let output = msup.wait_with_output().expect("started");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("timeout"), "{}", text(&output.stderr));
    assert_tidy(&sandbox, &["a"], &text(&output.stderr));
}

#[test]
fn what_ignores_sigterm_is_killed_after_the_grace_wherever_it_is() {
    let sandbox = Sandbox::new();
    let deaf = "deaf() { trap '' TERM; echo $BASHPID >$1; while :; do sleep 0.01; done; }; \
                export -f deaf; (deaf child) & setsid bash -c 'deaf daemon' & deaf command";
    let flags =
        ["-j1", "--timeout", "3s", "--grace", "300ms", "--", "bash", "-c", deaf, ":::", "a"];
    let output = run(&mut sandbox.msup(flags));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    for part in PARTS {
        let pid = pid_in(&sandbox, part).unwrap_or_else(|| panic!("{part} has not started"));
        assert!(!is_alive(pid), "{part}");
    }
}

#[test]
fn a_third_signal_kills_at_once() {
    let sandbox = Sandbox::new();
    let deaf = "trap '' TERM; touch up; while :; do sleep 0.01; done";
    // This grace is longer than any test.
    let flags = ["-j1", "--grace", "1h", "--", "bash", "-c", deaf, ":::", "a"];
    let mut msup = spawn_piped(&mut sandbox.msup(flags));
    let said = msup_tests::overheard(&mut msup);
    wait_until(|| exists(&sandbox, "up"));
    for answer in ["a second signal stops them", "another signal kills them"] {
        kill(msup.id() as i32, Signal::SIGINT);
        wait_until(|| said.lock().expect("no panic").contains(answer));
    }
    kill(msup.id() as i32, Signal::SIGINT);
    msup.wait().expect("started");
}

#[test]
fn a_sequence_of_signals_is_sent_in_its_order() {
    let sandbox = Sandbox::new();
    let script = "trap 'echo INT >>log' INT; trap 'echo TERM >>log' TERM; \
                  trap 'echo HUP >>log; exit' HUP; while :; do sleep 0.01; done";
    let sequence = "INT,500,SIGTERM,500,1,5000";
    let flags =
        ["-j1", "--timeout", "1s", "--termseq", sequence, "--", "bash", "-c", script, ":::", "a"];
    let output = run(&mut sandbox.msup(flags));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let log = fs::read_to_string(sandbox.path().join("log")).expect("written");
    assert_eq!(log, "INT\nTERM\nHUP\n");
}

#[test]
fn a_stopped_process_goes_on_and_gets_sigterm() {
    let sandbox = Sandbox::new();
    let script = "trap 'touch tidy; exit' TERM; kill -STOP $$; while :; do sleep 0.01; done";
    let flags = ["-j1", "--timeout", "500ms", "--", "bash", "-c", script, ":::", "a"];
    let output = run(&mut sandbox.msup(flags));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(exists(&sandbox, "tidy"));
}

#[test]
fn a_command_that_exits_with_0_because_it_was_stopped_has_not_succeeded() {
    let sandbox = Sandbox::new();
    let script = "trap 'echo half >$MSUP_OUT; exit 0' TERM; touch up; while :; do sleep 0.01; done";
    let flags = ["-j1", "--out", "{}.out", "--", "bash", "-c", script, "_", ":::", "a"];
    let mut msup = spawn_piped(&mut sandbox.msup(flags));
    let said = msup_tests::overheard(&mut msup);
    wait_until(|| exists(&sandbox, "up"));
    kill(msup.id() as i32, Signal::SIGTERM);
    wait_until(|| said.lock().expect("no panic").contains("a second signal stops them"));
    kill(msup.id() as i32, Signal::SIGTERM);
    msup.wait().expect("started");
    assert!(!exists(&sandbox, "a.out"), "half of a file was put in its place");
    wait_until(|| said.lock().expect("no panic").contains("0 of 1 tasks succeeded, 1 left"));
}

/// The worker stops, with its command or before it: it cannot see to the timeout.
#[test]
fn a_task_times_out_although_its_worker_is_stopped() {
    let sandbox = Sandbox::new();
    let script = "kill -STOP $PPID; sleep 1000";
    let flags = ["-j1", "--timeout", "500ms", "--", "sh", "-c", script, ":::", "a"];
    let output = run(&mut sandbox.msup(flags));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("timeout"), "{said}");
}

#[test]
fn children_of_a_task_loop_get_sigterm_and_the_grace() {
    let sandbox = Sandbox::new();
    let script = "trap 'sleep 0.5; touch tidy; exit' TERM; while :; do sleep 0.01; done";
    let mut command = sandbox.msup(["-j1", "--timeout", "1s", "--worker"]);
    let output = run(command.arg(program("runs_shell")).args([script, ":::", "a"]));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("timeout"), "{}", text(&output.stderr));
    assert!(exists(&sandbox, "tidy"));
}

/// As a batch scheduler does it: SIGTERM to msup, and some seconds later SIGKILL to everything.
#[test]
fn a_preempted_run_writes_its_checkpoints_and_resumes_from_them() {
    let sandbox = Sandbox::new();
    let script = "n=$(cat checkpoint.$1 2>/dev/null || echo 0); [ $n -gt 0 ] && touch resumed.$1; \
                  trap 'echo $n >new.$1; mv new.$1 checkpoint.$1; exit 99' TERM; touch up.$1; \
                  while [ $n -lt 400 ]; do n=$((n+1)); sleep 0.01; done; echo $n >result.$1";
    let flags = ["-j2", "--grace", "500ms", "--journal", "run"];
    let words = ["--", "bash", "-c", script, "_", ":::", "a", "b", "c"];
    let msup = spawn_piped(&mut sandbox.msup(flags.iter().chain(&words)));
    wait_until(|| exists(&sandbox, "up.a") && exists(&sandbox, "up.b"));
    kill(msup.id() as i32, Signal::SIGTERM);
    wait_until(|| exists(&sandbox, "checkpoint.a") && exists(&sandbox, "checkpoint.b"));
    sandbox.processes().into_iter().for_each(|pid| kill(pid, Signal::SIGKILL));
    msup.wait_with_output().expect("started");
    let output = run(&mut sandbox.msup(["resume", "./run"]));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for value in ["a", "b", "c"] {
        let result = fs::read_to_string(sandbox.path().join(format!("result.{value}")));
        assert_eq!(result.expect("written"), "400\n", "{value}");
        assert_eq!(exists(&sandbox, format!("resumed.{value}")), value != "c", "{value}");
    }
}

/// Service managers and batch schedulers send SIGTERM to every process. Workers must not kill
/// commands for that.
#[test]
fn sigterm_to_all_processes_lets_commands_put_their_things_in_order() {
    let sandbox = Sandbox::new();
    let mut msup = start(&sandbox, &["-j2"], &["a", "b"]);
    all_up(&sandbox, &["a", "b"]);
    sandbox.processes().into_iter().for_each(|pid| kill(pid, Signal::SIGTERM));
    let status = msup.wait().expect("started");
    assert_ne!(status.code(), Some(0));
    assert_tidy(&sandbox, &["a", "b"], "all got SIGTERM");
}

#[test]
fn a_run_inside_a_task_is_stopped_with_the_grace_of_the_outer_one() {
    let sandbox = Sandbox::new();
    let script = "trap 'sleep 0.5; touch tidy; exit' TERM; touch up; while :; do sleep 0.01; done";
    sandbox.file("task.sh", script.as_bytes());
    let inner =
        format!("exec {} --no-journal -j1 -- bash task.sh ::: x", program("msup").display());
    sandbox.file("inner.sh", inner.as_bytes());
    let mut outer = sandbox.msup(["-j1", "--timeout", "3s", "--", "sh", "inner.sh", ":::", "y"]);
    let output = run(&mut outer);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(exists(&sandbox, "tidy"), "{}", text(&output.stderr));
}
