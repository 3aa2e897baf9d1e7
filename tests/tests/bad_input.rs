//! What cannot work is refused in one line that names it, and leaves nothing behind.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use msup_tests::{Sandbox, program, run, run_with_input};

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
    let path = sandbox.file(name, format!("#!/bin/sh\n{body}\n").as_bytes());
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is the test's own");
    path
}

/// The lines with which a run is refused whose worker is this program.
fn refused_worker(sandbox: &Sandbox, worker: &OsStr) -> Vec<String> {
    let mut command = quiet(sandbox, &["echo"]);
    command.env("MSUP_WORKER", worker);
    refused_in_lines(sandbox, &mut command, b"one\ntwo\nthree\n")
}

// The command.

#[test]
fn a_command_that_is_not_found_is_named() {
    assert_names(&refused(&["no-such-command-here"]), &["no-such-command-here"]);
}

#[test]
fn a_command_with_arguments_that_is_not_found_is_named() {
    assert_names(&refused(&["--", "no-such-command-here", "-x", "{}"]), &["no-such-command-here"]);
}

#[test]
fn a_command_with_values_on_the_command_line_that_is_not_found_is_named() {
    let line = refused(&["no-such-command-here", "{}", ":::", "a", "b"]);
    assert_names(&line, &["no-such-command-here"]);
}

#[test]
fn an_absolute_path_that_is_not_found_is_named() {
    assert_names(&refused(&["/no/such/folder/program", "{}"]), &["/no/such/folder/program"]);
}

#[test]
fn a_relative_path_that_is_not_found_is_named() {
    assert_names(&refused(&["./no-such-program", "{}"]), &["./no-such-program"]);
}

#[test]
fn a_path_below_a_file_is_named() {
    assert_names(&refused(&["/etc/passwd/program", "{}"]), &["/etc/passwd/program"]);
}

#[test]
fn a_file_that_is_not_executable_is_named() {
    let sandbox = Sandbox::new();
    script(&sandbox, "plain", 0o644, "echo ran");
    let line = refused_by(&sandbox, &mut quiet(&sandbox, &["./plain", "{}"]), b"one\n");
    assert_names(&line, &["./plain"]);
}

#[test]
fn a_directory_as_command_is_named() {
    assert_names(&refused(&["./tmp", "{}"]), &["./tmp"]);
}

#[test]
fn a_command_that_is_an_empty_word_is_refused() {
    refused(&["--", "", "{}"]);
}

#[test]
fn a_command_whose_name_is_not_utf8_is_refused_in_a_readable_line() {
    use std::os::unix::ffi::OsStringExt;
    let name = OsString::from_vec(b"./no-such-\xff".to_vec());
    assert_names(&refused(&[name, "{}".into()]), &["./no-such-"]);
}

// Options.

#[test]
fn zero_processes_are_refused() {
    assert_names(&refused(&["--procs", "0", "echo"]), &["procs", "0"]);
}

#[test]
fn a_number_of_processes_that_is_none_is_named() {
    assert_names(&refused(&["--procs", "abc", "echo"]), &["procs", "abc"]);
}

#[test]
fn fewer_workers_than_tokens_are_refused() {
    let line = refused(&["--procs", "4", "--max-workers", "2", "echo"]);
    assert_names(&line, &["max-workers", "procs"]);
}

#[test]
fn an_unknown_flag_is_named() {
    assert_names(&refused(&["--no-such-flag", "echo"]), &["--no-such-flag"]);
}

#[test]
fn an_unknown_short_flag_is_named() {
    assert_names(&refused(&["-Z", "echo"]), &["-Z"]);
}

#[test]
fn a_second_group_of_values_is_refused() {
    assert_names(&refused(&["echo", ":::", "a", ":::", "b"]), &[":::"]);
}

#[test]
fn a_file_of_values_together_with_values_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.file("values", b"one\n");
    let mut command = quiet(&sandbox, &["-a", "values", "echo", ":::", "a"]);
    assert_names(&refused_by(&sandbox, &mut command, b""), &["-a", ":::"]);
}

