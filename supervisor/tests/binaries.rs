//! The two binaries by themselves. That they are named here also makes `cargo test --workspace`
//! build them for the tests with real processes.

use std::process::Command;

#[test]
fn msup_tells_its_version() {
    let output = Command::new(env!("CARGO_BIN_EXE_msup")).arg("--version").output();
    let output = output.expect("it is built");
    assert!(output.status.success());
    let expected = format!("msup {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[test]
fn a_worker_started_by_hand_says_what_it_is() {
    let output = Command::new(env!("CARGO_BIN_EXE_msup-worker")).output().expect("it is built");
    assert_eq!(output.status.code(), Some(255));
    assert!(String::from_utf8_lossy(&output.stderr).contains("it is started by msup"));
}
