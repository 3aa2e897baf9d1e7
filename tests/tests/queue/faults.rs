//! Nodes, their runners, workers and the server are killed or stopped: no task is lost, and none
//! has two results.

use std::collections::BTreeMap;
use std::fs;

use msup_tests::{kill, name_of, numbers, parent_of, run, wait_until};
use nix::sys::signal::Signal;

use crate::desk::{Desk, kill_node, lines, said};

/// Makes a file, and prints; slowly enough to be killed in between.
const MAKES: &str = "echo {} >> begun; sleep 0.05; echo made {} > {out}; echo out {}";

/// The content of each file that the list makes.
fn made(desk: &Desk, folder: &str) -> BTreeMap<String, String> {
    let entries = fs::read_dir(desk.sandbox.path().join(folder)).expect("made").flatten();
    let files = entries.map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        (name, fs::read_to_string(entry.path()).expect("readable"))
    });
    files.collect()
}

/// The tasks that have begun so far.
fn begun(desk: &Desk) -> usize {
    fs::read_to_string(desk.sandbox.path().join("begun")).unwrap_or_default().lines().count()
}

/// The outputs and files are those of a run on one machine, and each task has one result.
fn assert_whole(desk: &Desk, tasks: usize) {
    let collected = desk.ask(&["collect", "--joblog", "joblog"]);
    assert_eq!(collected.status.code(), Some(0), "{}", said(&collected));
    let local = ["-k", "--out", "local/{}.txt", MAKES, "::::", "list"];
    let local = run(&mut desk.sandbox.msup(local));
    assert_eq!(lines(&collected), lines(&local));
    assert_eq!(made(desk, "out"), made(desk, "local"));
    assert_eq!(made(desk, "out").len(), tasks, "no temporary file is left");
    let joblog = fs::read_to_string(desk.sandbox.path().join("joblog")).expect("written");
    assert_eq!(joblog.lines().count(), tasks + 1);
    let status = format!("{tasks} of {tasks} tasks have finished: the job is done");
    assert_eq!(lines(&desk.ask(&["status"])), [status]);
}

#[test]
fn nothing_is_lost_when_a_node_and_the_server_are_killed() {
    let Some(mut desk) = Desk::open() else { return };
    desk.sandbox.file("list", &numbers(200));
    desk.submitted(["--out", "out/{}.txt", MAKES, "::::", "list"]);
    let (first, second) = (desk.started(&["-j", "4"]), desk.started(&["-j", "4"]));
    wait_until(|| begun(&desk) >= 50);
    kill_node(&desk.sandbox, first);
    wait_until(|| begun(&desk) >= 90);
    desk.kill();
    desk.start();
    let output = second.wait_with_output().expect("ours");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_whole(&desk, 200);
    desk.sandbox.start_once_more();
}

#[test]
fn tasks_of_a_dead_node_come_back_and_are_not_its_fault() {
    let Some(desk) = Desk::open() else { return };
    desk.submitted([
        "--out",
        "out/{}.txt",
        "echo {} >> begun; until [ -e go ]; do sleep 0.02; done; \
                     echo made {} > {out}; echo out {}",
        ":::",
        "1",
    ]);
    for nth in 1..=2 {
        let node = desk.started(&["-j", "1"]);
        wait_until(|| begun(&desk) == nth);
        kill_node(&desk.sandbox, node);
    }
    desk.sandbox.file("go", b"");
    let node = run(&mut desk.node(&["-j", "1"]));
    assert_eq!(node.status.code(), Some(0), "{}", said(&node));
    assert_eq!(lines(&desk.ask(&["collect"])), ["out 1"]);
    assert_eq!(begun(&desk), 3);
    desk.sandbox.start_once_more();
}

