//! Runs that have finished: a resume does nothing, a retry runs what failed.

use std::fs;

use msup_tests::{Sandbox, run};

use super::{journal, lines, resume, text};

#[test]
fn resuming_a_finished_run_does_nothing_and_says_so() {
    let sandbox = Sandbox::new();
    let first =
        run(&mut sandbox.msup(["-j2", "--", "sh", "-c", "exit $1", "sh", ":::", "0", "3", "0"]));
    assert_eq!(first.status.code(), Some(1));
    let before = fs::read(journal(&sandbox)).expect("readable");
    let id = journal(&sandbox).parent().expect("a folder").to_owned();
    let again = resume(&sandbox, &[&id.display().to_string()]);
    assert_eq!(again.status.code(), Some(1), "the run's own status");
    let said = text(&again.stderr);
    assert!(
        said.contains("this run is finished: 2 succeeded, 1 failed (msup retry --failed)"),
        "{said}"
    );
    assert_eq!(again.stdout, b"");
    assert_eq!(fs::read(journal(&sandbox)).expect("readable"), before);
}

#[test]
fn what_failed_is_run_again_when_asked_for() {
    let sandbox = Sandbox::new();
    let script = "echo $1 >>log; test -e mended || test $1 != bad";
    let first =
        run(&mut sandbox.msup(["-j2", "--", "sh", "-c", script, "sh", ":::", "a", "bad", "c"]));
    assert_eq!(first.status.code(), Some(1));
    sandbox.file("mended", b"");
    let again = run(&mut sandbox.msup(["retry", "--failed"]));
    assert!(again.status.success(), "{}", text(&again.stderr));
    let mut ran = lines(&sandbox.path().join("log"));
    ran.sort();
    assert_eq!(ran, ["a", "bad", "bad", "c"]);
    let nothing = run(&mut sandbox.msup(["retry", "--failed"]));
    assert!(nothing.status.success() && text(&nothing.stderr).contains("nothing to retry"));
    let log = text(&run(&mut sandbox.msup(["log", "last"])).stdout);
    assert_eq!((log.lines().count(), log.matches("2\tsucceeded\t").count()), (3, 1), "{log}");
}
