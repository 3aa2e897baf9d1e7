//! A real process is killed at every point where a death could separate two steps. What it leaves
//! is repaired, and no other process notices. G1, G2, G9. Each test has the name of its point.

#![cfg(debug_assertions)] // Release builds have no such points.

#[path = "crash_points/pipelines.rs"]
mod pipelines;
#[path = "crash_points/supervisor.rs"]
mod supervisor;

use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus, Stdio};

use msup_protocol::layout::{Shared, Sizes};
use msup_protocol::park::Futex;
use msup_protocol::segment::{self, Segment};
use msup_protocol::sysmon_sleep::Quiet;
use msup_protocol::token::Held;
use msup_protocol::worker_side::Seat;
use msup_tests::{Sandbox, program, run, summary, wait_until};

/// The worker that dies, the one that must not notice, and the test's own.
const VICTIM: u16 = 0;
const SURVIVOR: u16 = 1;
const OWN: u16 = 2;

/// A segment with one token, and no supervisor but the test: no sysmon, so that nothing is repaired
/// but by the burial.
struct Stage {
    sandbox: Sandbox,
    segment: Segment,
    fd: OwnedFd,
}

impl Stage {
    fn new() -> Stage {
        let sizes = Sizes { tokens: 1, workers: 3, tasks: 4, cell_bytes: 4096 };
        let (segment, fd) = segment::create(sizes, 1, "test", 1024).expect("shared memory");
        Stage { sandbox: Sandbox::new(), segment, fd }
    }

    fn shared(&self) -> Shared<'_> {
        self.segment.shared()
    }

    fn puppet(&self, slot: u16, label: &str, verbs: &[&str]) -> Child {
        self.shared().line.slot(slot).expect("a slot").prepare();
        let fd = self.fd.try_clone().expect("a descriptor");
        let mut puppet = self.sandbox.command(program("puppet"));
        puppet.arg(slot.to_string()).args(verbs).stdin(Stdio::from(fd));
        puppet.env("MSUP_CRASH_WORKER", format!("{label}:crashed"));
        puppet.spawn().expect("it is built")
    }

    fn has(&self, file: &str) -> bool {
        self.sandbox.path().join(file).exists()
    }

    /// The test's own seat, with the token.
    fn seat(&self) -> (Seat<'_, Futex>, Held) {
        self.shared().line.slot(OWN).expect("a slot").prepare();
        let seat = Seat::new(self.shared(), OWN, Futex).expect("a slot");
        let held = self.shared().tokens.acquire(OWN).expect("idle");
        (seat, held)
    }

    /// What the supervisor does when the kernel tells it of a death.
    fn bury(&self, mut victim: Child, label: &str) {
        let end = victim.wait().expect("ours");
        assert!(is_killed(end) && self.has("crashed"), "{label} was not reached: {end}");
        let _reclaimed = self.shared().bury(&Futex, VICTIM);
        assert!(!self.shared().line.is_announced(VICTIM));
        assert!(!self.shared().line.parked().any(|parked| parked == VICTIM));
    }

    fn assert_all_idle(&self) {
        let census = self.shared().tokens.census();
        assert_eq!((census.idle, census.live), (1, 1), "{census:?}");
    }
}

fn is_killed(end: ExitStatus) -> bool {
    std::os::unix::process::ExitStatusExt::signal(&end) == Some(9)
}

/// The victim has the token, another worker waits for it, and the victim dies while it does `verb`.
fn dies_while_another_waits(label: &str, verb: &str) {
    let stage = Stage::new();
    let victim = stage.puppet(VICTIM, label, &["acquire", "touch:held", "await:go", verb]);
    wait_until(|| stage.has("held"));
    let mut survivor = stage.puppet(SURVIVOR, "none", &["exit", "release"]);
    wait_until(|| stage.shared().line.is_announced(SURVIVOR));
    stage.sandbox.file("go", b"");
    stage.bury(victim, label);
    assert!(survivor.wait().expect("ours").success());
    stage.assert_all_idle();
}

