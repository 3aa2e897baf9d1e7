//! Bad input gets one clear line (what, where, what to do) and the right exit status, and leaves
//! nothing behind.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use msup_tests::{Sandbox, program, run, run_with_input};

fn shared_memory() -> BTreeSet<String> {
    let entries = fs::read_dir("/dev/shm").expect("there is /dev/shm").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Runs it and expects exactly one line that begins with `msup: ` and holds all of `words`, nothing on
/// standard output, and status 255.
fn assert_refused(command: &mut Command, input: &[u8], words: &[&str]) {
    let output = run_with_input(command, input);
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(said.lines().count(), 1, "{command:?} said:\n{said}");
    assert!(said.starts_with("msup: "), "{said}");
    for word in words {
        assert!(said.contains(word), "{command:?}: {word:?} is missing in {said}");
    }
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert_eq!(output.status.code(), Some(255), "{said}");
}

fn executable(sandbox: &Sandbox, name: &str, script: &str) {
    let path = sandbox.file(name, script.as_bytes());
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("ours");
}

#[test]
fn what_was_typed_wrongly_is_named() {
    let sandbox = Sandbox::new();
    sandbox.file("plain", b"");
    let cases: [(&[&str], &[&str]); 19] = [
        (&["no-such-command", "x", ":::", "a"], &["no-such-command", "not found"]),
        (&["./no-such-command", "x", ":::", "a"], &["./no-such-command", "no such"]),
        (&["./plain", "x", ":::", "a"], &["./plain", "not executable"]),
        (&[".", "x", ":::", "a"], &[".", "not found"]),
        (&["/", "x", ":::", "a"], &["/", "directory"]),
        (&["", "x", ":::", "a"], &["not found"]),
        (&[" ", ":::", "a"], &["the command is empty"]),
        (&["--procs", "0", "true", ":::", "a"], &["--procs 0", "at least 1"]),
        (&["--procs", "many", "true", ":::", "a"], &["--procs many"]),
        (&["-j", "0", "true", ":::", "a"], &["--jobs 0", "at least 1"]),
        (&["-j", "2", "--procs", "2", "true", ":::", "a"], &["--jobs", "--procs"]),
        (&["--procs", "4", "--max-workers", "3", "true", ":::", "a"], &["--max-workers 3", "4"]),
        (&["--max-workers", "99999999", "true", ":::", "a"], &["--max-workers", "limits"]),
        (&["--no-such-flag", "true", ":::", "a"], &["--no-such-flag", "--help"]),
        (&["--schedtrace", "0", "true", ":::", "a"], &["--schedtrace 0"]),
        (&["-a", "no-such-file", "true"], &["-a no-such-file", "No such file"]),
        (&["-a", "plain", "true", ":::", "a"], &["-a", ":::"]),
        (&["true", ":::", "a", ":::", "b"], &[":::"]),
        (&["--worker", "no-such-worker", ":::", "a"], &["--worker", "no-such-worker", "not found"]),
    ];
    for (arguments, words) in cases {
        assert_refused(&mut sandbox.msup(["-q"].iter().chain(arguments)), b"", words);
    }
    let folder = ["-q", "-a", ".", "true"];
    assert_refused(&mut sandbox.msup(folder), b"", &[".: Is a directory"]);
}

#[test]
fn a_nul_byte_in_a_line_names_the_line_and_the_flag() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["-q", "true"]);
    assert_refused(&mut msup, b"b\0c\nd\n", &["standard input", "value 1", "NUL", "-0"]);
}

#[test]
fn a_missing_worker_program_is_named() {
    let sandbox = Sandbox::new();
    let alone = sandbox.path().join("msup");
    fs::copy(program("msup"), &alone).expect("copied");
    let mut msup = sandbox.command(&alone);
    assert_refused(msup.args(["-q", "true", ":::", "a"]), b"", &["msup-worker", "no such"]);
    let mut msup = sandbox.msup(["-q", "true", ":::", "a"]);
    let msup = msup.env("MSUP_WORKER", "/no/such/worker");
    assert_refused(msup, b"", &["MSUP_WORKER", "/no/such/worker"]);
}

