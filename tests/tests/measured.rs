//! msup sees the CPU use of every process of a command: by control groups, where they can be made,
//! and without.

use std::sync::{Mutex, PoisonError};

use msup_tests::{Sandbox, run, trace};

const SPIN: &str = "while :; do :; done";

/// CPUs in use, and tokens that are charged.
type Seen = (f64, u64);

/// One test at a time: together they would take each other's CPUs away.
static ALONE: Mutex<()> = Mutex::new(());

/// How commands are measured.
#[derive(Clone, Copy, Debug)]
enum By {
    /// Group by group, where groups can be made; else as [`By::Processes`].
    Groups,
    Processes,
}

/// Runs one command; what was seen of it, and when in milliseconds.
fn watched(by: By, script: &str) -> Vec<(u64, Seen)> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--procs", "2", "--schedtrace", "50", "--quiet", "--"]);
    if matches!(by, By::Processes) {
        msup.env("MSUP_NO_GROUPS", "1");
    }
    let output = run(msup.args(["bash", "-c", script, "bash", ":::", "x"]));
    assert!(output.status.success());
    let lines = trace::lines(&String::from_utf8_lossy(&output.stderr));
    let seen = |line: &trace::Line| (line["used"] as f64 / 1000.0, line["charged"]);
    lines.iter().map(|line| (line["at_ms"], seen(line))).collect()
}

fn between(lines: &[(u64, Seen)], from: u64, until: u64) -> Vec<Seen> {
    lines.iter().filter(|(at, _)| (from..until).contains(at)).map(|(_, seen)| *seen).collect()
}

fn mean(lines: &[Seen]) -> f64 {
    lines.iter().map(|line| line.0).sum::<f64>() / lines.len() as f64
}

fn a_pipeline_computes_in_its_last_program(by: By) {
    let script =
        format!("sleep 3 | sleep 3 | {{ timeout 1.4 bash -c '{SPIN}'; sleep 1.6; }}; true");
    let lines = watched(by, &script);
    let computing = between(&lines, 400, 1300);
    assert!((0.6..1.4).contains(&mean(&computing)), "{computing:?}");
    let charged = computing.iter().filter(|line| line.1 == 1).count();
    assert!(charged * 4 >= computing.len() * 3, "{computing:?}");
    let sleeping = between(&lines, 2200, 2900);
    assert!(mean(&sleeping) < 0.1, "{sleeping:?}");
    assert!(sleeping.iter().all(|line| line.1 == 0), "{sleeping:?}");
}

#[test]
fn a_pipeline_is_charged_for_what_its_last_program_computes() {
    a_pipeline_computes_in_its_last_program(By::Groups);
}

#[test]
fn a_pipeline_is_charged_process_by_process() {
    a_pipeline_computes_in_its_last_program(By::Processes);
}

/// None of these lives for a whole window.
fn children_exit_between_two_samples(by: By) {
    let script = format!("for i in {{1..90}}; do timeout 0.02 bash -c '{SPIN}'; done; true");
    let lines = between(&watched(by, &script), 300, 1500);
    assert!(mean(&lines) > 0.4, "{lines:?}");
}

#[test]
fn children_that_exit_between_two_samples_are_not_lost() {
    children_exit_between_two_samples(By::Groups);
}

#[test]
fn children_that_exit_between_two_samples_are_seen_by_the_machine() {
    children_exit_between_two_samples(By::Processes);
}

/// It has left its session and lost its parent, and is a child of the worker's now.
fn a_daemon_computes(by: By) {
    let daemon = format!("timeout 1.6 bash -c '{SPIN}'");
    let script = format!("(setsid bash -c \"{daemon}; true\" >/dev/null 2>&1 &); sleep 1.8");
    let lines = between(&watched(by, &script), 500, 1400);
    assert!(mean(&lines) > 0.6, "{lines:?}");
    assert!(lines.iter().filter(|line| line.1 == 1).count() * 2 >= lines.len(), "{lines:?}");
}

#[test]
fn a_daemon_is_measured_by_its_group() {
    a_daemon_computes(By::Groups);
}

#[test]
fn a_daemon_is_measured_process_by_process() {
    a_daemon_computes(By::Processes);
}

/// Its command has exited, and its worker waits for it. Compared with what the job has used itself,
/// however little that was on a busy machine.
fn what_a_command_left_running_computes(by: By) {
    let job = "while [ $SECONDS -lt 2 ]; do :; done; \
               read -ra stat </proc/self/stat; echo ${stat[13]} >&2";
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--procs", "2", "--schedtrace", "50", "--quiet", "--"]);
    if matches!(by, By::Processes) {
        msup.env("MSUP_NO_GROUPS", "1");
    }
    let output = run(msup.args(["bash", "-c", &format!("({job}) & sleep 0.3"), "_", ":::", "x"]));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let ticks = said.lines().find_map(|line| line.parse::<f64>().ok()).expect("it tells its ticks");
    let lines = trace::lines(&said);
    let seen = trace::seconds_used(&lines);
    assert!(seen > 0.7 * ticks / 100.0, "{seen} s of {} s: {lines:?}", ticks / 100.0);
}

#[test]
fn background_jobs_are_charged_after_their_command_has_exited() {
    what_a_command_left_running_computes(By::Groups);
}

#[test]
fn background_jobs_are_charged_process_by_process() {
    what_a_command_left_running_computes(By::Processes);
}
