//! A machine that lacks something, and what `msup doctor` tells of it.

use msup_tests::{Sandbox, program, run};

use super::{assert_names, can_mount, refused_by, with_own_shm};

#[test]
fn a_full_shared_memory_is_refused() {
    if !can_mount() {
        println!("skipped: no /dev/shm of one's own can be mounted here");
        return;
    }
    let sandbox = Sandbox::new();
    let mut command = with_own_shm(&sandbox, "64k", &program("msup"));
    command.args(["-q", "echo"]);
    let line = refused_by(&sandbox, &mut command, b"one\ntwo\n");
    assert_names(&line, &["shared memory"]);
}

/// Alone it is the subcommand; behind `--` or with values it is a program like any other.
#[test]
fn the_doctor_tells_what_the_machine_offers() {
    let sandbox = Sandbox::new();
    let output = run(&mut sandbox.msup(["doctor"]));
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stdout);
    for mechanism in ["children", "pressure", "oom_kill", "membarrier", "RLIMIT_DATA"] {
        assert!(said.contains(mechanism), "{mechanism}: {said}");
    }
    let output = run(&mut sandbox.msup(["doctor", ":::", "a"]));
    assert_eq!(output.status.code(), Some(255), "there is no program of that name");
}
