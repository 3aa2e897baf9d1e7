//! Work conservation: no token lies idle while a worker wants one.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Child;
use std::sync::atomic::Ordering::SeqCst;

use msup_tests::board::Board;
use msup_tests::ring::{BLOCKED, LEFT_WAITING, NAPPERS, NAPPING, OVER, RUNNERS, TURN};
use msup_tests::{Sandbox, kill, program, summary, trace, wait_until};
use nix::sys::signal::Signal;

/// Blocked tasks beside the ring, and as many waiting ones.
const BESIDE: usize = 3;

/// Killed holders per run. A task that was killed from outside ten times has failed; here each of
/// the ring's is hit less often than that.
const KILLS: usize = 8;

/// A run of `takes_turns` whose tasks are given one by one.
struct Ring {
    sandbox: Sandbox,
    board: Board,
    procs: u64,
    msup: Child,
}

impl Ring {
    fn start(procs: u64) -> Ring {
        let sandbox = Sandbox::new();
        let board = Board::create(&sandbox.path().join("board"));
        let procs_text = procs.to_string();
        let flags = ["--procs", &procs_text, "--summary", "s.json", "--schedtrace", "5"];
        let mut msup = sandbox.msup(flags);
        // Parked workers shall stay.
        msup.args(["--idle-timeout", "1000", "--worker"]).arg(program("takes_turns"));
        msup.arg(sandbox.path().join("board")).arg(&procs_text);
        let stderr = fs::File::create(sandbox.path().join("trace")).expect("writable");
        msup.stdin(std::process::Stdio::piped()).stderr(stderr);
        let msup = msup.spawn().expect("msup is built");
        Ring { sandbox, board, procs, msup }
    }

    fn give(&mut self, tasks: impl IntoIterator<Item = String>) {
        let stdin = self.msup.stdin.as_mut().expect("piped");
        for task in tasks {
            writeln!(stdin, "{task}").expect("msup reads");
        }
    }

    fn runners(&self) -> impl Iterator<Item = String> + use<> {
        (0..self.procs).map(|number| format!("turn {number}"))
    }

    /// Waits until the ring has gone round a hundred times more: all of it runs at once.
    fn goes_round(&self) {
        let began = self.board[TURN].load(SeqCst);
        wait_until(|| self.board[TURN].load(SeqCst) >= began + 100 * self.procs);
    }

    /// Waits for a trace line, from now on, that shows what `is_it` looks for.
    fn shows(&self, is_it: impl Fn(&trace::Line) -> bool) {
        let path = self.sandbox.path().join("trace");
        let seen = trace_of(&path).len();
        wait_until(|| trace_of(&path).iter().skip(seen).any(&is_it));
    }

    /// Stops the ring; everything has succeeded and every token is back.
    fn stop(mut self, tasks: usize) -> serde_json::Value {
        self.board[OVER].store(1, SeqCst);
        drop(self.msup.stdin.take());
        assert!(self.msup.wait().expect("ours").success(), "some task did not succeed");
        let summary = summary(&self.sandbox.path().join("s.json"));
        assert_eq!(summary["tasks"]["succeeded"], tasks);
        assert_eq!(summary["tokens"]["idle_at_end"], self.procs);
        // The peak is what the supervisor happened to see.
        assert!(summary["tokens"]["held_peak"].as_u64() <= Some(self.procs));
        summary
    }
}

fn trace_of(path: &Path) -> Vec<trace::Line> {
    trace::lines(&fs::read_to_string(path).expect("text"))
}

/// `procs` tasks that spin for their turn all get a token at once, without other tasks.
fn all_at_once(procs: u64) {
    let mut ring = Ring::start(procs);
    ring.give(ring.runners());
    ring.goes_round();
    let summary = ring.stop(procs as usize);
    assert_eq!(summary["tokens"]["rescues"], 0);
}

/// The same with parked workers, with workers in blocking calls and with workers that want a token
/// in the middle of a task: none of them keeps a token from the ring. Then holders are killed, and
/// the ring goes round again each time: tokens of dead workers go to workers that can use them.
fn all_at_once_among_others(procs: u64) {
    let mut ring = Ring::start(procs);
    let parked = 2;
    let naps = procs as usize + 2 * BESIDE + parked;
    ring.board[NAPPERS].store(naps as u64, SeqCst);
    ring.give(std::iter::repeat_n("nap".to_owned(), naps));
    wait_until(|| ring.board[NAPPING].load(SeqCst) == naps as u64);
    ring.shows(|line| line["parked"] >= naps as u64);
    ring.give(std::iter::repeat_n("block".to_owned(), BESIDE));
    wait_until(|| ring.board[BLOCKED].load(SeqCst) == BESIDE as u64);
    ring.give(std::iter::repeat_n("wait".to_owned(), BESIDE));
    ring.give(ring.runners());
    let all = |line: &trace::Line| {
        line["running"] == procs
            && line["waiting"] == BESIDE as u64
            && line["in_flight"] == procs + 2 * BESIDE as u64
    };
    ring.goes_round();
    ring.shows(|line| all(line) && line["parked"] >= parked as u64);
    let waited = ring.board[LEFT_WAITING].load(SeqCst);
    for number in (0..procs as usize).cycle().take(KILLS) {
        let runner = ring.board[RUNNERS + number].load(SeqCst) as i32;
        kill(runner, Signal::SIGKILL);
        wait_until(|| ring.board[RUNNERS + number].load(SeqCst) != runner as u64);
        ring.goes_round();
    }
    ring.shows(all);
    assert!(ring.board[LEFT_WAITING].load(SeqCst) > waited, "no waiter was served");
    let summary = ring.stop(naps + 2 * BESIDE + procs as usize);
    assert_eq!(summary["workers"]["lost"], KILLS);
    assert_eq!(summary["tasks"]["attempts"], naps + 2 * BESIDE + procs as usize + KILLS);
}

#[test]
fn two_tokens_are_in_use_at_once() {
    all_at_once(2);
}

#[test]
fn three_tokens_are_in_use_at_once() {
    all_at_once(3);
}

#[test]
fn four_tokens_are_in_use_at_once() {
    all_at_once(4);
}

#[test]
fn two_tokens_are_in_use_whatever_the_others_do() {
    all_at_once_among_others(2);
}

#[test]
fn three_tokens_are_in_use_whatever_the_others_do() {
    all_at_once_among_others(3);
}

#[test]
fn four_tokens_are_in_use_whatever_the_others_do() {
    all_at_once_among_others(4);
}
