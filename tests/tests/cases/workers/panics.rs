//! A panic in any thread of the supervisor kills everything it has started. The exit status is that
//! of an error.

use std::fs;

use msup_tests::{Sandbox, run, wait_until};

/// The supervisor panics at this point, while another task has a process that would live for long.
fn panics_at(point: &str) {
    let sandbox = Sandbox::new();
    let mark = sandbox.path().join("panicked");
    let mut msup = sandbox.msup(["-j2", "--out", "{}.out", "sh", "-c"]);
    msup.args([
        "if [ $1 = 1 ] && ! test -e began; then (setsid sleep 1000 &); : >began; sleep 1000; fi; \
                until test -e began; do sleep 0.01; done; echo made >$2",
        "sh",
        "{}",
        "{out}",
    ]);
    msup.args([":::", "1", "2"]);
    msup.env("MSUP_CRASH_SUPERVISOR", format!("panic@{point}:{}", mark.display()));
    let output = run(&mut msup);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(mark.exists(), "it never came by: {said}");
    assert_eq!(output.status.code(), Some(255), "{said}");
    assert!(said.contains("msup: internal error at"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    // A worker that was just being started finds out by itself that msup is gone.
    wait_until(|| sandbox.processes().is_empty());
    // It is as if it had been killed.
    let state = fs::read_dir(sandbox.path().join("state/msup")).expect("kept").flatten();
    assert_eq!(state.count(), 1);
    let output = run(&mut sandbox.msup(["resume"]));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for made in ["1.out", "2.out"] {
        assert_eq!(fs::read(sandbox.path().join(made)).expect("made"), b"made\n");
    }
}

#[test]
fn a_panic_of_the_event_loop_kills_the_process_tree_and_exits_with_255() {
    panics_at("secured_before_intent");
}

#[test]
fn a_panic_of_another_thread_kills_the_process_tree_and_exits_with_255() {
    panics_at("intent_before_rename");
}
