//! A program that keeps running is measured like commands: what it uses for a task counts for that
//! task.

use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};

use msup_tests::{Sandbox, kill, overheard, run, spawn_piped, summary, trace, wait_until};
use nix::sys::signal::Signal;

use super::{lines, msup, starts, text, write_program};

/// One test at a time: together they would take each other's CPUs away.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs this number of tasks with two tokens, beside another program that computes if
/// `has_neighbour`. How many were in flight at most and on average, and
/// how many programs were started.
fn in_flight(does: &str, tasks: u32, has_neighbour: bool) -> (u64, f64, usize) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let _neighbour = has_neighbour.then(Neighbour::arrives);
    let sandbox = Sandbox::new();
    write_program(&sandbox, "", &format!("*) {does}; ok $value;;"), "");
    let mut msup = msup(&sandbox, &["--procs", "2", "--summary", "s.json"]);
    let output = run(msup.arg(":::").args((0..tasks).map(|n| n.to_string())));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let summary = summary(&sandbox.path().join("s.json"));
    assert_eq!(summary["tasks"]["succeeded"], tasks);
    assert_eq!(summary["tokens"]["idle_at_end"], 2);
    assert!(summary["tokens"]["held_peak"].as_u64() <= Some(2));
    let peak = summary["in_flight"]["peak"].as_u64().expect("a number");
    let mean = summary["in_flight"]["mean"].as_f64().expect("a number");
    println!("{does}: {peak} at once, {mean:.1} on average, {} starts", starts(&sandbox).len());
    (peak, mean, starts(&sandbox).len())
}

#[test]
fn programs_that_wait_are_many() {
    let (peak, _, started) = in_flight("sleep 0.5", 100, false);
    assert!(peak >= 12, "only {peak} waited at once");
    assert!(started < 100, "{started} programs for 100 tasks");
}

#[test]
fn programs_that_compute_are_few() {
    let compute = "i=0; while [ $i -lt 40000 ]; do i=$((i+1)); done";
    let (peak, mean, started) = in_flight(compute, 60, false);
    assert!(peak <= 4 && mean <= 3.0, "{peak} at once, {mean:.1} on average");
    assert!(started <= 4, "{started} programs");
}

#[test]
fn programs_whose_children_compute_are_few() {
    let compute = "awk 'BEGIN { for (i = 0; i < 2000000; i++); }'";
    let (peak, mean, _) = in_flight(compute, 60, false);
    assert!(mean <= 3.5, "{peak} at once, {mean:.1} on average");
}

/// A process that computes until it is dropped.
struct Neighbour(Child);

impl Neighbour {
    fn arrives() -> Neighbour {
        Neighbour(Command::new("sh").args(["-c", "while :; do :; done"]).spawn().expect("a shell"))
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        // It may have been killed from outside.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Each task is shorter than the time between two looks. What it does not get of the CPUs is no gap
/// that more programs could fill.
#[test]
fn programs_with_short_tasks_are_few_beside_another_program() {
    let compute = "i=0; while [ $i -lt 4000 ]; do i=$((i+1)); done";
    let (peak, mean, _) = in_flight(compute, 1500, true);
    // It is more than 5 where only their CPU time is known.
    assert!(mean <= 4.0, "{peak} at once, {mean:.1} on average");
}

/// Computes until this process has used `$1` hundredths of a second of CPU time in all.
const SPIN: &str = "spin() { until read -ra stat </proc/self/stat && \
     ((stat[13] + stat[14] >= $1)); do for ((i = 0; i < 2000; ++i)); do :; done; done; }";

/// CPU seconds seen of a program that computes for eight tasks and then waits, and its own account
/// of them.
fn seen(groups: bool, does: &str, account: &str) -> (f64, f64) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let sandbox = Sandbox::new();
    let cases = format!(
        "9) : >spun; sleep 1000;;\n\
         *) {does}; read -ra stat </proc/self/stat; echo {account} >ticks.$$; ok $value;;"
    );
    write_program(&sandbox, SPIN, &cases, "");
    let flags = ["-q", "--procs", "2", "--schedtrace", "50", "--joblog", "log"];
    let mut msup = sandbox.msup(flags.iter().chain(&["--worker-stdio", "bash", "program"]));
    if !groups {
        msup.env("MSUP_NO_GROUPS", "1");
    }
    let mut child = spawn_piped(&mut msup);
    let said = overheard(&mut child);
    let mut stdin = child.stdin.take().expect("piped");
    // One after the other, so that mostly one program does them all.
    for value in 1..=9 {
        std::io::Write::write_all(&mut stdin, format!("{value}\n").as_bytes()).expect("it reads");
        wait_until(|| value == 9 || lines(&sandbox, "log").len() == value + 1);
    }
    let spun = sandbox.path().join("spun");
    wait_until(|| spun.exists());
    let computed = trace_of(&said).len();
    wait_until(|| trace_of(&said).len() > computed + 4);
    let traced = trace_of(&said);
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait().expect("ours");
    wait_until(|| sandbox.processes().is_empty());
    sandbox.start_once_more();
    let ticks = starts(&sandbox).into_iter().map(|pid| {
        let file = lines(&sandbox, &format!("ticks.{pid}"));
        file.first().map_or(0.0, |ticks| ticks.parse::<f64>().expect("a number"))
    });
    (trace::seconds_used(&traced), ticks.sum::<f64>() / 100.0)
}

fn trace_of(said: &Mutex<String>) -> Vec<trace::Line> {
    trace::lines(&said.lock().expect("no panic"))
}

/// All of it, and none of it twice: with the program's start and msup's own use beside it.
fn assert_seen((seen, used): (f64, f64)) {
    println!("{seen:.2} s seen of {used:.2} s");
    assert!(seen > 0.6 * used && seen < 1.5 * used + 0.3, "{seen} s of {used} s");
}

const OWN: &str = "$((stat[13] + stat[14]))";
const CHILDREN: &str = "$((stat[13] + stat[14] + stat[15] + stat[16]))";

#[test]
fn what_a_program_computes_is_seen_once_by_groups() {
    assert_seen(seen(true, "spin $((value * 20))", OWN));
}

#[test]
fn what_a_program_computes_is_seen_once_process_by_process() {
    assert_seen(seen(false, "spin $((value * 20))", OWN));
}

#[test]
fn what_its_children_compute_is_seen_once_by_groups() {
    let does = "bash -c \"$(declare -f spin); spin 20\"";
    assert_seen(seen(true, does, CHILDREN));
}

#[test]
fn what_its_children_compute_is_seen_once_process_by_process() {
    let does = "bash -c \"$(declare -f spin); spin 20\"";
    assert_seen(seen(false, does, CHILDREN));
}