#[test]
fn a_task_that_is_lost_with_each_of_its_nodes_is_quarantined() {
    let Some(desk) = Desk::open() else { return };
    // Each of its nodes is killed from within, as by a machine that runs out of memory.
    let script = "[ {} = fine ] || { until [ -s node ] && [ -s runner ]; do sleep 0.02; done; \
                  kill -9 $(cat node) $(cat runner); sleep 60; }";
    desk.submitted([script, ":::", "poison", "fine"]);
    for _ in 0..3 {
        let node = desk.started(&["-j", "1"]);
        let id = node.id() as i32;
        desk.sandbox.file("node", id.to_string().as_bytes());
        let children = || {
            let is_runner = |pid: &i32| {
                parent_of(*pid) == Some(id) && name_of(*pid).is_some_and(|name| name == "msup")
            };
            desk.sandbox.processes().into_iter().find(is_runner)
        };
        let mut runner = None;
        wait_until(|| {
            runner = runner.or_else(children);
            runner.is_some() || !msup_tests::is_alive(id)
        });
        desk.sandbox.file("runner", runner.unwrap_or(id).to_string().as_bytes());
        let _ = node.wait_with_output();
        wait_until(|| desk.sandbox.processes().len() == 1);
        for name in ["node", "runner"] {
            fs::remove_file(desk.sandbox.path().join(name)).expect("there");
        }
    }
    let node = run(&mut desk.node(&["-j", "1"]));
    assert_eq!(node.status.code(), Some(0), "{}", said(&node));
    let collected = desk.ask(&["collect"]);
    assert_eq!(collected.status.code(), Some(1));
    assert!(said(&collected).contains("lost with its node"), "{}", said(&collected));
    desk.sandbox.start_once_more();
}

