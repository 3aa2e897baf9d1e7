//! A list that has become shorter or longer: nothing that is known of its tasks is forgotten.

use std::collections::HashMap;
use std::process::Stdio;

use msup_tests::{Sandbox, kill, numbers, records, run, wait_until};
use nix::sys::signal::Signal;

use super::{journal, resume, text, told};

/// A run of a list that is too long to be read to its end before the run is killed.
fn kill_while_reading(sandbox: &Sandbox, script: &str) {
    sandbox.file("list", &numbers(300_000));
    let mut msup = sandbox.msup(["-j2", "--journal", "j", "-a", "list", script]);
    let mut child = msup.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("built");
    wait_until(|| records(&journal(sandbox), "end") > 60);
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait().expect("ours");
    assert!(told(sandbox, "inputs-end").is_empty(), "the list is too short for this test");
}

#[test]
fn a_shorter_list_does_not_make_tasks_of_a_longer_one_unknown() {
    let sandbox = Sandbox::new();
    kill_while_reading(&sandbox, "[ {} != 40 ] || [ -e fine ]");
    sandbox.file("short", b"500\n1\n2\n3\n");
    let output = resume(&sandbox, &["-a", "short"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    sandbox.file("fine", b"");
    let output = run(&mut sandbox.msup(["retry", "./j"]));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(!text(&output.stderr).contains("nothing to retry"), "{}", text(&output.stderr));
    sandbox.file("more", &numbers(100));
    let output = resume(&sandbox, &["-a", "more"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(!said.contains("damaged"), "{said}");
    let mut ends = HashMap::<String, usize>::new();
    for end in told(&sandbox, "end") {
        *ends.entry(end["value"].as_str().expect("text").to_owned()).or_default() += 1;
    }
    assert_eq!(ends.remove("40"), Some(2), "it was retried");
    assert!(ends.values().all(|count| *count == 1), "{ends:?}");
}
