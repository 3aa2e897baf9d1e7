//! Limits on processes, open files and CPU time.

use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Command;

use msup_tests::{Sandbox, copy_program, program, run, summary};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// msup as a user that has no other process, since root has no limit on processes. `None` without
/// root; then it prints that this is not tested.
fn as_another_user(sandbox: &Sandbox, processes: u32) -> Option<Command> {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not tested: only root can become a user without any process");
        return None;
    }
    let user = 52_000 + std::process::id() % 8000;
    let bin = sandbox.path().join("bin");
    if !bin.exists() {
        fs::create_dir(&bin).expect("writable");
        for name in ["msup", "msup-worker"] {
            copy_program(&program(name), &bin.join(name));
        }
    }
    for path in [sandbox.path(), &sandbox.path().join("tmp")] {
        chown(path, Some(user), None).expect("root may");
    }
    let mut limited = sandbox.command("prlimit");
    limited.arg(format!("--nproc={processes}"));
    limited.args(["setpriv", "--reuid", &user.to_string(), "--clear-groups"]);
    limited.arg(bin.join("msup"));
    Some(limited)
}

/// Runs that could be resumed.
fn kept_runs(sandbox: &Sandbox) -> Vec<PathBuf> {
    let runs = fs::read_dir(sandbox.path().join("state/msup")).into_iter().flatten().flatten();
    runs.map(|entry| entry.path()).filter(|path| path.join("journal.jsonl").exists()).collect()
}

/// With each limit another thread, or the first worker, is the first thing that cannot be started.
#[test]
fn a_thread_that_cannot_be_started_is_one_line_and_leaves_nothing() {
    let mut refused = 0;
    for processes in 1..9 {
        let sandbox = Sandbox::new();
        let Some(mut msup) = as_another_user(&sandbox, processes) else { return };
        msup.args(["--out", "{}.out", "--durability", "task", "sh", "-c", ": >$1", "sh", "{out}"]);
        let output = run(msup.args([":::", "1", "2", "3"]));
        let said = text(&output.stderr);
        assert!(
            !said.contains("panicked") && !said.contains("internal error"),
            "{processes}: {said}"
        );
        match output.status.code() {
            Some(255) => {
                refused += 1;
                assert!(said.contains("cannot start"), "{processes}: {said}");
                // Beside the lines that say that the limit is low, that fewer workers could be
                // started, and that the run is out of reach of msup ctl.
                let remarks = ["at most", "just now", "msup ctl cannot reach this run"];
                let is_remark = |line: &&str| remarks.iter().any(|remark| line.contains(remark));
                let lines: Vec<&str> = said.lines().filter(|line| !is_remark(line)).collect();
                assert!(lines.len() <= 2, "{processes}: {said}");
                if lines.iter().any(|line| line.contains("cannot start the thread")) {
                    assert!(kept_runs(&sandbox).is_empty(), "{processes}: {said}");
                }
            }
            // The commands are processes, too.
            Some(0..=3) => {}
            other => panic!("{processes}: {other:?}: {said}"),
        }
    }
    assert!(refused >= 4, "{refused} of the threads and workers could not be started");
}

/// A shell that lowers a limit, then becomes msup.
fn limited(sandbox: &Sandbox, limit: &str, arguments: &str) -> Command {
    let mut shell = sandbox.command("sh");
    shell.args(["-c", &format!("ulimit {limit}; exec {} {arguments}", program("msup").display())]);
    shell
}

#[test]
fn few_open_files_are_few_workers_and_the_limit_is_named_once() {
    let sandbox = Sandbox::new();
    // Each waits until eight have begun: they are started beside each other.
    let task = "': >$1.began; until test -e 8.began; do sleep 0.01; done' sh {}";
    let run_of = format!("--procs 8 --summary s.json sh -c {task} ::: 1 2 3 4 5 6 7 8");
    let output = run(&mut limited(&sandbox, "-n 80", &run_of));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(said.matches("the limit on open files is 80 (ulimit -n)").count(), 1, "{said}");
    let cap = summary(&sandbox.path().join("s.json"))["max_workers"].as_u64();
    assert!(cap >= Some(8) && cap < Some(80), "{cap:?}");
}

#[test]
fn too_few_open_files_are_refused_in_one_line() {
    for files in [20, 56] {
        let sandbox = Sandbox::new();
        let output = run(&mut limited(&sandbox, &format!("-n {files}"), "true ::: 1"));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(255), "{said}");
        let line = format!("the limit on open files is {files} (ulimit -n): msup needs at least");
        assert!(said.contains(&line) && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn more_workers_than_a_limit_allows_are_refused_with_the_limit() {
    let sandbox = Sandbox::new();
    let output = run(&mut limited(&sandbox, "-n 80", "-j 60 true ::: 1"));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(255), "{said}");
    assert!(said.contains("--jobs 60") && said.contains("open files is 80"), "{said}");
}

#[test]
fn a_limit_that_lowers_nothing_is_not_named() {
    let sandbox = Sandbox::new();
    let output = run(&mut limited(&sandbox, "-n 1024", "-q -j 2 true ::: 1"));
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

/// A control group with a quota on CPU time, of either kind, for as long as this lives.
struct Quota(PathBuf);

impl Quota {
    /// A quota in hundredths of a CPU; `None` where this process may not make one.
    fn new(percent: u64) -> Option<Quota> {
        let name = format!("msup-test-{}-{percent}", std::process::id());
        let v1 = PathBuf::from("/sys/fs/cgroup/cpu").join(&name);
        let v2 = PathBuf::from("/sys/fs/cgroup").join(&name);
        let quota = percent * 1000;
        for (folder, file, text) in [
            (v1, "cpu.cfs_quota_us", quota.to_string()),
            (v2, "cpu.max", format!("{quota} 100000")),
        ] {
            if fs::create_dir(&folder).is_ok() {
                let group = Quota(folder);
                if fs::write(group.0.join(file), text).is_ok() {
                    return Some(group);
                }
            }
        }
        eprintln!("not tested: no control group with a quota can be made here");
        None
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_cpu_quota_is_rounded_up_to_whole_tokens() {
    let cpus = std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64);
    for (percent, tokens) in [(50, 1), (100, 1), (150, 2)] {
        let Some(group) = Quota::new(percent) else { return };
        let sandbox = Sandbox::new();
        let mut shell = sandbox.command("sh");
        shell.args(["-c", "echo $$ >\"$0\" && exec \"$@\""]).arg(group.0.join("cgroup.procs"));
        shell.arg(program("msup")).args(["--summary", "s.json", "true", ":::", "1", "2", "3"]);
        let output = run(&mut shell);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let summary = summary(&sandbox.path().join("s.json"));
        assert_eq!(summary["procs"], tokens.min(cpus), "{percent} %");
    }
}
