//! Processes that a command leaves running when it exits.

use std::fs;

use msup_tests::{Sandbox, is_alive, kill, program, run, spawn_piped, wait_until};
use nix::sys::signal::Signal;

use super::{exists, pid_in, script, text};

#[test]
fn a_process_substitution_belongs_to_its_task() {
    let sandbox = Sandbox::new();
    let output = script(&sandbox, &[], "seq 1000 > >(sleep 1; cat >o.$1)", &["1", "2"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for name in ["o.1", "o.2"] {
        let content = fs::read_to_string(sandbox.path().join(name)).expect("written");
        assert_eq!(content.lines().count(), 1000, "{name}");
    }
}

#[test]
fn background_jobs_belong_to_their_task_however_they_were_started() {
    for (what, command) in [
        ("a pipe into a substitution", "seq 9 | tee >(sleep 0.6; sort >done.$1) >/dev/null"),
        ("disowned", "(sleep 0.6; touch done.$1) & disown"),
        ("nohup", "nohup sh -c \"sleep 0.6; touch done.$1\" >/dev/null 2>&1 &"),
        ("a coprocess", "coproc { sleep 0.6; touch done.$1; }"),
        ("closed streams", "(exec >&- 2>&- <&-; sleep 0.6; touch done.$1) &"),
        ("a group of its own", "set -m; (sleep 0.6; touch done.$1) &"),
        ("forked twice", "( (sleep 0.6; touch done.$1) & ) & exit 0"),
    ] {
        let sandbox = Sandbox::new();
        let output = script(&sandbox, &[], command, &["a"]);
        assert_eq!(output.status.code(), Some(0), "{what}: {}", text(&output.stderr));
        assert!(exists(&sandbox, "done.a"), "{what}");
    }
}

/// The next task of the same worker must not begin beside it.
#[test]
fn a_task_is_not_finished_before_its_background_jobs_are() {
    let sandbox = Sandbox::new();
    let command = "[ -e busy ] && touch overlap; (touch busy; sleep 0.4; rm busy) & \
                   until [ -e busy ]; do sleep 0.01; done";
    let output = script(&sandbox, &["-j1"], command, &["1", "2", "3"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(!exists(&sandbox, "overlap"));
}

#[test]
fn what_a_background_job_prints_is_output_of_its_task() {
    let sandbox = Sandbox::new();
    let output =
        script(&sandbox, &["-k", "-j2"], "(sleep 0.5; echo late $1) & echo $1", &["a", "b"]);
    assert_eq!(text(&output.stdout), "a\nlate a\nb\nlate b\n");
}

#[test]
fn a_file_of_a_task_is_placed_after_its_background_jobs_have_finished() {
    let sandbox = Sandbox::new();
    let flags = ["--out", "{}.done"];
    let output =
        script(&sandbox, &flags, "echo 1 >$MSUP_OUT; (sleep 0.5; echo 2 >>$MSUP_OUT) &", &["a"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(fs::read_to_string(sandbox.path().join("a.done")).expect("placed"), "1\n2\n");
}

#[test]
fn processes_left_running_for_too_long_are_stopped_and_their_task_fails() {
    let sandbox = Sandbox::new();
    let command = "(trap 'echo tidy >tidy; exit' TERM; while :; do sleep 0.01; done) & \
                   until [ -e started ]; do touch started; done";
    let flags = ["--leave-timeout", "2500ms"];
    let output = script(&sandbox, &flags, command, &["x"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("left processes running: bash ("), "{said}");
    assert!(said.contains("task 1 left processes running: waiting for them"), "{said}");
    assert!(exists(&sandbox, "tidy"), "SIGTERM comes first");
    // A command that failed by itself keeps its own cause.
    let flags = ["--leave-timeout", "100ms"];
    let output = script(&sandbox, &flags, "sleep 1000 & exit 7", &["x"]);
    let said = text(&output.stderr);
    assert!(said.contains("exit 7"), "{said}");
}

#[test]
fn a_process_that_ignores_sigterm_is_killed_after_the_grace() {
    let sandbox = Sandbox::new();
    let command = "(trap '' TERM; echo $BASHPID >pid; while :; do sleep 0.01; done) & \
                   until [ -s pid ]; do sleep 0.01; done";
    let flags = ["--leave-timeout", "100ms", "--grace", "200ms"];
    let output = script(&sandbox, &flags, command, &["x"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(!is_alive(pid_in(&sandbox, "pid").expect("written")));
}

#[test]
fn a_daemon_does_not_hold_its_task_and_has_time_when_the_run_is_over() {
    let sandbox = Sandbox::new();
    // The second task finishes the daemon of the first: it would wait for ever otherwise.
    let command = "if [ $1 = first ]; then \
                   setsid sh -c 'until [ -e go ]; do sleep 0.01; done; touch done' \
                   >/dev/null 2>&1 & \
                   else touch go; fi";
    let output = script(&sandbox, &["-j1"], command, &["first", "second"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    wait_until(|| sandbox.processes().is_empty());
    assert!(exists(&sandbox, "done"), "{}", text(&output.stderr));
    // When all tasks have finished, msup waits for it and says so.
    let output = script(&sandbox, &[], "setsid sh -c 'sleep 0.7; touch late' &", &["x"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("waiting for processes that tasks left running: "), "{said}");
    assert!(exists(&sandbox, "late"));
}

#[test]
fn a_daemon_that_stays_is_stopped_and_named_and_the_exit_status_is_that_of_the_tasks() {
    let sandbox = Sandbox::new();
    let command = "setsid sh -c 'trap \"touch tidy; exit\" TERM; touch up; \
                   while :; do sleep 0.01; done' >/dev/null 2>&1 & \
                   until [ -e up ]; do sleep 0.01; done";
    let output = script(&sandbox, &["--leave-timeout", "300ms"], command, &["x"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("stopped processes that tasks left running: sh ("), "{said}");
    assert!(exists(&sandbox, "tidy"), "SIGTERM comes first");
}

#[test]
fn leave_ok_leaves_jobs_and_daemons_alone() {
    let sandbox = Sandbox::new();
    let command = "sleep 1000 & echo $! >job.$1; \
                   setsid sh -c 'echo $$ >daemon.$1; exec sleep 1000' _ $1 & \
                   until [ -s daemon.$1 ]; do sleep 0.01; done";
    let output = script(&sandbox, &["--leave", "ok"], command, &["a"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for name in ["job.a", "daemon.a"] {
        let pid = pid_in(&sandbox, name).expect("written");
        assert!(is_alive(pid), "{name}");
        kill(pid, Signal::SIGKILL);
    }
    wait_until(|| sandbox.processes().is_empty());
}

#[test]
fn leave_kill_waits_for_neither_jobs_nor_daemons() {
    let sandbox = Sandbox::new();
    let command = "sleep 1000 & setsid sleep 1000 & echo $1";
    let output = script(&sandbox, &["--leave", "kill"], command, &["a", "b"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(!said.contains("waiting for"), "{said}");
}

#[test]
fn a_daemon_of_an_earlier_task_survives_the_timeout_of_a_later_one() {
    let sandbox = Sandbox::new();
    let command = "if [ $1 = first ]; then \
                   setsid sh -c 'echo $$ >daemon; \
                   until [ -e go ]; do sleep 0.01; done; touch done' & \
                   until [ -s daemon ]; do sleep 0.01; done; sleep 0.05; \
                   else sleep 1000; fi";
    let flags = ["-j1", "--timeout", "1s"];
    let words = ["--", "bash", "-c", command, "_", ":::", "first", "second"];
    let mut msup = spawn_piped(&mut sandbox.msup(flags.iter().chain(&words)));
    let said = msup_tests::overheard(&mut msup);
    wait_until(|| said.lock().expect("no panic").contains("waiting for processes that tasks left"));
    sandbox.file("go", b"");
    assert_eq!(msup.wait().expect("started").code(), Some(1));
    assert!(exists(&sandbox, "done"), "{}", said.lock().expect("no panic"));
}

#[test]
fn children_of_task_loops_have_time_when_the_run_is_over() {
    let sandbox = Sandbox::new();
    let worker = program("leaves_child");
    let mut command = sandbox.msup(["-j1", "--worker"]);
    let output = run(command.arg(&worker).args(["sleep 0.6; touch done", ":::", "a", "b"]));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("waiting for processes that tasks left running: "), "{said}");
    assert!(exists(&sandbox, "done"));
}

#[test]
fn impossible_values_are_refused() {
    let sandbox = Sandbox::new();
    for (flags, part) in [
        (&["--leave", "maybe"][..], "--leave maybe: must be wait, ok or kill"),
        (&["--leave-timeout", "soon"], "--leave-timeout soon: must be a time"),
        (&["--leave", "ok", "--leave-timeout", "1s"], "--leave ok waits for nothing"),
        (&["--termseq", "TERM,x"], "--termseq TERM,x: must be signals"),
    ] {
        let output = script(&sandbox, flags, "touch ran", &["a"]);
        assert_eq!(output.status.code(), Some(255));
        assert!(text(&output.stderr).contains(part), "{}", text(&output.stderr));
    }
    assert!(!exists(&sandbox, "ran"));
}

/// The command has exited and its worker waits for what it left: that is stopped, too.
#[test]
fn what_was_left_running_is_stopped_with_the_run_and_times_out() {
    let command = "(trap 'touch tidy; exit' TERM; touch up; while :; do sleep 0.01; done) & \
                   until [ -e up ]; do sleep 0.01; done";
    let sandbox = Sandbox::new();
    let output = script(&sandbox, &["--leave-timeout", "1h", "--timeout", "1s"], command, &["x"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("timeout") && exists(&sandbox, "tidy"), "{said}");
    let sandbox = Sandbox::new();
    let flags = ["--leave-timeout", "1h", "--", "bash", "-c", command, ":::", "x"];
    let mut msup = spawn_piped(&mut sandbox.msup(flags));
    let said = msup_tests::overheard(&mut msup);
    wait_until(|| said.lock().expect("no panic").contains("left processes running"));
    for _ in 0..2 {
        kill(msup.id() as i32, Signal::SIGTERM);
        wait_until(|| said.lock().expect("no panic").contains("a second signal stops them"));
    }
    msup.wait().expect("started");
    assert!(exists(&sandbox, "tidy"));
}

/// A worker that is killed takes its own task's processes with it, and no daemon of a task that has
/// finished.
#[test]
fn a_daemon_survives_the_death_of_another_worker() {
    let sandbox = Sandbox::new();
    let command = "if [ $1 = busy ]; then
            echo $PPID >worker; until [ -e killed ]; do sleep 0.01; done; exit
        fi
        setsid sh -c 'echo $$ >up.$1; until [ -e go ]; do sleep 0.01; done; touch done.$1' _ $1 \\
            >/dev/null 2>&1 &
        until [ -s up.$1 ]; do sleep 0.01; done";
    let daemons = ["a", "b", "c"];
    let flags = ["-j4", "--idle-timeout", "0", "--", "bash", "-c", command, "_", ":::", "busy"];
    let mut msup = spawn_piped(&mut sandbox.msup(flags.iter().chain(&daemons)));
    // Workers without a task leave, and the supervisor becomes the parent of what their tasks have
    // left running.
    let is_adopted = |name: &&str| {
        let daemon = pid_in(&sandbox, &format!("up.{name}"));
        daemon.and_then(msup_tests::parent_of) == Some(msup.id() as i32)
    };
    wait_until(|| daemons.iter().any(is_adopted) && pid_in(&sandbox, "worker").is_some());
    let worker = pid_in(&sandbox, "worker").expect("just seen");
    sandbox.file("killed", b"");
    kill(worker, Signal::SIGKILL);
    wait_until(|| !is_alive(worker));
    sandbox.file("go", b"");
    assert_eq!(msup.wait().expect("started").code(), Some(0));
    for name in daemons {
        assert!(exists(&sandbox, format!("done.{name}")), "{name}");
    }
}