#[test]
fn a_node_that_was_stopped_for_longer_than_its_lease_wins_nothing_twice() {
    let Some(desk) = Desk::open() else { return };
    desk.sandbox.file("list", &numbers(60));
    desk.submitted(["--out", "out/{}.txt", MAKES, "::::", "list"]);
    let first = desk.started(&["-j", "4"]);
    wait_until(|| begun(&desk) >= 10);
    // The node alone: what it runs goes on, as behind a network that was cut.
    kill(first.id() as i32, Signal::SIGSTOP);
    let second = desk.started(&["-j", "4"]);
    wait_until(|| desk.finished() == 60);
    kill(first.id() as i32, Signal::SIGCONT);
    for node in [first, second] {
        let output = node.wait_with_output().expect("ours");
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
    assert_whole(&desk, 60);
}

#[test]
fn a_runner_that_is_killed_costs_its_node_but_no_task() {
    let Some(desk) = Desk::open() else { return };
    desk.sandbox.file("list", &numbers(40));
    desk.submitted(["--out", "out/{}.txt", MAKES, "::::", "list"]);
    let first = desk.started(&["-j", "4"]);
    wait_until(|| begun(&desk) >= 10);
    let is_runner = |pid: &i32| parent_of(*pid) == Some(first.id() as i32);
    let runner = desk.sandbox.processes().into_iter().find(is_runner).expect("it runs");
    kill(runner, Signal::SIGKILL);
    let output = first.wait_with_output().expect("ours");
    assert_eq!(output.status.code(), Some(255), "{}", said(&output));
    assert!(said(&output).contains("its tasks were given back"), "{}", said(&output));
    let second = run(&mut desk.node(&["-j", "4"]));
    assert_eq!(second.status.code(), Some(0), "{}", said(&second));
    assert_whole(&desk, 40);
    desk.sandbox.start_once_more();
}

#[test]
fn a_server_that_answers_nothing_for_a_while_costs_nothing() {
    let Some(desk) = Desk::open() else { return };
    desk.sandbox.file("list", &numbers(60));
    desk.submitted(["--out", "out/{}.txt", MAKES, "::::", "list"]);
    let node = desk.started(&["-j", "4"]);
    wait_until(|| begun(&desk) >= 10);
    desk.signal(Signal::SIGSTOP);
    // All that it has finishes meanwhile.
    let mut last = 0;
    wait_until(|| {
        std::thread::sleep(std::time::Duration::from_millis(500));
        let now = begun(&desk);
        std::mem::replace(&mut last, now) == now
    });
    desk.signal(Signal::SIGCONT);
    let output = node.wait_with_output().expect("ours");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_whole(&desk, 60);
}

#[test]
fn results_that_cannot_be_delivered_are_delivered_by_the_next_node() {
    let Some(mut desk) = Desk::open() else { return };
    let script = "echo {} >> begun; until [ -e go ]; do sleep 0.02; done; echo made {} > {out}; \
                  echo out {}";
    desk.submitted(["--out", "out/{}.txt", script, ":::", "1", "2"]);
    let node = desk.started(&["-j", "2"]);
    wait_until(|| begun(&desk) == 2);
    desk.kill();
    desk.sandbox.file("go", b"");
    // It gives up after 30 s.
    let output = node.wait_with_output().expect("ours");
    assert_eq!(output.status.code(), Some(255), "{}", said(&output));
    assert!(said(&output).contains("2 results are in"), "{}", said(&output));
    desk.start();
    let node = run(&mut desk.node(&["-j", "2"]));
    assert_eq!(node.status.code(), Some(0), "{}", said(&node));
    assert_eq!(begun(&desk), 2, "what had finished did not run again");
    assert_eq!(lines(&desk.ask(&["collect"])), ["out 1", "out 2"]);
    assert_eq!(made(&desk, "out").len(), 2);
    let left = fs::read_dir(desk.sandbox.path().join("state/msup/queue"));
    let left = left.into_iter().flatten().flatten().flat_map(|entry| fs::read_dir(entry.path()));
    assert_eq!(left.flatten().count(), 0, "nothing is left to deliver");
}

#[test]
fn a_dead_node_leaves_nothing_that_runs() {
    let Some(desk) = Desk::open() else { return };
    desk.submitted(["echo {} >> begun; sleep 300", ":::", "1", "2"]);
    let mut node = desk.started(&["-j", "2", "--grace", "100ms"]);
    wait_until(|| begun(&desk) == 2);
    // Only the process that speaks with the server.
    kill(node.id() as i32, Signal::SIGKILL);
    node.wait().expect("ours");
    // The server is left.
    wait_until(|| desk.sandbox.processes().len() == 1);
}

/// What happens to a job at random, from a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// One of these processes, whose parent is one of those.
fn one_below(desk: &Desk, parents: &[i32], chance: &mut Chance) -> Option<i32> {
    let below: Vec<i32> = desk
        .sandbox
        .processes()
        .into_iter()
        .filter(|pid| parent_of(*pid).is_some_and(|parent| parents.contains(&parent)))
        .collect();
    (!below.is_empty()).then(|| below[chance.below(below.len() as u64) as usize])
}

/// Nodes, runners, workers and the server are killed and stopped at random moments.
fn survives(seed: u64) {
    const TASKS: usize = 60;
    let Some(mut desk) = Desk::open() else { return };
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    desk.sandbox.file("list", &numbers(TASKS));
    let limits = ["--crash-limit", "1000", "--outside-limit", "1000"];
    let work = ["--out", "out/{}.txt", MAKES, "::::", "list"];
    desk.submitted([&limits[..], &work].concat());
    let start = |desk: &Desk| {
        let mut node = desk.node(&["-j", "3", "-q"]);
        node.stderr(std::process::Stdio::null()).spawn().expect("it is built")
    };
    let mut nodes: Vec<_> = (0..3).map(|_| start(&desk)).collect();
    let mut stopped: Option<i32> = None;
    for _ in 0..8 {
        let goal = begun(&desk) + 3 + chance.below(10) as usize;
        let mut waits = 400;
        wait_until(|| {
            waits -= 1;
            waits == 0 || begun(&desk) >= goal
        });
        stopped.take().into_iter().for_each(|pid| kill(pid, Signal::SIGCONT));
        let ids: Vec<i32> = nodes.iter().map(|node| node.id() as i32).collect();
        let victim = chance.below(nodes.len() as u64) as usize;
        match chance.below(5) {
            0 => {
                let fresh = start(&desk);
                kill_node(&desk.sandbox, std::mem::replace(&mut nodes[victim], fresh));
            }
            1 => {
                desk.kill();
                desk.start();
            }
            2 => {
                kill(ids[victim], Signal::SIGSTOP);
                stopped = Some(ids[victim]);
            }
            3 => {
                // A runner: its node exits, and another one takes its place.
                let runner = one_below(&desk, &ids[victim..=victim], &mut chance);
                runner.into_iter().for_each(|pid| kill(pid, Signal::SIGKILL));
                let fresh = start(&desk);
                let _ = std::mem::replace(&mut nodes[victim], fresh).wait();
            }
            _ => {
                let runners: Vec<i32> =
                    ids.iter().filter_map(|id| one_below(&desk, &[*id], &mut chance)).collect();
                let worker = one_below(&desk, &runners, &mut chance);
                worker.into_iter().for_each(|pid| kill(pid, Signal::SIGKILL));
            }
        }
    }
    stopped.into_iter().for_each(|pid| kill(pid, Signal::SIGCONT));
    nodes.push(start(&desk));
    for mut node in nodes {
        node.wait().expect("ours");
    }
    assert_whole(&desk, TASKS);
    desk.sandbox.start_once_more();
}

#[test]
fn random_faults_cost_no_task_and_no_second_result() {
    let seeds = if std::env::var_os("MSUP_NIGHTLY").is_some() { 100 } else { 2 };
    let first = std::env::var("MSUP_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    for seed in first..first + seeds {
        eprintln!("seed {seed}");
        survives(seed);
    }
}
