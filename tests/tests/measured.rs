//! msup sees the CPU use of every process of a command: by control groups, where they can be made,
//! and without.

use std::fs;
use std::sync::{Mutex, PoisonError};

use msup_tests::{Sandbox, kill, overheard, run, spawn_piped, trace, wait_until};
use nix::sys::signal::Signal;

/// A bash function that computes until its process has used `$1` hundredths of a second of CPU
/// time: however busy the machine is, the kernel's account says when it is enough.
const SPIN: &str = "spin() { until read -ra stat </proc/self/stat && ((stat[13] + stat[14] >= $1)); \
                    do for ((i = 0; i < 2000; ++i)); do :; done; done; }; export -f spin; ";

/// What a command computes in these tests.
const SPUN: f64 = 0.8;

/// Lines without CPU use before a command counts as waiting.
const QUIET_LINES: usize = 4;

/// One test at a time: together they would take each other's CPUs away.
static ALONE: Mutex<()> = Mutex::new(());

/// How commands are measured.
#[derive(Clone, Copy, Debug)]
enum By {
    /// Group by group, where groups can be made; else as [`By::Processes`].
    Groups,
    Processes,
}

/// `used` is in thousandths.
fn is_quiet(line: &trace::Line) -> bool {
    line["used"] < 100 && line["charged"] == 0
}

/// Runs a command that computes, makes the file `spun` and then waits for ever. Returns what that
/// file holds and the trace until the command was seen to wait and had no token.
fn watched(by: By, script: &str) -> (String, Vec<trace::Line>) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--procs", "2", "--schedtrace", "50", "--quiet", "--"]);
    if matches!(by, By::Processes) {
        msup.env("MSUP_NO_GROUPS", "1");
    }
    let script = format!("{SPIN}{script}");
    let mut child = spawn_piped(msup.args(["bash", "-c", &script, "bash", ":::", "x"]));
    let said = overheard(&mut child);
    let lines = || trace::lines(&said.lock().expect("no panic"));
    let spun = sandbox.path().join("spun");
    wait_until(|| spun.exists());
    let computed = lines().len();
    wait_until(|| {
        let after = lines().split_off(computed);
        after.len() >= QUIET_LINES && after.iter().rev().take(QUIET_LINES).all(is_quiet)
    });
    let lines = lines();
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait().expect("ours");
    wait_until(|| sandbox.processes().is_empty());
    sandbox.start_once_more();
    (fs::read_to_string(sandbox.path().join("spun")).expect("written"), lines)
}

/// Of a command that computes in one process: all its CPU time was seen, at most about one CPU at a
/// time. When it had a CPU for itself it was charged with a token, mostly: charges follow later.
fn assert_one_computes(lines: &[trace::Line]) {
    let seen = trace::seconds_used(lines);
    assert!(seen > 0.6 * SPUN, "{seen} s of {SPUN}: {lines:?}");
    let mut used: Vec<u64> = lines.iter().map(|line| line["used"]).filter(|u| *u >= 100).collect();
    used.sort_unstable();
    assert!(used[used.len() / 2] < 1400, "{lines:?}");
    let full = |three: &&[trace::Line]| three.iter().all(|line| line["used"] > 800);
    let charged = lines.windows(3).filter(full).map(|three| three[2]["charged"] == 1);
    let charged: Vec<bool> = charged.collect();
    let number = charged.iter().filter(|is_charged| **is_charged).count();
    assert!(number * 2 >= charged.len(), "{number} of {}: {lines:?}", charged.len());
}

fn a_pipeline_computes_in_its_last_program(by: By) {
    let script = "sleep 1000 | sleep 1000 | { spin 80; : >spun; exec sleep 1000; }";
    assert_one_computes(&watched(by, script).1);
}

#[test]
fn a_pipeline_is_charged_for_what_its_last_program_computes() {
    a_pipeline_computes_in_its_last_program(By::Groups);
}

#[test]
fn a_pipeline_is_charged_process_by_process() {
    a_pipeline_computes_in_its_last_program(By::Processes);
}

/// None of these lives for a whole window of an idle machine. Their parent tells what the kernel
/// says of them together.
fn children_exit_between_two_samples(by: By) {
    let script = "for n in {1..60}; do bash -c 'spin 2'; done; read -ra stat </proc/self/stat; \
                  echo $((stat[15] + stat[16])) >all; mv all spun; exec sleep 1000";
    let (ticks, lines) = watched(by, script);
    let used = ticks.trim().parse::<f64>().expect("a number") / 100.0;
    let seen = trace::seconds_used(&lines);
    assert!(seen > 0.4 * used, "{seen} s of {used}: {lines:?}");
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
    let script = "(setsid bash -c 'spin 80; : >spun; exec sleep 1000' >/dev/null 2>&1 &); \
                  exec sleep 1000";
    assert_one_computes(&watched(by, script).1);
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
