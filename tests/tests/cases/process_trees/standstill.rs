//! Time in which everything stands still is no time of tasks.

use std::fs;
use std::time::Duration;

use msup_protocol::process_tree;
use msup_tests::{Sandbox, kill, spawn_piped, summary, wait_until};
use nix::sys::signal::Signal;

use super::text;

/// As a frozen container does: everything stops, the supervisor first or last, and goes on in any
/// order.
fn stop_all_for_longer_than_the_timeout(supervisor_goes_on_last: bool) {
    let sandbox = Sandbox::new();
    let script = "for n in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1; echo $n >>log; done";
    let flags = ["-j2", "--timeout", "2s", "--summary", "s.json", "--", "sh", "-c", script, "sh"];
    let msup = spawn_piped(&mut sandbox.msup(flags.iter().chain(&[":::", "a", "b"])));
    let lines = || fs::read_to_string(sandbox.path().join("log")).map_or(0, |log| log.len());
    wait_until(|| lines() > 4);
    let supervisor = msup.id() as i32;
    kill(supervisor, Signal::SIGSTOP);
    // Whatever is started meanwhile is found by the next look.
    let mut stopped = 0;
    while std::mem::replace(&mut stopped, sandbox.processes().len()) != sandbox.processes().len() {
        sandbox.processes().into_iter().for_each(|pid| kill(pid, Signal::SIGSTOP));
    }
    sandbox.processes().into_iter().for_each(|pid| kill(pid, Signal::SIGSTOP));
    // The time itself is what is tested.
    std::thread::sleep(Duration::from_millis(3000));
    let others = sandbox.processes().into_iter().filter(|pid| *pid != supervisor);
    let others: Vec<i32> = others.collect();
    if supervisor_goes_on_last {
        others.iter().for_each(|pid| kill(*pid, Signal::SIGCONT));
        kill(supervisor, Signal::SIGCONT);
    } else {
        kill(supervisor, Signal::SIGCONT);
        others.iter().for_each(|pid| kill(*pid, Signal::SIGCONT));
    }
    let output = msup.wait_with_output().expect("started");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(summary(&sandbox.path().join("s.json"))["tasks"]["attempts"], 2);
}

#[test]
fn a_frozen_run_times_nothing_out_when_the_supervisor_goes_on_first() {
    stop_all_for_longer_than_the_timeout(false);
}

#[test]
fn a_frozen_run_times_nothing_out_when_the_supervisor_goes_on_last() {
    stop_all_for_longer_than_the_timeout(true);
}

/// A worker that stands still hears of its supervisor's death, goes on and kills its command.
#[test]
fn a_run_that_is_killed_while_it_stands_still_leaves_nothing() {
    let sandbox = Sandbox::new();
    let script = "sleep 1000 | cat; echo";
    let mut command = sandbox.msup(["--no-journal", "-j2", "--", "sh", "-c", script, "sh"]);
    let msup = spawn_piped(command.args([":::", "a", "b"]));
    // Itself, two workers, and three below each shell.
    wait_until(|| sandbox.processes().len() >= 9);
    kill(msup.id() as i32, Signal::SIGTSTP);
    let is_stopped =
        |pid| process_tree::look_up(pid).is_none_or(|kin| matches!(kin.state, 'T' | 'Z'));
    wait_until(|| sandbox.processes().into_iter().all(is_stopped));
    kill(msup.id() as i32, Signal::SIGKILL);
    msup.wait_with_output().expect("started");
    wait_until(|| sandbox.processes().is_empty());
    sandbox.start_once_more();
}
