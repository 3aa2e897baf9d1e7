//! Who comes back finds a CPU before anybody new is started. By itself: other tests would take the CPUs away.

use std::fs;

use msup_tests::{Sandbox, run};

const SPIN: &str = "while :; do :; done";

/// Eight that have waited come back and compute, more than there are tokens. As soon as that is known, nothing
/// new starts until they have had their share, however much there is to start.
#[test]
fn nothing_new_starts_while_one_that_came_back_is_owed_a_token() {
    let sandbox = Sandbox::new();
    let download = format!(
        "sleep 1; echo back $EPOCHREALTIME >>log; timeout 4 bash -c '{SPIN}'; \
                            echo end $EPOCHREALTIME >>log"
    );
    let computes = "echo start $EPOCHREALTIME >>log; i=0; while ((i < 20000)); do ((++i)); done";
    let script = format!("if (($1 <= 8)); then {download}; else {computes}; fi");
    let mut msup = sandbox.msup(["--procs", "2", "--quiet", "--"]);
    msup.args(["bash", "-c", &script, "bash", "{}", ":::"]);
    let output = run(msup.args((1..=300).map(|n| n.to_string())));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let log = fs::read_to_string(sandbox.path().join("log")).expect("written");
    let times = |what: &str| -> Vec<f64> {
        let lines = log.lines().filter_map(|line| line.strip_prefix(what));
        lines.map(|time| time.trim().parse().expect("seconds")).collect()
    };
    let all_back = times("back").into_iter().fold(0.0, f64::max);
    let first_end = times("end").into_iter().fold(f64::INFINITY, f64::min);
    // To know that they compute takes 13 looks, each of which may only cost a hundredth of a CPU's time until the
    // next one: 40 ms apart on a quiet machine, 100 ms and more on a busy one.
    let (from, until) = (all_back + 2.0, first_end);
    assert!(until - from > 0.5, "nothing to see between {from} and {until}");
    let started = times("start").into_iter().filter(|time| (from..until).contains(time)).count();
    assert_eq!(started, 0, "of {}", times("start").len());
    assert_eq!(times("start").len(), 292);
}
