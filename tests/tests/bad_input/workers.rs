//! Worker programs that are missing, are no workers, or are of another release.

use std::ffi::OsStr;
use std::fs;

use msup_tests::{Sandbox, copy_program, program, run};

use super::{
    assert_names, quiet, quiet_program, refused, refused_by, refused_in_lines, script, stderr_of,
};

/// The lines with which a run is refused whose worker is this program.
fn refused_worker(sandbox: &Sandbox, worker: &OsStr) -> Vec<String> {
    let mut command = quiet(sandbox, &["echo"]);
    command.env("MSUP_WORKER", worker);
    refused_in_lines(sandbox, &mut command, b"one\ntwo\nthree\n")
}

#[test]
fn a_worker_program_that_is_missing_is_named() {
    assert_names(&refused(&["--worker", "./no-such-worker"]), &["./no-such-worker"]);
}

#[test]
fn a_worker_program_that_is_not_in_the_path_is_named() {
    assert_names(&refused(&["--worker", "no-such-worker-here"]), &["no-such-worker-here"]);
}

#[test]
fn a_missing_msup_worker_is_named() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path().join("alone");
    fs::create_dir(&folder).expect("the sandbox is writable");
    let alone = folder.join("msup");
    copy_program(&program("msup"), &alone);
    let mut command = quiet_program(&sandbox, &alone, &["echo"]);
    // Nor is one installed elsewhere to be found.
    command.env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin").env_remove("MSUP_WORKER");
    assert_names(&refused_by(&sandbox, &mut command, b"one\n"), &["msup-worker"]);
}

#[test]
fn a_configured_worker_that_is_missing_is_named() {
    let lines = refused_worker(&Sandbox::new(), OsStr::new("/no/such/worker"));
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert_names(&lines[0], &["/no/such/worker"]);
}

#[test]
fn a_configured_worker_that_is_a_directory_is_named() {
    let lines = refused_worker(&Sandbox::new(), OsStr::new("/usr"));
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert_names(&lines[0], &["/usr"]);
}

#[test]
fn a_configured_worker_that_is_not_executable_is_named() {
    let sandbox = Sandbox::new();
    let worker = script(&sandbox, "plain-worker", 0o644, "exit 0");
    let lines = refused_worker(&sandbox, worker.as_os_str());
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert_names(&lines[0], &["plain-worker"]);
}

#[test]
fn a_configured_worker_that_only_succeeds_stops_the_run() {
    let lines = refused_worker(&Sandbox::new(), OsStr::new("/bin/true"));
    assert_names(&lines.join("\n"), &["/bin/true"]);
}

#[test]
fn a_configured_worker_that_only_fails_stops_the_run() {
    let lines = refused_worker(&Sandbox::new(), OsStr::new("/bin/false"));
    assert_names(&lines.join("\n"), &["/bin/false"]);
}

#[test]
fn a_program_that_is_no_worker_is_started_a_few_times_only() {
    let sandbox = Sandbox::new();
    let worker = script(&sandbox, "no-worker", 0o755, "echo started >>starts; exit 1");
    refused_worker(&sandbox, worker.as_os_str());
    let starts = fs::read_to_string(sandbox.path().join("starts")).expect("it was started");
    assert!(starts.lines().count() <= 200, "{} starts", starts.lines().count());
}

#[test]
fn a_worker_option_with_a_program_that_is_no_worker_stops_the_run() {
    let sandbox = Sandbox::new();
    let mut command = quiet(&sandbox, &["--worker", "/bin/true"]);
    let lines = refused_in_lines(&sandbox, &mut command, b"one\ntwo\n");
    assert_names(&lines.join("\n"), &["/bin/true"]);
}

#[test]
fn a_worker_of_another_version_is_refused_as_such() {
    let sandbox = Sandbox::new();
    let worker = script(&sandbox, "other-worker", 0o755, "exit 76");
    let lines = refused_worker(&sandbox, worker.as_os_str());
    assert!(lines.iter().any(|line| line.contains("version")), "{lines:#?}");
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
fn a_task_loop_that_has_started_threads_is_told_to_begin_earlier() {
    let sandbox = Sandbox::new();
    let worker = program("threads_first");
    let mut msup = sandbox.msup(["-q", "--worker"]);
    let output = run(msup.arg(&worker).args([":::", "a"]));
    assert_eq!(output.status.code(), Some(255));
    let said = stderr_of(&output);
    let (own, last) = said.trim_end().rsplit_once('\n').expect("the worker's words, then ours");
    let reason = "msup worker: it has started threads before msup_worker::run(): call that first";
    assert!(own.lines().all(|line| line == reason), "{said}");
    assert_names(last, &["threads_first", "before it took a task"]);
}
