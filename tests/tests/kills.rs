//! Nothing is lost, whatever is killed.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use msup_tests::{
    Sandbox, groups, is_alive, kill, name_of, program, segments_of, spawn_piped, summary,
    wait_until,
};
use nix::sys::signal::Signal;

const TASKS: u32 = 2000;

/// Sixty kills, if that many fit in, while these tasks run. G1, G2, G7.
fn kill_storm(sandbox: &Sandbox, mut msup: std::process::Command) {
    let out = fs::File::create(sandbox.path().join("out")).expect("writable");
    let mut child = msup.stdout(out).stderr(Stdio::null()).spawn().expect("msup is built");
    let mut kills = 0;
    let mut chosen = std::process::id() as usize;
    while kills < 60 && child.try_wait().expect("ours").is_none() {
        let alive = sandbox.workers(&child);
        if alive.is_empty() {
            continue;
        }
        // A small linear congruence: which worker, and how long until the next.
        chosen = chosen.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        kill(alive[(chosen >> 33) % alive.len()], Signal::SIGKILL);
        kills += 1;
        std::thread::sleep(std::time::Duration::from_micros((chosen >> 40) as u64 % 8_000));
    }
    // On a busy machine the tasks are over before that.
    assert!(kills >= 10, "{kills} kills");
    assert!(child.wait().expect("ours").success(), "some task did not succeed");
    let summary = summary(&sandbox.path().join("s.json"));
    assert_eq!(summary["tasks"]["succeeded"], TASKS);
    assert_eq!(summary["tasks"]["total"], TASKS);
    assert_eq!(summary["tokens"]["idle_at_end"], 2);
    assert!(summary["tokens"]["held_peak"].as_u64() <= Some(2));
    let lost = summary["workers"]["lost"].as_u64().expect("a number");
    assert!((1..=60).contains(&lost), "{lost} workers lost");
    let out = fs::read_to_string(sandbox.path().join("out")).expect("text");
    let mut lines: Vec<u32> = out
        .lines()
        .map(|line| line.strip_prefix("done ").and_then(|n| n.parse().ok()).expect(line))
        .collect();
    lines.sort_unstable();
    assert_eq!(lines, (1..=TASKS).collect::<Vec<u32>>(), "each line once and whole");
}

#[test]
fn sixty_killed_workers_of_commands_cost_nothing() {
    let sandbox = Sandbox::new();
    let flags = ["--procs", "2", "--max-workers", "8", "--summary", "s.json", "-a", "list"];
    let mut msup = sandbox.msup(flags);
    sandbox.file("list", &msup_tests::numbers(TASKS as usize));
    msup.args(["--", "sh", "-c", "sleep 0.02; echo done $1", "sh", "{}"]);
    kill_storm(&sandbox, msup);
}

#[test]
fn sixty_killed_task_loops_cost_nothing() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--procs", "2", "--max-workers", "4", "--summary", "s.json"]);
    sandbox.file("list", &msup_tests::numbers(TASKS as usize));
    msup.args(["-a", "list", "--worker"]).arg(program("says_done"));
    kill_storm(&sandbox, msup);
}

/// The supervisor is killed while commands with children run. G4, G5.
#[test]
fn nothing_survives_the_supervisor() {
    let sandbox = Sandbox::new();
    let script = "sleep 100 & setsid sleep 100 & sleep 100; wait";
    let mut msup = sandbox.msup(["--procs", "3", "--", "sh", "-c", script, "sh", "{}", ":::"]);
    let mut child = spawn_piped(msup.args(["a", "b", "c"]));
    let sleeps = || {
        let processes = sandbox.processes().into_iter();
        processes.filter(|pid| name_of(*pid).as_deref() == Some("sleep")).count()
    };
    wait_until(|| sleeps() == 9);
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait().expect("ours");
    let killed = std::time::Instant::now();
    wait_until(|| sandbox.processes().is_empty());
    println!("the last process was gone after {:?}", killed.elapsed());
    assert_eq!(segments_of(child.id()), [].into());
    // The folder of a killed run is swept by the next start.
    assert!(msup_tests::run(&mut sandbox.msup(["true", ":::", "x"])).status.success());
}

/// Workers that are told to exit find more tasks than they could ever finish, and exit all the
/// same. G4.
#[test]
fn nothing_survives_a_supervisor_that_dies_with_much_to_do() {
    let sandbox = Sandbox::new();
    sandbox.file("list", "x\n".repeat(100_000).as_bytes());
    for round in 0..10 {
        let mut child = spawn_piped(&mut sandbox.msup(["-j", "3", "-a", "list", "true"]));
        wait_until(|| sandbox.processes().len() > 3);
        std::thread::sleep(std::time::Duration::from_millis(10 * round));
        kill(child.id() as i32, Signal::SIGKILL);
        child.wait().expect("ours");
        wait_until(|| sandbox.processes().is_empty());
    }
    assert!(msup_tests::run(&mut sandbox.msup(["true", ":::", "x"])).status.success());
}

