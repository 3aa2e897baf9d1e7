//! A command that waited gets a CPU before a new one starts. A test program of its own: other tests
//! would take the CPUs away.

use msup_tests::{Sandbox, run, trace};

/// Waits for a second, then computes until its process has used this many hundredths of a second of
/// CPU time, however long that takes.
const DOWNLOAD: &str = "sleep 1; until read -ra stat </proc/self/stat && ((stat[13] >= 90)); \
                        do for ((i = 0; i < 2000; ++i)); do :; done; done";

/// A command may start although another one is owed a token if its start was allowed before: one
/// for each token.
const ON_THEIR_WAY: u64 = 2;

/// Eight that have waited come back and compute, more than there are tokens. As long as they are
/// owed one, nothing new starts, however much there is to start: the number in flight does not grow
/// from one line of the trace to the next.
#[test]
fn nothing_new_starts_while_a_woken_command_is_owed_a_token() {
    let sandbox = Sandbox::new();
    let computes = "i=0; while ((i < 20000)); do ((++i)); done";
    let script = format!("if (($1 <= 8)); then {DOWNLOAD}; else {computes}; fi");
    let mut msup = sandbox.msup(["--procs", "2", "--quiet", "--schedtrace", "50", "--"]);
    msup.args(["bash", "-c", &script, "bash", "{}", ":::"]);
    let output = run(msup.args((1..=300).map(|n| n.to_string())));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let lines = trace::lines(&said);
    let is_owed = |two: &&[trace::Line]| two.iter().all(|line| line["owed"] > 0);
    let owed: Vec<&[trace::Line]> = lines.windows(2).filter(is_owed).collect();
    assert!(owed.len() > 5, "owed in {} lines only: this shows nothing: {said}", owed.len());
    let grows = |two: &&[trace::Line]| two[1]["in_flight"].saturating_sub(two[0]["in_flight"]);
    let started: u64 = owed.iter().map(grows).sum();
    assert!(started <= ON_THEIR_WAY, "{started} started meanwhile: {said}");
}
