//! When a run counts as finished, and with which status.

use std::fs::File;

use msup_tests::{Sandbox, run, wait_until};

use super::{resume, text, told};

#[test]
fn a_retry_that_leaves_nothing_finishes_the_run() {
    let sandbox = Sandbox::new();
    let full = File::options().write(true).open("/dev/full").expect("there");
    let script = "echo {}; [ {} = a ] || [ -e fine ]";
    let mut msup = sandbox.msup(["-j1", "-k", "--journal", "j", script, ":::", "a", "b"]);
    // The second task fails, perhaps before it is known that nothing can be shown.
    let output = msup.stdout(full).output().expect("built");
    let status = output.status.code();
    assert!(matches!(status, Some(1 | 255)), "{status:?}: {}", text(&output.stderr));
    let retry = |flags: &[&str]| {
        let output = run(&mut sandbox.msup(["retry"].iter().chain(flags).chain(&["./j"])));
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    // Where a run was stopped before that, the next one may bring it about.
    wait_until(|| {
        let are_both = told(&sandbox, "unshown").len() == 2;
        if !are_both {
            let full = File::options().write(true).open("/dev/full").expect("there");
            sandbox.msup(["resume", "./j"]).stdout(full).output().expect("built");
        }
        are_both
    });
    sandbox.file("fine", b"");
    let (status, shown, said) = retry(&[]);
    assert_eq!((status, shown.as_str()), (Some(0), "a\nb\n"), "{said}");
    let (status, _, said) = retry(&[]);
    assert!(status == Some(0) && said.contains("this run is finished"), "{said}");
    assert_eq!(resume(&sandbox, &[]).status.code(), Some(0));
}

#[test]
fn a_finished_run_has_the_status_of_its_tasks() {
    for (script, expected) in [("head -c 100000 /dev/zero; : {}", 0), ("seq 99999; exit {}", 1)] {
        let sandbox = Sandbox::new();
        let first = run(&mut sandbox.msup(["--journal", "j", script, ":::", "3"]));
        assert_eq!(first.status.code(), Some(expected), "{}", text(&first.stderr));
        // It is too large to be shown again.
        let replay = resume(&sandbox, &["--replay"]);
        assert_eq!(replay.status.code(), Some(expected.max(if expected == 0 { 255 } else { 0 })));
        assert_eq!(resume(&sandbox, &[]).status.code(), Some(expected));
    }
}