/// A task loop's own child dies with it when the supervisor is killed, even while it computes. G4.
#[test]
fn a_computing_task_loop_does_not_survive_the_supervisor() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--procs", "1", "--worker"]);
    msup.arg(program("computes_and_waits")).args(["1000000", "0", ":::", "x"]);
    let mut child = spawn_piped(&mut msup);
    let alive = || sandbox.workers(&child).len();
    wait_until(|| alive() == 1);
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait().expect("ours");
    wait_until(|| sandbox.processes().is_empty());
    assert!(msup_tests::run(&mut sandbox.msup(["true", ":::", "x"])).status.success());
}

/// What a killed worker's command had started goes with it, before the task is run again. G4, G7.
#[test]
fn the_process_tree_of_a_killed_worker_is_killed() {
    let sandbox = Sandbox::new();
    let script = "if [ $MSUP_ATTEMPT = 1 ]; then setsid sleep 100 & sleep 100; fi; echo ok";
    let mut msup = sandbox.msup(["--procs", "1", "--", "sh", "-c", script, "sh", "{}"]);
    let child = spawn_piped(msup.args([":::", "x"]));
    let sleeps = || {
        let processes = sandbox.processes().into_iter();
        processes.filter(|pid| name_of(*pid).as_deref() == Some("sleep")).collect::<Vec<i32>>()
    };
    wait_until(|| sleeps().len() == 2);
    let before = sleeps();
    for worker in sandbox.workers(&child) {
        kill(worker, Signal::SIGKILL);
    }
    let output = child.wait_with_output().expect("ours");
    assert!(before.iter().all(|pid| !is_alive(*pid)));
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"ok\n"[..]));
}

/// Ctrl-C: running tasks may finish, nothing new starts; the status tells the signal.
#[test]
fn one_interrupt_drains() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["-j2", "--summary", "s.json", "--", "sh", "-c"]);
    let script =
        "echo began; : >began.$MSUP_SEQ; while [ ! -e go ]; do sleep 0.01; done; echo finished";
    let values = (0..50).map(|n| n.to_string());
    let mut child = spawn_piped(msup.args([script, "sh", "{}", ":::"]).args(values));
    let began = |n| sandbox.path().join(format!("began.{n}")).exists();
    wait_until(|| began(1) && began(2));
    kill(child.id() as i32, Signal::SIGTERM);
    let mut stderr = std::io::BufReader::new(child.stderr.take().expect("piped"));
    let mut said = String::new();
    std::io::BufRead::read_line(&mut stderr, &mut said).expect("text");
    assert!(said.contains("stopping when the running tasks have finished"), "{said}");
    sandbox.file("go", b"");
    let output = child.wait_with_output().expect("ours");
    assert_eq!(output.status.signal(), Some(Signal::SIGTERM as i32));
    assert_eq!(output.stdout, b"began\nfinished\nbegan\nfinished\n");
    let tasks = &summary(&sandbox.path().join("s.json"))["tasks"];
    assert_eq!((&tasks["succeeded"], &tasks["cancelled"]), (&2.into(), &48.into()));
}

/// With `--grace` what runs is not waited for for ever.
#[test]
fn an_interrupted_run_waits_no_longer_than_the_grace() {
    let sandbox = Sandbox::new();
    let flags = ["--procs", "2", "--grace", "300ms", "--summary", "s.json", "--", "sh", "-c"];
    let script = ": >began.$1; test $1 = short || sleep 60; sleep 0.1; echo $1";
    let mut msup = sandbox.msup(flags);
    let child = spawn_piped(msup.args([script, "sh", ":::", "short", "long", "never"]));
    let began = |name| sandbox.path().join(format!("began.{name}")).exists();
    wait_until(|| began("short") && began("long"));
    kill(child.id() as i32, Signal::SIGINT);
    let output = child.wait_with_output().expect("ours");
    assert_eq!(output.status.signal(), Some(Signal::SIGINT as i32));
    assert_eq!(output.stdout, b"short\n");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("have not finished in time (--grace)"), "{said}");
    let tasks = &summary(&sandbox.path().join("s.json"))["tasks"];
    assert_eq!((&tasks["succeeded"], &tasks["cancelled"]), (&1.into(), &2.into()));
}

/// A second one kills at once, and leaves nothing.
#[test]
fn a_second_interrupt_stops_and_a_third_one_kills() {
    let sandbox = Sandbox::new();
    let script = "trap '' TERM INT; sleep 100 & sleep 100; wait";
    let mut msup = sandbox.msup(["--procs", "2", "--", "sh", "-c", script, "sh", "{}", ":::"]);
    let mut child = spawn_piped(msup.args(["a", "b", "c"]));
    wait_until(|| sandbox.processes().len() >= 9);
    kill(child.id() as i32, Signal::SIGTERM);
    let mut stderr = std::io::BufReader::new(child.stderr.take().expect("piped"));
    for _ in ["stopping when they have finished", "stopping them"] {
        std::io::BufRead::read_line(&mut stderr, &mut String::new()).expect("text");
        kill(child.id() as i32, Signal::SIGTERM);
    }
    assert_eq!(child.wait().expect("ours").signal(), Some(Signal::SIGTERM as i32));
    assert!(sandbox.processes().is_empty());
}