#[test]
fn enter_before_kick() {
    dies_while_another_waits("enter_before_kick", "enter");
}

#[test]
fn hand_off_before_wake() {
    dies_while_another_waits("hand_off_before_wake", "hand_over");
}

#[test]
fn announced_before_hand_off() {
    dies_while_another_waits("announced_before_hand_off", "yield");
}

#[test]
fn woken_before_kick() {
    dies_while_another_waits("woken_before_kick", "hand_over");
}

#[test]
fn bump_before_wake() {
    dies_while_another_waits("bump_before_wake", "hand_over");
}

#[test]
fn release_before_grant() {
    dies_while_another_waits("release_before_grant", "release");
}

#[test]
fn grant_before_wake() {
    dies_while_another_waits("grant_before_wake", "release");
}

#[test]
fn kick_before_wake() {
    let stage = Stage::new();
    let label = "kick_before_wake";
    stage.shared().watch.lie_down(Quiet::AllInUse);
    let hour = std::time::Duration::from_secs(3600);
    std::thread::scope(|scope| {
        // sysmon: asleep long before the victim has come up. The wake that is owed to it must come.
        scope.spawn(|| stage.shared().watch.sleep(&Futex, Quiet::AllInUse, hour));
        let victim = stage.puppet(VICTIM, label, &["acquire", "touch:held", "enter"]);
        stage.bury(victim, label);
    });
    stage.assert_all_idle();
}

/// The victim waits for the test's token and dies at `label`; if `gets_it`, once it has got it.
fn dies_while_it_waits(label: &str, gets_it: bool) {
    let stage = Stage::new();
    let (seat, held) = stage.seat();
    let victim = stage.puppet(VICTIM, label, &["exit", "release"]);
    if gets_it {
        wait_until(|| stage.shared().line.is_announced(VICTIM));
        seat.release(held).expect("ours");
        stage.bury(victim, label);
    } else {
        stage.bury(victim, label);
        seat.release(held).expect("ours");
    }
    let mut survivor = stage.puppet(SURVIVOR, "none", &["exit", "release"]);
    assert!(survivor.wait().expect("ours").success());
    stage.assert_all_idle();
}

#[test]
fn announced_before_rescan() {
    dies_while_it_waits("announced_before_rescan", false);
}

#[test]
fn taken_before_withdrawal() {
    dies_while_it_waits("taken_before_withdrawal", true);
}

#[test]
fn withdrawn_before_decline() {
    dies_while_it_waits("withdrawn_before_decline", true);
}

/// The victim looks for a task and dies at `label`; another worker gets the task.
fn dies_while_it_looks_for_a_task(label: &str) {
    let stage = Stage::new();
    let tasks = stage.shared().tasks;
    assert!(tasks.publish(0).is_some());
    let victim = stage.puppet(VICTIM, label, &["next", "complete", "release"]);
    stage.bury(victim, label);
    // Claimed by the dead: the supervisor runs it again.
    let seen = tasks.sighted(0).expect("a slot");
    if seen.owner() == Some(VICTIM) {
        assert!(tasks.vacate(0, seen) && tasks.publish(0).is_some());
    }
    let mut survivor = stage.puppet(SURVIVOR, "none", &["next", "complete", "release"]);
    assert!(survivor.wait().expect("ours").success());
    stage.assert_all_idle();
}

#[test]
fn parked_before_rescan() {
    dies_while_it_looks_for_a_task("parked_before_rescan");
}

#[test]
fn unparked_before_decline() {
    dies_while_it_looks_for_a_task("unparked_before_decline");
}

#[test]
fn claim_before_head() {
    dies_while_it_looks_for_a_task("claim_before_head");
}

