//! What cannot work is refused in one line that names it, and leaves nothing behind.

mod commands;
mod flags;
mod machine;
mod values;
mod workers;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use msup_tests::{Sandbox, program, run_with_input};

/// Runs its arguments with a `/dev/shm` of their own and notes what they leave in it.
const OWN_SHM: &str = r#"mount -t tmpfs -o "size=$SHM_SIZE" tmpfs /dev/shm || exit 99
"$@"
status=$?
ls -A /dev/shm >shm-left
exit $status"#;

/// Whether this machine lets a test mount a `/dev/shm` of its own.
fn can_mount() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        let mut unshare = Command::new("unshare");
        unshare.args(["-m", "sh", "-c", "mount -t tmpfs tmpfs /dev/shm"]);
        unshare.output().is_ok_and(|output| output.status.success())
    })
}

fn with_own_shm(sandbox: &Sandbox, size: &str, msup: &Path) -> Command {
    let mut command = sandbox.command("unshare");
    command.args(["-m", "sh", "-c", OWN_SHM, "sh"]).arg(msup).env("SHM_SIZE", size);
    command
}

/// A quiet `msup` whose shared memory is watched where that is possible.
fn quiet_program<S: AsRef<OsStr>>(sandbox: &Sandbox, msup: &Path, arguments: &[S]) -> Command {
    let mut command = match can_mount() {
        true => with_own_shm(sandbox, "64m", msup),
        false => sandbox.command(msup),
    };
    command.arg("-q").args(arguments);
    command
}

fn quiet<S: AsRef<OsStr>>(sandbox: &Sandbox, arguments: &[S]) -> Command {
    quiet_program(sandbox, &program("msup"), arguments)
}

fn stderr_of(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("messages are UTF-8")
}

/// The lines of a refusal: status 255, nothing on standard output, nothing in shared memory.
fn refused_in_lines(sandbox: &Sandbox, command: &mut Command, input: &[u8]) -> Vec<String> {
    let output = run_with_input(command, input);
    let stderr = stderr_of(&output);
    assert_eq!(output.status.code(), Some(255), "{stderr}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{stderr}");
    if can_mount() {
        let left = fs::read_to_string(sandbox.path().join("shm-left")).expect("it was written");
        assert_eq!(left, "", "shared memory was left behind");
    }
    let lines: Vec<String> = stderr.lines().map(str::to_owned).collect();
    assert!(lines.iter().all(|line| line.starts_with("msup: ")), "{stderr}");
    assert!(!lines.is_empty(), "a refusal says why");
    lines
}

/// The one line of a refusal.
fn refused_by(sandbox: &Sandbox, command: &mut Command, input: &[u8]) -> String {
    let mut lines = refused_in_lines(sandbox, command, input);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    lines.remove(0)
}

/// The one line with which these arguments are refused.
fn refused<S: AsRef<OsStr>>(arguments: &[S]) -> String {
    let sandbox = Sandbox::new();
    refused_by(&sandbox, &mut quiet(&sandbox, arguments), b"one\ntwo\nthree\n")
}

fn assert_names(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "{part:?} is not in {line:?}");
    }
}

/// The number stands in the line as a word of its own.
fn assert_names_number(line: &str, number: usize) {
    let mut words = line.split(|letter: char| !letter.is_alphanumeric());
    assert!(words.any(|word| word == number.to_string()), "{number} is not in {line:?}");
}

fn script(sandbox: &Sandbox, name: &str, mode: u32, body: &str) -> PathBuf {
    let path = sandbox.program(name, format!("#!/bin/sh\n{body}\n").as_bytes());
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is the test's own");
    path
}
