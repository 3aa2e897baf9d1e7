//! The main job: real files through commands and through an SDK worker, watched from outside.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use msup_tests::{
    Sandbox, is_alive, name_of, program, run, run_with_input, spawn_piped, summary, wait_until,
};
use serde_json::Value;

/// Real files of this machine: its documentation, or what the toolchain brought where there is
/// none.
fn real_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for root in ["/usr/share/doc", "/usr/share", "/etc"] {
        collect(Path::new(root), &mut files);
        if files.len() >= 500 {
            break;
        }
    }
    files.truncate(4000);
    files
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            collect(&entry.path(), files);
        } else if kind.is_file() && fs::File::open(entry.path()).is_ok() {
            files.push(entry.path());
        }
    }
}

fn nul_separated(files: &[PathBuf]) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    files.iter().flat_map(|file| [file.as_os_str().as_bytes(), b"\0"].concat()).collect()
}

fn sorted_lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    lines.sort();
    lines
}

/// No wake was lost. On a busy machine, one looks lost if its worker gets no CPU for 50 ms.
fn has_few_rescues(tokens: &Value) {
    let count = |name: &str| tokens[name].as_u64().expect("a number");
    let (rescues, exits) = (count("rescues"), count("fast_exits") + count("slow_exits"));
    assert!(rescues * 100 <= exits, "{rescues} rescues at {exits} exits");
}

#[test]
fn the_same_digests_as_xargs_with_two_commands_at_most() {
    let sandbox = Sandbox::new();
    let input = nul_separated(&real_files());
    let list = sandbox.file("list", &input);
    let expected = run_with_input(sandbox.command("xargs").args(["-0", "sha256sum"]), &input);
    // As many commands as tokens, whether they wait for the disk or not.
    let flags = ["-0", "--procs", "2", "--max-workers", "2", "--summary", "s.json", "-a", "list"];
    let mut msup = sandbox.msup(flags);
    let out = fs::File::create(sandbox.path().join("out")).expect("writable");
    let mut child = msup
        .args(["--", "sha256sum", "{}"])
        .stdout(out)
        .stderr(Stdio::null())
        .spawn()
        .expect("msup is built");
    let mut most = 0;
    let mut looks = 0;
    while child.try_wait().expect("ours").is_none() {
        let commands = sandbox
            .processes()
            .into_iter()
            .filter(|pid| name_of(*pid).as_deref() == Some("sha256sum") && is_alive(*pid));
        most = most.max(commands.count());
        looks += 1;
    }
    assert!(child.wait().expect("ours").success());
    let out = fs::read(sandbox.path().join("out")).expect("written");
    assert!(sorted_lines(&out) == sorted_lines(&expected.stdout), "other digests than xargs'");
    assert!(most <= 2, "{most} commands at once");
    assert!(looks > 20 && most > 0, "the observer saw nothing: {looks} looks, {most} at most");
    let summary = summary(&sandbox.path().join("s.json"));
    assert_eq!(summary["exit_status"], 0);
    assert_eq!(summary["tokens"]["idle_at_end"], 2);
    has_few_rescues(&summary["tokens"]);
    assert!(summary["tokens"]["held_peak"].as_u64() <= Some(2));
    assert!(summary["workers"]["peak"].as_u64() <= Some(2));
    drop(list);
}

#[test]
fn the_example_worker_gives_the_same_digests() {
    let sandbox = Sandbox::new();
    let input = nul_separated(&real_files());
    let expected = run_with_input(sandbox.command("xargs").args(["-0", "sha256sum", "-z"]), &input);
    fs::create_dir(sandbox.path().join("digests")).expect("writable");
    let mut msup = sandbox.msup(["-0", "--procs", "2", "--summary", "s.json", "--worker"]);
    let output = run_with_input(msup.arg(program("digest")).arg("digests"), &input);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut digests = BTreeSet::new();
    for entry in fs::read_dir(sandbox.path().join("digests")).expect("there").flatten() {
        let mut line = fs::read(entry.path()).expect("readable");
        assert_eq!(line.pop(), Some(b'\n'), "{entry:?} is not whole");
        digests.insert(line);
    }
    let expected: BTreeSet<Vec<u8>> = expected
        .stdout
        .split(|byte| *byte == 0)
        .filter(|line| !line.is_empty())
        .map(<[u8]>::to_vec)
        .collect();
    assert!(digests == expected, "other digests than sha256sum's");
    let tokens = &summary(&sandbox.path().join("s.json"))["tokens"];
    let count = |name: &str| tokens[name].as_u64().expect("a number");
    assert_eq!(count("idle_at_end"), 2);
    let exits = count("fast_exits") + count("slow_exits");
    assert_eq!(exits, 2 * expected.len() as u64, "each task blocks twice");
    has_few_rescues(tokens);
}

