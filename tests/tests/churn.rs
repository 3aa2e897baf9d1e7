//! A million times a token is let go and taken back, by 16 workers on 2 tokens: there are never
//! more holders than tokens, and none gets lost, whatever is killed or stopped. G1, G2.

use std::process::Command;
use std::time::Duration;

use msup_tests::board::Board;
use msup_tests::{Sandbox, kill, program, run, spawn_piped, summary};
use nix::sys::signal::Signal;

/// Rounds of letting go and taking back per task, undisturbed.
const ROUNDS: u64 = 4000;

/// And where workers are killed: a task that is hit ten times has failed, so tasks are short.
const SHORT: u64 = 100;

fn churning(sandbox: &Sandbox, procs: &str, [tasks, rounds]: [u64; 2], manner: &str) -> Command {
    let flags = ["--procs", procs, "--max-workers", "16", "--summary", "s.json", "-a", "list"];
    let mut msup = sandbox.msup(flags);
    sandbox.file("list", "x\n".repeat(tasks as usize).as_bytes());
    let board = sandbox.path().join("board");
    let _board = Board::create(&board);
    msup.arg("--worker").arg(program("churns")).arg(board).args([&rounds.to_string(), manner]);
    msup
}

/// Runs them on two tokens; `disturb` is called again and again with the workers alive until the
/// run is over.
fn churn(size: [u64; 2], manner: &str, mut disturb: impl FnMut(&[i32], u64)) -> serde_json::Value {
    let sandbox = Sandbox::new();
    let mut msup = churning(&sandbox, "2", size, manner);
    let mut child = spawn_piped(&mut msup);
    let mut chance = 7_u64;
    while child.try_wait().expect("ours").is_none() {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        disturb(&sandbox.workers(&child), chance >> 33);
    }
    let output = child.wait_with_output().expect("ours");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!sandbox.path().join("violation").exists(), "more holders than tokens: {said}");
    assert_eq!(output.status.code(), Some(0), "{said}");
    let summary = summary(&sandbox.path().join("s.json"));
    assert_eq!(summary["tasks"]["succeeded"], size[0]);
    assert_eq!(summary["tokens"]["idle_at_end"], 2);
    summary
}

#[test]
fn a_million_exchanges() {
    let tasks = 250;
    let summary =
        churn([tasks, ROUNDS], "sit", |_, _| std::thread::sleep(Duration::from_millis(10)));
    let tokens = &summary["tokens"];
    let exits = ["fast_exits", "slow_exits"].map(|name| tokens[name].as_u64().expect("a number"));
    assert_eq!(exits[0] + exits[1], tasks * ROUNDS, "each call comes back once");
    assert_eq!(tokens["rescues"], 0);
    assert!(tokens["held_peak"].as_u64() <= Some(2));
    assert!(summary["workers"]["peak"].as_u64() <= Some(16));
}

/// The desks do notice: with a third token a holder finds none free.
#[test]
fn a_third_holder_is_noticed() {
    let sandbox = Sandbox::new();
    assert!(!run(&mut churning(&sandbox, "3", [30, ROUNDS], "sit")).status.success());
    assert!(sandbox.path().join("violation").exists());
}

#[test]
fn a_churn_with_kills() {
    let summary = churn([2000, SHORT], "sit", |workers, chance| {
        if let Some(worker) = workers.get(chance as usize % workers.len().max(1)) {
            kill(*worker, Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(20 + chance % 40));
    });
    assert!(summary["workers"]["lost"].as_u64() >= Some(1), "no worker was killed");
}

/// A stopped holder keeps its token; when that lasts, more are lent, so there is nothing to count
/// here.
#[test]
fn a_churn_with_stops() {
    churn([60, ROUNDS], "stand", |workers, chance| {
        let stopped = workers.get(chance as usize % workers.len().max(1));
        stopped.into_iter().for_each(|worker| kill(*worker, Signal::SIGSTOP));
        std::thread::sleep(Duration::from_millis(5 + chance % 45));
        stopped.into_iter().for_each(|worker| kill(*worker, Signal::SIGCONT));
    });
}