/// A task that always brings its process down is quarantined; its neighbours are not touched. G7,
/// G8.
#[test]
fn a_poison_task_is_quarantined_alone() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--procs", "2", "--summary", "s.json", "--worker"]);
    msup.arg(program("crashes")).args([":::", "1", "2", "abort", "3", "panic", "exit", "4"]);
    let output = msup_tests::run(&mut msup);
    assert_eq!(output.status.code(), Some(3));
    let summary = summary(&sandbox.path().join("s.json"));
    assert_eq!(summary["tasks"]["quarantined"], 3);
    assert_eq!(summary["tasks"]["succeeded"], 4);
    assert_eq!(summary["tasks"]["attempts"], 3 * 3 + 4);
    assert_eq!(summary["tokens"]["idle_at_end"], 2);
    let report = String::from_utf8_lossy(&output.stderr);
    for cause in ["lost worker (signal 6)", "panic: on purpose", "it exited with 0"] {
        assert!(report.contains(cause), "{cause} is missing in:\n{report}");
    }
}

/// A stopped worker keeps its token; another one is lent meanwhile, or no task would go on. G2.
#[test]
fn a_stopped_holder_costs_no_other_worker_a_cpu() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--procs", "1", "--summary", "s.json", "--worker"]);
    let file = sandbox.path().join("made");
    msup.arg(program("waits_for_file")).arg(&file).args([":::", "wait", "make"]);
    let child = spawn_piped(&mut msup);
    wait_until(|| sandbox.path().join("made.awaited").exists());
    let first = *sandbox.workers(&child).first().expect("one");
    kill(first, Signal::SIGSTOP);
    wait_until(|| file.exists());
    kill(first, Signal::SIGCONT);
    let output = child.wait_with_output().expect("ours");
    assert!(output.status.success());
    let tokens = &summary(&sandbox.path().join("s.json"))["tokens"];
    assert!(tokens["lent"].as_u64() >= Some(1));
    assert_eq!((&tokens["idle_at_end"], &tokens["rescues"]), (&1.into(), &0.into()));
}

/// A shell that replaced itself by msup had a child of its own: msup must not kill it.
#[test]
fn a_process_older_than_msup_is_left_alone() {
    let sandbox = Sandbox::new();
    let mut shell = sandbox.command("sh");
    shell
        .args(["-c", "sleep 100 >/dev/null 2>&1 & echo $! > pid; exec \"$0\" \"$@\""])
        .arg(program("msup"));
    let output = msup_tests::run(shell.args(["--procs", "1", "--", "sh", "-c"]).args([
        "[ $MSUP_ATTEMPT = 1 ] && kill -9 $PPID; echo ok",
        "sh",
        ":::",
        "x",
    ]));
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"ok\n"[..]));
    let pid = fs::read_to_string(sandbox.path().join("pid")).expect("written");
    let pid = pid.trim().parse().expect("a number");
    assert!(is_alive(pid), "the shell's own child was killed");
    kill(pid, Signal::SIGKILL);
    wait_until(|| sandbox.processes().is_empty());
}

/// A daemon that holds the output of its command does not hold up its task; it is stopped when the
/// run is over. G4, G9.
#[test]
fn a_daemon_is_named_and_stopped_with_the_run() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--procs", "1", "--leave-timeout", "100ms", "--", "sh", "-c"]);
    let output = msup_tests::run(msup.args(["setsid sleep 100 & echo ok", "sh", ":::", "a", "b"]));
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"ok\nok\n"[..]));
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(report.contains("stopped processes that tasks left running: sleep ("), "{report}");
}

/// What has left its process group, session and parent is still in its worker's control group when
/// both its guardians are gone at once. G4, G5.
#[test]
fn a_process_without_guardians_is_killed_by_the_next_start() {
    let sandbox = Sandbox::new();
    if !groups::are_made_here(&sandbox) {
        return;
    }
    let script = "setsid sh -c 'echo $$ >escaped; exec sleep 1000' & sleep 1000";
    let mut child = sandbox.msup(["--no-journal", "sh", "-c", script, ":::", "x"]);
    let mut child = child.stderr(Stdio::null()).spawn().expect("msup is built");
    let escaped = || fs::read_to_string(sandbox.path().join("escaped")).ok()?.trim().parse().ok();
    wait_until(|| escaped().and_then(name_of).is_some_and(|name| name == "sleep"));
    let escaped: i32 = escaped().expect("just seen");
    assert_eq!(groups::of_process(child.id()).len(), 1);
    // Stopped, neither sees the other's exit.
    let guardians: Vec<i32> =
        [child.id() as i32].into_iter().chain(sandbox.workers(&child)).collect();
    for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
        guardians.iter().for_each(|pid| kill(*pid, signal));
    }
    child.wait().expect("ours");
    // It may have been: any start of msup is a next one.
    sandbox.start_once_more();
    assert!(!is_alive(escaped));
    assert_eq!(groups::of_process(child.id()), Vec::<std::path::PathBuf>::new());
}
