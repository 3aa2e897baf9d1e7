//! A command that waited gets a CPU before a new one starts. A test program of its own: other tests
//! would take the CPUs away.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use msup_tests::{Sandbox, run, trace};

const SPIN: &str = "while :; do :; done";

/// How far the trace's clock, which begins when msup has started, may be from the commands'; in
/// seconds.
const APART: f64 = 0.02;

/// Eight that have waited come back and compute, more than there are tokens. As long as they are
/// owed one, nothing new starts, however much there is to start.
#[test]
fn nothing_new_starts_while_a_woken_command_is_owed_a_token() {
    let sandbox = Sandbox::new();
    let download = format!("sleep 1; timeout 6 bash -c '{SPIN}'; true");
    let computes = "echo $EPOCHREALTIME >>log; i=0; while ((i < 20000)); do ((++i)); done";
    let script = format!("if (($1 <= 8)); then {download}; else {computes}; fi");
    let mut msup = sandbox.msup(["--procs", "2", "--quiet", "--schedtrace", "50", "--"]);
    msup.args(["bash", "-c", &script, "bash", "{}", ":::"]);
    let began = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
    let output = run(msup.args((1..=300).map(|n| n.to_string())));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let log = fs::read_to_string(sandbox.path().join("log")).expect("written");
    let starts = log.lines().map(|time| time.parse::<f64>().expect("seconds") - began);
    let starts: Vec<f64> = starts.collect();
    assert_eq!(starts.len(), 292);
    // From one line that says that a command is owed a token to the next.
    let lines = trace::lines(&said);
    let owed = lines.windows(2).filter(|two| two.iter().all(|line| line["owed"] > 0));
    let spans = owed.map(|two| [&two[0], &two[1]].map(|line| line["at_ms"] as f64 / 1000.0));
    let spans: Vec<[f64; 2]> = spans.collect();
    let seconds: f64 = spans.iter().map(|[from, until]| until - from).sum();
    assert!(seconds > 0.5, "owed for {seconds} s: {said}");
    for [from, until] in spans {
        let is_in = |at: &&f64| (from + APART..until - APART).contains(*at);
        let early: Vec<&f64> = starts.iter().filter(is_in).collect();
        assert!(early.is_empty(), "{early:?} between {from} and {until}: {said}");
    }
}