#[test]
fn a_worker_program_that_is_none_ends_the_run_fast() {
    let sandbox = Sandbox::new();
    for (other, how) in [("true", "exit status 0"), ("false", "exit status 1")] {
        let mut msup = sandbox.msup(["-q", "echo", ":::", "a"]);
        assert_refused(
            msup.env("MSUP_WORKER", other),
            b"",
            &[other, "before it took up work", how],
        );
    }
    executable(&sandbox, "dies", "#!/bin/sh\nkill -SEGV $$\n");
    let mut msup = sandbox.msup(["-q", "echo", ":::", "a"]);
    assert_refused(msup.env("MSUP_WORKER", "./dies"), b"", &["./dies", "signal 11"]);
}

#[test]
fn another_versions_worker_is_refused() {
    let sandbox = Sandbox::new();
    executable(&sandbox, "other", "#!/bin/sh\nexit 76\n");
    let mut msup = sandbox.msup(["-q", "echo", ":::", "a"]);
    assert_refused(msup.env("MSUP_WORKER", "./other"), b"", &["./other", "another version"]);
}

/// The real worker against a segment of another release: it must say so by its exit status.
#[test]
fn a_worker_refuses_another_releases_segment() {
    let sandbox = Sandbox::new();
    // The header's first words never move: magic, layout version, length of the release, release.
    let mut header = b"msup-seg".to_vec();
    header.extend(1u32.to_le_bytes());
    header.extend(5u32.to_le_bytes());
    header.extend(b"9.9.9\0\0\0\0\0\0\0\0\0\0\0");
    header.resize(4096, 0);
    sandbox.file("segment", &header);
    let script = "exec env MSUP_SUPERVISOR_PID=$PPID MSUP_SEGMENT_FD=8 MSUP_DOORBELL_FD=9 \
                  MSUP_WORKER_SLOT=0 MSUP_RUN_FOLDER=. \"$0\" 8<>segment 9<>segment";
    let worker = program("msup-worker");
    let status = sandbox.command("sh").args(["-c", script]).arg(worker).status();
    assert_eq!(status.expect("there is sh").code(), Some(76));
}

#[test]
fn a_full_dev_shm_is_an_error_and_not_a_crash() {
    let sandbox = Sandbox::new();
    let before = shared_memory();
    let script = "mount -t tmpfs -o size=64k tmpfs /dev/shm || exit 99; exec \"$0\" \"$@\"";
    let mut unshare = sandbox.command("unshare");
    unshare.args(["-m", "sh", "-c", script]).arg(program("msup"));
    unshare.args(["-q", "true", ":::", "a"]);
    let output = run(&mut unshare);
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(99) || said.starts_with("unshare: ") {
        println!("skipped: this user may not mount: {said}");
        return;
    }
    assert_eq!(output.status.code(), Some(255));
    assert!(
        said.starts_with("msup: shared memory is full: ") && said.lines().count() == 1,
        "{said}"
    );
    assert_eq!(shared_memory(), before);
}

#[test]
fn no_input_is_no_work() {
    let sandbox = Sandbox::new();
    for arguments in [&["true"][..], &["-0", "echo", "{}"], &[], &["echo", ":::"]] {
        let output = run(&mut sandbox.msup(arguments));
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b""[..]));
    }
}

#[test]
fn a_command_that_is_missing_fails_its_own_line_only() {
    let sandbox = Sandbox::new();
    let lines = b"no-such-command x\n\necho hi\n";
    let output = run_with_input(&mut sandbox.msup(["-k"; 1]), lines);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b"hi\n"[..]));
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(report.contains("task 1 failed: cannot start: No such file"), "{report}");
    assert!(report.contains("no-such-command x"), "{report}");
}

#[test]
fn failures_are_counted_in_the_exit_status() {
    let sandbox = Sandbox::new();
    for (tasks, failing, status) in [(5, 3, 3), (120, 100, 100), (150, 101, 101), (300, 300, 101)] {
        let lines: String =
            (0..tasks).map(|task| if task < failing { "false\n" } else { "true\n" }).collect();
        let output = run_with_input(&mut sandbox.msup(["-q"]), lines.as_bytes());
        assert_eq!(output.status.code(), Some(status), "{failing} of {tasks}");
    }
}
