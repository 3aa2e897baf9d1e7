//! Workers, launchers and other processes that misbehave: each hurts itself at most.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use msup_protocol::process_tree::children_of;
use msup_tests::{
    Sandbox, copy_program, groups, is_alive, kill, program, run, run_with_input, spawn_piped,
    summary, trace, wait_until,
};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, geteuid};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn figures(sandbox: &Sandbox) -> serde_json::Value {
    summary(&sandbox.path().join("s.json"))
}

/// A folder with programs of the sandbox's own.
fn own_programs(sandbox: &Sandbox) -> PathBuf {
    let folder = sandbox.path().join("bin");
    fs::create_dir(&folder).expect("writable");
    for name in ["msup", "msup-worker"] {
        copy_program(&program(name), &folder.join(name));
    }
    folder
}

/// Runs this task among ordinary ones, in workers that do to themselves what it says. How many
/// succeeded and how many were quarantined, of nine.
fn among_others(what: &str) -> (u64, u64) {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--procs", "2", "--summary", "s.json", "--worker"]);
    msup.arg(program("misbehaves")).args([":::", "1", "2", "3", "4", what, "5", "6", "7", "8"]);
    let output = run(&mut msup);
    let tasks = &figures(&sandbox)["tasks"];
    let count = |name: &str| tasks[name].as_u64().expect("a number");
    assert_eq!(figures(&sandbox)["tokens"]["idle_at_end"], 2, "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(i32::from(count("succeeded") < 9)));
    (count("succeeded"), count("quarantined"))
}

#[test]
fn a_worker_has_no_descriptor_of_the_shared_memory() {
    assert_eq!(among_others("holds"), (9, 0));
}

#[test]
fn a_task_that_unmaps_the_shared_memory_is_blamed_alone() {
    assert_eq!(among_others("unmap"), (8, 1));
}

/// Its bell reaches no process any more; the supervisor finds its outcomes all the same.
#[test]
fn a_worker_that_closes_all_its_files_goes_on() {
    assert_eq!(among_others("close"), (9, 0));
}

#[test]
fn a_worker_that_becomes_another_program_is_blamed_alone() {
    assert_eq!(among_others("exec"), (8, 1));
}

/// A worker that finds no task where one should be exits, and the task is published again.
#[test]
fn lies_about_other_tasks_cost_none_of_them() {
    assert_eq!(among_others("lie"), (9, 0));
}

/// The copy faults at the first word it looks at; the worker itself goes on.
#[test]
fn a_forked_copy_of_a_worker_is_no_worker() {
    assert_eq!(among_others("fork"), (9, 0));
}

#[test]
fn a_limit_on_processes_means_fewer_workers() {
    let sandbox = Sandbox::new();
    let (mut msup, _alone) = limited_to_processes(&sandbox, 24);
    // More than fit beside the others, for 3 s, or they would not be missing.
    let hog = "sh -c 'for n in $(seq 40); do setsid sleep 3 & done' 2>/dev/null || true\n";
    let input = hog.to_owned() + &"sleep 0.02\n".repeat(149);
    let output = run_with_input(msup.args(["--summary", "s.json"]), input.as_bytes());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let figures = figures(&sandbox);
    assert_eq!(figures["tasks"]["succeeded"], 150, "{}", text(&output.stderr));
    let fewer = figures["workers"]["peak"].as_u64() < figures["max_workers"].as_u64();
    let again = figures["tasks"]["attempts"].as_u64() > Some(150);
    assert!(fewer || again, "nothing was missing: {figures}");
}

/// Exited processes count until they are reaped, and only this worker can reap them.
#[test]
fn processes_that_a_command_left_are_reaped_though_no_other_command_can_start() {
    let sandbox = Sandbox::new();
    let (mut msup, _alone) = limited_to_processes(&sandbox, 100);
    let mut msup = spawn_piped(msup.arg("-j1"));
    let mut input = msup.stdin.take().expect("piped");
    let leave = "for n in $(seq 16); do setsid sleep 1 >/dev/null 2>&1 & done\n";
    input.write_all(leave.as_bytes()).expect("it reads");
    let has_left = |worker: &i32| {
        let children = children_of(*worker);
        children.len() == 16 && children.iter().all(|child| child.session == child.pid)
    };
    wait_until(|| sandbox.workers(&msup).iter().any(has_left));
    // Only without half of them can the next command start.
    let worker = sandbox.workers(&msup)[0];
    let fewer = threads_of(user()) - 8;
    let limit = [format!("--nproc={fewer}"), format!("--pid={worker}")];
    let changed = run(as_user(&sandbox, "prlimit").args(limit));
    assert!(changed.status.success(), "{}", text(&changed.stderr));
    input.write_all(b"true\n").expect("it reads");
    drop(input);
    let output = msup.wait_with_output().expect("started");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// `msup`, where `more` processes of its user may be created. These limits are per user, and root
/// has none: for root it runs as another user, with programs of its own. While the guard lives, no
/// other test runs as that user.
fn limited_to_processes(sandbox: &Sandbox, more: usize) -> (Command, MutexGuard<'static, ()>) {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = own_programs(sandbox);
    if geteuid().is_root() {
        for path in [sandbox.path(), &sandbox.path().join("tmp")] {
            chown(path, Some(user()), None).expect("root may");
        }
    }
    let mut limited = as_user(sandbox, "prlimit");
    limited.arg(format!("--nproc={}", threads_of(user()) + more)).arg(folder.join("msup"));
    (limited, alone)
}

fn as_user(sandbox: &Sandbox, program: &str) -> Command {
    if !geteuid().is_root() {
        return sandbox.command(program);
    }
    let mut command = sandbox.command("setpriv");
    command.args(["--reuid", &user().to_string(), "--clear-groups", program]);
    command
}

/// The user as which such a test runs.
fn user() -> u32 {
    let own = geteuid();
    if own.is_root() { 51_234 } else { own.as_raw() }
}

fn threads_of(user: u32) -> usize {
    let tasks = |process: PathBuf| {
        let is_theirs = fs::metadata(&process).is_ok_and(|meta| meta.uid() == user);
        let threads = || fs::read_dir(process.join("task")).map_or(0, Iterator::count);
        if is_theirs { threads() } else { 0 }
    };
    fs::read_dir("/proc").expect("there is /proc").flatten().map(|entry| tasks(entry.path())).sum()
}

/// The folder of a dead run bears its pid, which another process has now.
#[test]
fn a_process_with_the_pid_of_a_dead_one_is_left_alone() {
    let sandbox = Sandbox::new();
    let mut innocent = sandbox.command("sleep").arg("60").spawn().expect("there is sleep");
    let user = geteuid();
    // As this process is named, but for its number and when it was started.
    let own = msup_protocol::process_tree::Identity::own().to_string();
    let parts: Vec<&str> = own.split('-').collect();
    let name = format!("msup-{user}-{}-{}-{}-1-0", parts[0], parts[1], innocent.id());
    let stale = sandbox.path().join("tmp").join(name);
    fs::create_dir_all(&stale).expect("writable");
    let output = run(&mut sandbox.msup(["true", ":::", "1"]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(!stale.exists(), "what a dead run left is still there");
    assert!(is_alive(innocent.id() as i32), "another user's process was killed");
    kill(innocent.id() as i32, Signal::SIGKILL);
    innocent.wait().expect("ours");
}

/// Its command goes on, and so does the other worker.
#[test]
fn a_worker_that_is_being_debugged_is_waited_for() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--procs", "2", "--max-workers", "2", "--summary", "s.json"]);
    msup.args(["sleep 0.02; echo >>log", ":::"]).args((0..40).map(|n| n.to_string()));
    let child = spawn_piped(&mut msup);
    let lines = || fs::read_to_string(sandbox.path().join("log")).unwrap_or_default().len();
    wait_until(|| lines() > 4);
    let worker = Pid::from_raw(*sandbox.workers(&child).first().expect("it works"));
    ptrace::attach(worker).expect("a process of ours");
    assert!(matches!(waitpid(worker, None), Ok(WaitStatus::Stopped(..))));
    let before = lines();
    // The other one goes on meanwhile.
    wait_until(|| lines() > before + 5);
    ptrace::detach(worker, None).expect("attached");
    let output = child.wait_with_output().expect("ours");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let figures = figures(&sandbox);
    assert_eq!(
        (&figures["tasks"]["attempts"], &figures["workers"]["lost"]),
        (&40.into(), &0.into())
    );
}

/// Running workers stay. A run that must replace a worker and cannot stops and says why. With the
/// programs back, it is resumed.
#[test]
fn programs_removed_during_a_run_cost_no_task() {
    let sandbox = Sandbox::new();
    let folder = own_programs(&sandbox);
    let mut msup = sandbox.command(folder.join("msup"));
    msup.args(["-j2", "sleep 0.02; echo {} >>log", ":::"]);
    let mut child = spawn_piped(msup.args((0..200).map(|n| n.to_string())));
    let lines = || {
        let log = fs::read_to_string(sandbox.path().join("log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    wait_until(|| lines().len() > 10);
    fs::remove_dir_all(&folder).expect("ours");
    wait_until(|| {
        sandbox.workers(&child).into_iter().for_each(|worker| kill(worker, Signal::SIGKILL));
        child.try_wait().expect("ours").is_some()
    });
    let output = child.wait_with_output().expect("ours");
    assert_eq!(output.status.code(), Some(255), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("msup-worker"), "{}", text(&output.stderr));
    let output = run(&mut sandbox.msup(["resume"]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut all: Vec<u32> = lines().iter().map(|line| line.parse().expect("a number")).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all, (0..200).collect::<Vec<u32>>());
}

/// The kernel does not report exits of children to a process that ignores SIGCHLD, and a blocked
/// signal never arrives. The process that starts msup may have set both.
#[test]
fn what_the_launcher_ignores_and_blocks_is_not_inherited() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.command("sh");
    msup.args(["-c", "trap '' CHLD TERM PIPE; exec env --block-signal \"$@\"", "sh"]);
    msup.arg(program("msup"));
    msup.args(["-j2", "--summary", "s.json", "--", "sh", "-c", "kill -TERM $$; sleep 5", "sh"]);
    msup.args([":::", "1", "2", "3"]);
    let output = run(&mut msup);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert_eq!(figures(&sandbox)["tasks"]["failed"], 3, "{}", text(&output.stderr));
}

#[test]
fn closed_standard_streams_cost_nothing_where_nothing_is_shown() {
    let sandbox = Sandbox::new();
    let script = "exec \"$@\" <&- >&- 2>&-";
    let mut shell = sandbox.command("sh");
    shell.args(["-c", script, "sh"]).arg(program("msup"));
    shell.args(["-j2", "--summary", "s.json", "echo {} >>log", ":::", "a", "b", "c"]);
    let status = shell.status().expect("there is sh");
    assert!(status.success(), "{status}");
    assert_eq!(fs::read_to_string(sandbox.path().join("log")).expect("written").len(), 6);
    assert_eq!(figures(&sandbox)["tasks"]["succeeded"], 3);
}

/// Groups can be made for runs, and none for workers: they are measured and killed process
/// by process.
#[test]
fn control_groups_that_cannot_be_made_cost_no_task() {
    let sandbox = Sandbox::new();
    if !groups::are_made_here(&sandbox) {
        return;
    }
    let limited = groups::Limited::new("cgroup.max.depth", "1");
    let mut msup = sandbox.command("sh");
    msup.args(["-c", "echo 0 >\"$1\" && shift && exec \"$@\"", "sh"]);
    msup.arg(limited.folder().join("cgroup.procs")).arg(program("msup"));
    // It tells how much it has used, however little that was on a busy machine.
    let script = "while [ $SECONDS -lt 2 ]; do :; done; \
                  read -ra stat </proc/self/stat; echo ${stat[13]} >&2";
    let script = format!("bash -c '{script}'; true");
    msup.args(["--procs", "1", "--schedtrace", "50", "--summary", "s.json", &script, ":::", "1"]);
    let output = run(&mut msup);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(figures(&sandbox)["tasks"]["succeeded"], 1);
    let lines = trace::lines(&said);
    let ticks = said.lines().find_map(|line| line.parse::<f64>().ok()).expect("it tells its ticks");
    let seen = trace::seconds_used(&lines);
    assert!(seen > 0.7 * ticks / 100.0, "{seen} s of {} s: {said}", ticks / 100.0);
}