#[test]
fn the_worker_runs_without_a_supervisor_too() {
    let sandbox = Sandbox::new();
    sandbox.file("a", b"hello\n");
    let output = run_with_input(sandbox.command(program("digest")).arg("."), b"a\nmissing\n");
    assert_eq!(output.status.code(), Some(1));
    let digest = fs::read_to_string(sandbox.path().join("1.sha256")).expect("written");
    assert_eq!(digest, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03  a\n");
}

/// Twenty tasks of 5 ms computing and 50 ms waiting, on one token; the run's wall time.
fn twenty_tasks(sandbox: &Sandbox, max_workers: &str) -> f64 {
    let flags = ["--procs", "1", "--max-workers", max_workers, "--summary", "s.json", "--worker"];
    let mut msup = sandbox.msup(flags);
    msup.arg(program("computes_and_waits")).args(["5", "50", ":::"]);
    msup.args((1..=20).map(|number| number.to_string()));
    assert!(run(&mut msup).status.success());
    let summary = summary(&sandbox.path().join("s.json"));
    assert_eq!(summary["tokens"]["held_peak"], 1);
    assert_eq!(summary["tokens"]["rescues"], 0);
    summary["wall_seconds"].as_f64().expect("a number")
}

#[test]
fn waiting_tasks_overlap_although_there_is_one_token() {
    let sandbox = Sandbox::new();
    // On a machine that is busy with something else one pair may be disturbed. Without overlap
    // every pair would be as long as the other.
    let pairs = (0..5).map(|_| (twenty_tasks(&sandbox, "1"), twenty_tasks(&sandbox, "200")));
    let mut seen = Vec::new();
    for (serial, overlapped) in pairs {
        assert!(serial > 20.0 * 0.055, "the tasks did not do their work: {serial} s");
        println!("{overlapped:.3} s instead of {serial:.3} s");
        if overlapped * 3.0 < serial {
            return;
        }
        seen.push((serial, overlapped));
    }
    panic!("never a third of the serial time: {seen:?}");
}

#[test]
fn idle_workers_leave() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--procs", "1", "--idle-timeout", "0.2", "--summary", "s.json"]);
    msup.arg("--worker").arg(program("computes_and_waits")).args(["0", "30"]);
    let mut child = spawn_piped(&mut msup);
    let mut stdin = child.stdin.take().expect("piped");
    std::io::Write::write_all(&mut stdin, "x\n".repeat(20).as_bytes()).expect("msup reads");
    // Right after its start the environment of a process cannot be read yet.
    let workers = || sandbox.processes().len().saturating_sub(1);
    wait_until(|| workers() >= 5);
    wait_until(|| workers() == 1);
    drop(stdin);
    assert!(child.wait().expect("ours").success());
    let summary = summary(&sandbox.path().join("s.json"));
    assert_eq!(summary["tasks"]["succeeded"], 20);
    assert!(summary["workers"]["reaped_idle"].as_u64() >= Some(4));
    assert_eq!(summary["workers"]["lost"], 0);
}

/// The process that starts msup may ignore or block signals that it needs, and close its streams.
#[test]
fn a_hostile_environment_does_not_matter() {
    let sandbox = Sandbox::new();
    let script = "trap '' CHLD PIPE USR1; exec \"$0\" -q --summary s.json sh -c 'echo ok; exit 3' \
                  sh ::: a b";
    let output = run(sandbox.command("sh").args(["-c", script]).arg(program("msup")));
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), &b"ok\nok\n"[..]));
    let script = "exec \"$0\" -q --summary s.json true ::: a b <&- >&- 2>&-";
    let output = run(sandbox.command("sh").args(["-c", script]).arg(program("msup")));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(summary(&sandbox.path().join("s.json"))["tasks"]["succeeded"], 2);
}
