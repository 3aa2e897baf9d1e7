//! How many unmodified commands are in flight follows what they use.

use msup_tests::{Sandbox, run, summary};

/// Runs this number of commands; how many were in flight at most, and on average.
fn in_flight(flags: &[&str], command: &str, tasks: u32) -> (u64, f64) {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(flags.iter().copied().chain(["--summary", "s.json", "--"]));
    msup.args(["sh", "-c", command, "sh", "{}", ":::"]);
    msup.args((0..tasks).map(|n| n.to_string()));
    let output = run(&mut msup);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary = summary(&sandbox.path().join("s.json"));
    assert_eq!(summary["tasks"]["succeeded"], tasks);
    assert_eq!(summary["tokens"]["idle_at_end"], 2);
    assert!(summary["tokens"]["held_peak"].as_u64() <= Some(2));
    let peak = summary["in_flight"]["peak"].as_u64().expect("a number");
    (peak, summary["in_flight"]["mean"].as_f64().expect("a number"))
}

#[test]
fn commands_that_wait_are_many() {
    let (peak, _) = in_flight(&["--procs", "2"], "sleep 0.5", 100);
    assert!(peak >= 12, "only {peak} slept at once");
}

#[test]
fn never_more_than_the_cap() {
    let (peak, _) = in_flight(&["--procs", "2", "--max-workers", "5"], "sleep 0.2", 40);
    assert!((3..=5).contains(&peak), "{peak} at once");
}

#[test]
fn a_number_that_is_asked_for_is_kept() {
    let (peak, _) = in_flight(&["-j", "2"], "sleep 0.1", 20);
    assert_eq!(peak, 2);
}

/// The shell itself computes; nothing is to be gained by more than there are tokens.
#[test]
fn commands_that_compute_are_few() {
    let compute = "i=0; while [ $i -lt 40000 ]; do i=$((i+1)); done";
    let (peak, mean) = in_flight(&["--procs", "2"], compute, 60);
    assert!(peak <= 4 && mean <= 3.0, "{peak} at once, {mean:.1} on average");
}

/// A process that computes until it is dropped.
struct Neighbour(std::process::Child);

impl Neighbour {
    fn arrives() -> Neighbour {
        let mut shell = std::process::Command::new("sh");
        Neighbour(shell.args(["-c", "while :; do :; done"]).spawn().expect("a shell"))
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        // It may have been killed from outside.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not the shell computes but what it has started; another program has a part of the CPUs. What
/// they do not get of the CPUs is no gap that more commands could fill.
#[test]
fn commands_whose_children_compute_are_few_beside_another_program() {
    let _neighbour = Neighbour::arrives();
    let compute = "awk 'BEGIN { for (i = 0; i < 10000000; i++); }'";
    let by_a_shell = format!("{compute}; true");
    // As version managers do it: short processes first.
    let by_a_launcher = format!("a=$(date | sed s/1/2/); b=$(ls / | head -n 1); {compute}; true");
    for command in [by_a_shell, by_a_launcher] {
        let (peak, mean) = in_flight(&["--procs", "2"], &command, 24);
        // It is 10 and more where only the processes found some time before are asked.
        assert!(mean <= 5.0, "{command}: {peak} at once, {mean:.1} on average");
    }
}
