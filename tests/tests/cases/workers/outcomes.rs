//! Outcomes that no worker can have measured: the supervisor reckons with every number in them.

use msup_tests::{Sandbox, program, run, summary};

/// Workers report something impossible of this kind of one command, each time it runs.
fn reports(what: &str) {
    let sandbox = Sandbox::new();
    let mut msup =
        sandbox.msup(["--procs", "2", "--summary", "s.json", "true", ":::", "1", "2", "lie"]);
    msup.env("MSUP_WORKER", program("lies")).env("LIES_ABOUT", what);
    let output = run(msup.args((3..40).map(|n| n.to_string())));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{what}: {said}");
    let tasks = &summary(&sandbox.path().join("s.json"))["tasks"];
    assert_eq!(
        (&tasks["succeeded"], &tasks["quarantined"]),
        (&39.into(), &1.into()),
        "{what}: {said}"
    );
}

#[test]
fn an_impossible_number_of_sleeps_is_refused() {
    reports("sleeps");
}

#[test]
fn an_impossible_duration_is_refused() {
    reports("wall");
}

#[test]
fn an_impossible_peak_of_memory_is_refused() {
    reports("peak");
}

#[test]
fn an_impossible_cpu_time_is_refused() {
    reports("cpu");
}

#[test]
fn an_impossible_signal_is_refused() {
    reports("signal");
}