// The input.

#[test]
fn a_file_of_values_that_is_missing_is_named() {
    assert_names(&refused(&["-a", "no-such-values", "echo"]), &["no-such-values"]);
}

#[test]
fn a_directory_as_file_of_values_is_named() {
    assert_names(&refused(&["-a", "tmp", "echo"]), &["tmp"]);
}

#[test]
fn a_file_of_values_that_may_not_be_read_is_named() {
    let sandbox = Sandbox::new();
    let values = sandbox.file("secret-values", b"one\n");
    fs::set_permissions(&values, fs::Permissions::from_mode(0o000)).expect("it is the test's own");
    // Root reads everything unless it is told not to.
    let is_root = fs::metadata(&values).expect("it was written").uid() == 0;
    let mut command = sandbox.command(if is_root { "setpriv".into() } else { program("msup") });
    if is_root {
        command.args(["--bounding-set", "-dac_override,-dac_read_search"]).arg(program("msup"));
    }
    command.args(["-q", "-a", "secret-values", "echo"]);
    let output = run(&mut command);
    let stderr = stderr_of(&output);
    assert_eq!((output.status.code(), output.stdout), (Some(255), Vec::new()), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("msup: "), "{stderr}");
    assert_names(&stderr, &["secret-values"]);
}

// Values before the bad line may have run by the time it is read: their command is silent.

#[test]
fn a_nul_byte_in_a_line_is_refused_with_its_line_and_the_way_out() {
    let sandbox = Sandbox::new();
    let line = refused_by(&sandbox, &mut quiet(&sandbox, &["true"]), b"one\ntw\0o\nthree\n");
    assert_names(&line, &["-0"]);
    assert_names_number(&line, 2);
}

#[test]
fn a_nul_byte_in_the_first_line_is_refused_before_anything_runs() {
    let sandbox = Sandbox::new();
    let line = refused_by(&sandbox, &mut quiet(&sandbox, &["echo"]), b"a\0b\nc\n");
    assert_names(&line, &["-0"]);
    assert_names_number(&line, 1);
}

#[test]
fn a_nul_byte_far_into_the_input_is_refused_with_its_line() {
    let sandbox = Sandbox::new();
    let mut input = b"value\n".repeat(1_999);
    input.extend_from_slice(b"a\0b\n");
    let line = refused_by(&sandbox, &mut quiet(&sandbox, &["true"]), &input);
    assert_names(&line, &["-0"]);
    assert_names_number(&line, 2_000);
}

#[test]
fn a_nul_byte_after_empty_lines_is_refused_with_its_line() {
    let sandbox = Sandbox::new();
    let line = refused_by(&sandbox, &mut quiet(&sandbox, &["true"]), b"one\n\n\na\0b\n");
    assert_names_number(&line, 4);
}

#[test]
fn a_nul_byte_after_empty_lines_among_commands_is_refused_with_its_line() {
    let sandbox = Sandbox::new();
    let mut command = quiet::<&str>(&sandbox, &[]);
    let line = refused_by(&sandbox, &mut command, b"true\n\n\ntrue a\0b\n");
    assert_names_number(&line, 4);
}

#[test]
fn a_nul_byte_in_a_file_of_values_is_refused_with_file_and_line() {
    let sandbox = Sandbox::new();
    sandbox.file("values", b"one\ntwo\nthr\0ee\n");
    let line = refused_by(&sandbox, &mut quiet(&sandbox, &["-a", "values", "true"]), b"");
    assert_names(&line, &["values", "-0"]);
    assert_names_number(&line, 3);
}

#[test]
fn a_nul_byte_in_a_line_that_is_a_command_is_refused() {
    let sandbox = Sandbox::new();
    let line = refused_by(&sandbox, &mut quiet::<&str>(&sandbox, &[]), b"true\ntrue t\0o\n");
    assert_names(&line, &["-0"]);
    assert_names_number(&line, 2);
}

// Workers.

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
    fs::copy(program("msup"), &alone).expect("msup is readable");
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

// The machine.

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

// Nothing to do.

