//! Much at once: kills, output, interrupts.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use msup_tests::{Sandbox, kill, run, spawn_piped, summary, wait_until};
use nix::sys::signal::Signal;

fn lines(sandbox: &Sandbox, name: &str) -> Vec<String> {
    let text = fs::read_to_string(sandbox.path().join(name)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Half of all workers, twenty times a second: work goes on, each output comes once, no task
/// is blamed.
#[test]
fn half_of_the_workers_killed_repeatedly() {
    let sandbox = Sandbox::new();
    // The nightly run's lasts for half a minute.
    let tasks = if std::env::var_os("MSUP_NIGHTLY").is_some() { 10_000 } else { 1_000 };
    sandbox.file("list", (1..=tasks).map(|n| format!("{n}\n")).collect::<String>().as_bytes());
    let out = fs::File::create(sandbox.path().join("out")).expect("writable");
    let flags = ["-j8", "--summary", "s.json", "-a", "list", "--"];
    let mut msup = sandbox.msup(flags);
    msup.args(["sh", "-c", "sleep 0.005; echo done $1", "sh"]).stdout(out).stderr(Stdio::null());
    let mut child = msup.spawn().expect("msup is built");
    let mut random = 11_u64;
    let status = loop {
        if let Some(status) = child.try_wait().expect("ours") {
            break status;
        }
        for worker in sandbox.workers(&child) {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if random >> 63 == 0 {
                kill(worker, Signal::SIGKILL);
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(status.success(), "{status}");
    let summary = summary(&sandbox.path().join("s.json"));
    assert_eq!(
        (&summary["tasks"]["succeeded"], &summary["tasks"]["quarantined"]),
        (&tasks.into(), &0.into())
    );
    assert!(summary["workers"]["lost"].as_u64() >= Some(20), "{}", summary["workers"]);
    let done = lines(&sandbox, "out");
    assert_eq!((done.len(), done.iter().collect::<BTreeSet<_>>().len()), (tasks, tasks));
}

/// The most memory a process has had, in KiB.
fn peak(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap_or(0)
}

/// One line of a quarter of a gigabyte, which its reader takes up late.
#[test]
fn a_flood_costs_bounded_memory() {
    const BYTES: u64 = 256 << 20;
    let sandbox = Sandbox::new();
    let script = "head -c 268435456 /dev/zero; echo; echo $1 >>log";
    let flags = ["-j2", "--", "sh", "-c", script, "sh", ":::", "flood"];
    let mut msup = spawn_piped(&mut sandbox.msup(flags));
    let ours = || sandbox.processes().into_iter().map(peak).max().unwrap_or(0);
    let mut most = 0;
    wait_until(|| {
        most = most.max(ours());
        !lines(&sandbox, "log").is_empty()
    });
    let mut stdout = msup.stdout.take().expect("piped");
    let (mut buffer, mut len) = (vec![0; 1 << 20], 0);
    loop {
        let read = stdout.read(&mut buffer).expect("a pipe");
        if read == 0 {
            break;
        }
        len += read as u64;
        most = most.max(ours());
    }
    assert_eq!(len, BYTES + 1);
    assert!(msup.wait().expect("ours").success());
    assert!(most > 0 && most < 64 << 10, "a process had {most} KiB");
}

#[test]
fn an_interrupted_run_is_resumed() {
    let sandbox = Sandbox::new();
    let script = "sleep 0.05; echo $1 >>log";
    let mut first = sandbox.msup(["-j2", "--", "sh", "-c", script, "sh", ":::"]);
    first.args((0..60).map(|n| n.to_string()));
    let msup = spawn_piped(&mut first);
    wait_until(|| lines(&sandbox, "log").len() >= 5);
    kill(msup.id() as i32, Signal::SIGINT);
    let output = msup.wait_with_output().expect("ours");
    assert_eq!(output.status.signal(), Some(Signal::SIGINT as i32));
    let before = lines(&sandbox, "log").len();
    assert!(before < 60);
    let began = Instant::now();
    let output = run(&mut sandbox.msup(["resume", "--summary", "s.json"]));
    assert!(
        output.status.success(),
        "{:?}: {}",
        began.elapsed(),
        String::from_utf8_lossy(&output.stderr)
    );
    let all = lines(&sandbox, "log");
    assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (60, 60), "none twice");
    assert_eq!(summary(&sandbox.path().join("s.json"))["tasks"]["skipped"], before);
}

/// A shell that lowers the limit on open files, then becomes msup.
fn with_open_files(sandbox: &Sandbox, files: u64) -> Command {
    let mut shell = sandbox.command("sh");
    shell.args(["-c", &format!("ulimit -n {files} && exec \"$@\""), "sh"]);
    shell.arg(msup_tests::program("msup"));
    shell
}

/// Also with as few as msup says that it needs: those that it inherits count.
#[test]
fn few_open_files_mean_fewer_workers() {
    let sandbox = Sandbox::new();
    let refused = run(with_open_files(&sandbox, 20).args(["true", ":::", "1"]));
    let said = String::from_utf8_lossy(&refused.stderr);
    let needed = said.trim_end().rsplit(' ').next().and_then(|number| number.parse::<u64>().ok());
    let needed = needed.unwrap_or_else(|| panic!("{said}"));
    for files in [needed, needed + 7, needed + 43] {
        let mut msup = with_open_files(&sandbox, files);
        msup.args(["--summary", "s.json", "--joblog", "j", "sleep 0.01; echo", ":::"]);
        let output = run(msup.args((0..200).map(|n| n.to_string())));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{files}: {said}");
        assert!(!said.contains("Too many open files"), "{files}: {said}");
        let summary = summary(&sandbox.path().join("s.json"));
        assert_eq!(summary["tasks"]["succeeded"], 200);
        assert!(summary["max_workers"].as_u64() <= Some(files - needed + 1), "{files}: {said}");
    }
}

/// Its own group, then the worker that runs it.
#[test]
fn a_command_that_kills_other_processes_hurts_no_other_task() {
    let sandbox = Sandbox::new();
    let script =
        "case $1 in group) kill -KILL 0;; worker) kill -KILL $PPID; sleep 60;; esac; echo $1";
    let flags = ["-j2", "-k", "--summary", "s.json", "--", "sh", "-c", script, "sh", ":::"];
    let values = ["a", "group", "b", "worker", "c"];
    let output = run(sandbox.msup(flags).args(values));
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, b"a\nb\nc\n");
    let tasks = &summary(&sandbox.path().join("s.json"))["tasks"];
    assert_eq!((&tasks["succeeded"], &tasks["attempts"]), (&3.into(), &23.into()));
}