/// Another worker has the token; the victim may start a command without one, and dies before it has
/// claimed its task. The supervisor allows that start anew.
#[test]
fn start_before_claim() {
    let stage = Stage::new();
    let (seat, held) = stage.seat();
    let shared = stage.shared();
    assert!(shared.tasks.publish(0).is_some());
    shared.header.allow_starts(1);
    let victim = stage.puppet(VICTIM, "start_before_claim", &["next", "complete"]);
    stage.bury(victim, "start_before_claim");
    assert_eq!((shared.header.starts(), shared.tasks.any_ready()), (0, true));
    shared.header.allow_starts(1);
    let mut survivor = stage.puppet(SURVIVOR, "none", &["next", "complete"]);
    assert!(survivor.wait().expect("ours").success());
    assert_eq!(shared.header.starts(), 0);
    seat.release(held).expect("ours");
    stage.assert_all_idle();
}

/// One worker of a whole run dies at `label`: every task succeeds, its output is shown once.
fn a_worker_of_a_run_dies(label: &str) {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--procs", "2", "-k", "--summary", "s.json", "--", "sh", "-c"]);
    // A large output, which goes through a file.
    msup.args(["head -c 70000 /dev/zero | tr '\\0' x; echo $1", "sh", "{}", ":::"]);
    msup.args((0..20).map(|n| n.to_string())).env("MSUP_CRASH_WORKER", format!("{label}:crashed"));
    let output = run(&mut msup);
    assert!(sandbox.path().join("crashed").exists(), "{label} was not reached");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected: String = (0..20).map(|n| format!("{}{n}\n", "x".repeat(70_000))).collect();
    assert!(output.stdout == expected.as_bytes(), "an output is lost, torn or doubled");
    let summary = summary(&sandbox.path().join("s.json"));
    assert_eq!(
        (&summary["tasks"]["succeeded"], &summary["workers"]["lost"]),
        (&20.into(), &1.into())
    );
    assert_eq!(summary["tokens"]["idle_at_end"], 2);
}

#[test]
fn mapped_before_attached() {
    a_worker_of_a_run_dies("mapped_before_attached");
}

#[test]
fn claimed_before_run() {
    a_worker_of_a_run_dies("claimed_before_run");
}

#[test]
fn foreign_before_spawn() {
    a_worker_of_a_run_dies("foreign_before_spawn");
}

#[test]
fn spawned_before_guard() {
    a_worker_of_a_run_dies("spawned_before_guard");
}

#[test]
fn exited_before_recharge() {
    a_worker_of_a_run_dies("exited_before_recharge");
}

#[test]
fn exited_before_outcome() {
    a_worker_of_a_run_dies("exited_before_outcome");
}

#[test]
fn outcome_before_done() {
    a_worker_of_a_run_dies("outcome_before_done");
}

#[test]
fn done_before_bit() {
    a_worker_of_a_run_dies("done_before_bit");
}

#[test]
fn bit_before_bell() {
    a_worker_of_a_run_dies("bit_before_bell");
}

/// Between two parts of a line that is shown while its task runs. The task runs again: no line is
/// torn, and none of its last attempt is missing.
#[test]
fn part_before_next() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--procs", "2", "--lb", "--summary", "s.json", "--", "sh", "-c"]);
    msup.args(["head -c 70000 /dev/zero | tr '\\0' x; echo $1", "sh", "{}", ":::"]);
    msup.args((0..20).map(|n| n.to_string())).env("MSUP_CRASH_WORKER", "part_before_next:crashed");
    let output = run(&mut msup);
    assert!(sandbox.path().join("crashed").exists(), "it was not reached");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let mut lines: Vec<&str> = text.lines().collect();
    let mut expected: Vec<String> = (0..20).map(|n| format!("{}{n}", "x".repeat(70_000))).collect();
    lines.sort_unstable();
    expected.sort_unstable();
    assert!(lines == expected, "a line is lost, torn or doubled");
    assert_eq!(summary(&sandbox.path().join("s.json"))["workers"]["lost"], 1);
}
