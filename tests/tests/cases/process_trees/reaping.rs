//! Processes that have lost their parent are reaped as soon as they exit.

use msup_protocol::process_tree;
use msup_tests::{Sandbox, program, run, spawn_piped, wait_until};

use super::{exists, text};

#[test]
fn orphans_of_a_running_command_are_reaped_at_once() {
    let sandbox = Sandbox::new();
    let script = "i=0; while [ $i -lt 120 ]; do sh -c 'true &'; i=$((i+1)); done; \
                  touch ready; until [ -e go ]; do sleep 0.01; done";
    let mut msup =
        spawn_piped(&mut sandbox.msup(["-j1", "--", "sh", "-c", script, "sh", ":::", "a"]));
    wait_until(|| exists(&sandbox, "ready"));
    let worker = sandbox.workers(&msup)[0];
    // The command itself runs on: nothing but reaping makes them go away.
    wait_until(|| !process_tree::children_of(worker).iter().any(|child| child.exited));
    sandbox.file("go", b"");
    assert_eq!(msup.wait().expect("started").code(), Some(0));
}

#[test]
fn orphans_of_a_task_loop_are_reaped_while_its_task_runs() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.msup(["-j2", "--worker"]);
    let output = run(command.arg(program("orphans_many")).args([":::", "a", "b", "c"]));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

/// A task function waits for its own children: msup must not reap them.
#[test]
fn a_task_function_gets_the_exit_status_of_its_own_children() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.msup(["-j2", "--worker"]);
    command.arg(program("waits_for_child")).arg(":::").args((0..50).map(|n| n.to_string()));
    let output = run(&mut command);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn what_a_command_left_running_is_reaped_while_its_worker_waits_for_a_task() {
    let sandbox = Sandbox::new();
    sandbox.file("leave", b"for n in 1 2 3 4 5; do setsid sleep 0.5 & done; touch left\n");
    sandbox.file("wait", b"until [ -e go ]; do sleep 0.01; done\n");
    let mut msup = spawn_piped(&mut sandbox.msup(["-j2", "--", "sh", ":::", "wait", "leave"]));
    let children = |worker| process_tree::children_of(worker).len();
    let of_workers = || sandbox.workers(&msup).into_iter().map(children).sum::<usize>();
    wait_until(|| exists(&sandbox, "left"));
    // The command that waits.
    wait_until(|| of_workers() == 1);
    sandbox.file("go", b"");
    assert_eq!(msup.wait().expect("started").code(), Some(0));
}
