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