/// What a run shows that has no values and succeeds.
fn shown_without_values(sandbox: &Sandbox, arguments: &[&str], input: &[u8]) -> String {
    let output = run_with_input(&mut quiet(sandbox, arguments), input);
    assert_eq!(output.status.code(), Some(0), "{}", stderr_of(&output));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn an_empty_input_succeeds() {
    assert_eq!(shown_without_values(&Sandbox::new(), &["echo"], b""), "");
}

#[test]
fn an_empty_nul_separated_input_succeeds() {
    assert_eq!(shown_without_values(&Sandbox::new(), &["-0", "echo"], b""), "");
}

#[test]
fn an_empty_list_of_commands_succeeds() {
    assert_eq!(shown_without_values(&Sandbox::new(), &[], b""), "");
}

#[test]
fn an_empty_file_of_values_succeeds() {
    let sandbox = Sandbox::new();
    sandbox.file("values", b"");
    assert_eq!(shown_without_values(&sandbox, &["-a", "values", "echo"], b""), "");
}

#[test]
fn an_empty_group_of_values_succeeds_and_leaves_the_input_alone() {
    assert_eq!(shown_without_values(&Sandbox::new(), &["echo", ":::"], b"one\n"), "");
}

// Lines that are commands.

#[test]
fn a_line_with_a_command_that_does_not_exist_fails_alone() {
    let sandbox = Sandbox::new();
    let input = b"echo one\nno-such-command-here x\necho two\n";
    let output = run_with_input(&mut sandbox.msup(["-k"]), input);
    assert_eq!(output.status.code(), Some(1), "{}", stderr_of(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "one\ntwo\n");
}

#[test]
fn a_line_with_a_command_that_does_not_exist_is_named_in_the_report() {
    let sandbox = Sandbox::new();
    let output = run_with_input(&mut sandbox.msup(["-k"]), b"true\nno-such-command-here x\n");
    assert_names(&stderr_of(&output), &["no-such-command-here"]);
}

#[test]
fn every_line_with_a_command_that_does_not_exist_counts() {
    let sandbox = Sandbox::new();
    let input = b"/no/such/one\ntrue\nno-such-two a b\nno-such-three | cat; exit 3\n";
    let output = run_with_input(&mut quiet::<&str>(&sandbox, &[]), input);
    assert_eq!(output.status.code(), Some(3), "{}", stderr_of(&output));
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

#[test]
fn flags_that_make_no_sense_are_named() {
    let cases: [(&[&str], &[&str]); 15] = [
        (&["--order", "random", "--from", "/dev/null", "true"], &["--order random", "longest"]),
        (&["--order", "longest", "true", ":::", "a"], &["--from"]),
        (&["--order", "longest", "--from", "/nowhere/log", "true"], &["--from /nowhere/log"]),
        (&["--memory", "much", "true", ":::", "a"], &["--memory much", "512M"]),
        (&["--memory", "0", "true", ":::", "a"], &["--memory 0", "at least 1M"]),
        (&["--mem-per-task", "3", "true", ":::", "a"], &["--mem-per-task 3", "at least 1M"]),
        (&["--memory", "1G", "--worker", "true", ":::", "a"], &["--memory", "--worker"]),
        (&["--at-cap", "run", "true", ":::", "a"], &["--at-cap run", "wait or fail"]),
        (&[" ", ":::", "a"], &["the command is empty"]),
        (&["--procs", "many", "true", ":::", "a"], &["--procs many"]),
        (&["-j", "none", "true", ":::", "a"], &["--jobs none", "N%"]),
        (&["-j", "2", "--procs", "2", "true", ":::", "a"], &["--jobs", "--procs"]),
        (&["--max-workers", "99999999", "true", ":::", "a"], &["--max-workers", "limit on"]),
        (&["--schedtrace", "0", "true", ":::", "a"], &["--schedtrace 0"]),
        (&["--idle-timeout=-1", "true", ":::", "a"], &["--idle-timeout -1"]),
    ];
    for (arguments, parts) in cases {
        assert_names(&refused(arguments), parts);
    }
}
