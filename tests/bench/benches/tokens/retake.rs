//! How long it takes until a waiter gets the token of a worker in a blocking call.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use msup_bench::report::{Report, Row, quantile, row};
use msup_bench::stage::{Role, Stage};
use msup_protocol::park::Futex;
use msup_protocol::sync::now_ns;
use msup_protocol::sysmon;

use crate::Effort;

const GROUP: &str = "retake";

/// Scratch words: which turn it is, when the token was left, when the waiter had it.
const TURN: usize = 0;
const LEFT: usize = 8;
const GOT: usize = 16;

/// Holds the token, and leaves it for a long call at every odd turn.
pub(crate) fn blocks(role: &Role) {
    let seat = role.seat();
    for sample in 0..role.numbers[0] {
        role.scratch.wait_for(TURN, 4 * sample + 1);
        let held = seat.shared().tokens.acquire(role.slot).expect("idle");
        role.scratch.at(TURN).store(4 * sample + 2, Ordering::SeqCst);
        while !seat.shared().line.is_announced(1) {
            thread::sleep(Duration::from_micros(100));
        }
        // Asleep by now.
        thread::sleep(Duration::from_millis(2));
        role.scratch.at(LEFT).store(now_ns(), Ordering::SeqCst);
        let away = seat.enter_lazily(held);
        thread::sleep(Duration::from_millis(40));
        let held = seat.exit(away);
        seat.release(held).expect("ours");
        role.scratch.wait_for(TURN, 4 * sample + 3);
        role.scratch.at(TURN).store(4 * sample + 4, Ordering::SeqCst);
    }
}

/// Wants the token that the other one holds.
pub(crate) fn waits(role: &Role) {
    let seat = role.seat();
    for sample in 0..role.numbers[0] {
        role.scratch.wait_for(TURN, 4 * sample + 2);
        let held = seat.exit(None);
        role.scratch.at(GOT).store(now_ns(), Ordering::SeqCst);
        seat.release(held).expect("ours");
        role.scratch.at(TURN).store(4 * sample + 3, Ordering::SeqCst);
    }
}

/// Microseconds from one worker's letting the token go to the other's having it, one per sample;
/// before each comes a pause.
fn latencies(samples: u64, pause: Duration) -> io::Result<Vec<f64>> {
    let mut stage = Stage::new(1, 2)?;
    stage.play("blocks", 0, None, &[samples])?;
    stage.play("waits", 1, None, &[samples])?;
    let stop = AtomicBool::new(false);
    let mut found = Vec::new();
    let shared = stage.segment.shared();
    thread::scope(|scope| {
        let watching =
            || sysmon::watch(&shared, &Futex, thread::sleep, |_| !stop.load(Ordering::SeqCst));
        scope.spawn(watching);
        for sample in 0..samples {
            thread::sleep(pause);
            stage.scratch.at(TURN).store(4 * sample + 1, Ordering::SeqCst);
            stage.scratch.wait_for(TURN, 4 * sample + 4);
            let [left, got] = [LEFT, GOT].map(|at| stage.scratch.at(at).load(Ordering::SeqCst));
            found.push(got.saturating_sub(left) as f64 / 1e3);
        }
        stop.store(true, Ordering::SeqCst);
        shared.watch.rouse(&Futex);
    });
    stage.finish()?;
    Ok(found)
}

pub(crate) fn measure(report: &mut Report, effort: Effort) -> io::Result<()> {
    report.group("from leaving the only token to the waiter's having it (µs)");
    let all = [
        ("sysmon fresh", 400, Duration::ZERO),
        ("after a second of quiet", 60, Duration::from_secs(1)),
    ];
    for (name, samples, pause) in all {
        let mut found = latencies((samples / effort.shorter).max(5), pause)?;
        let p99 = Some(quantile(&mut found, 0.99));
        let median = quantile(&mut found, 0.5);
        report.add(Row { p99, ..row(GROUP, name, "µs", median).aim("p99 at most 1000") });
    }
    Ok(())
}
