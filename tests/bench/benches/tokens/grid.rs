//! Lazy, eager, and what ships: eight workers that compute 20 µs and block, for calls of several
//! lengths, on one and two tokens, with and without another process that computes.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use msup_bench::report::{Report, compute, interleaved, row};
use msup_bench::stage::{Role, Stage};
use msup_protocol::park::Futex;
use msup_protocol::sysmon;

use crate::Effort;

const GROUP: &str = "grid";
const WORKERS: u16 = 8;
const COMPUTING: Duration = Duration::from_micros(20);

/// Scratch words: go, stop, and each worker's turns.
const GO: usize = 0;
const STOP: usize = 8;
const TURNS: usize = 64;

const COLUMNS: [&str; 3] = ["lazy", "eager", "ships"];

/// Computes and blocks until it is told to stop. Numbers: the column, the call's length in µs.
pub(crate) fn loops(role: &Role) {
    let seat = role.seat();
    let [column, call_us] = role.numbers[..] else { panic!("two numbers") };
    let turns = role.scratch.at(TURNS + 8 * usize::from(role.slot));
    role.scratch.wait_for(GO, 1);
    let mut held = seat.exit(None);
    while role.scratch.at(STOP).load(Ordering::Relaxed) == 0 {
        compute(COMPUTING);
        let away = match column {
            0 => seat.enter_lazily(held),
            1 => seat.enter_eagerly(held).expect("ours"),
            _ => seat.enter(held).expect("ours"),
        };
        match call_us {
            0 => drop(rustix::process::getppid()),
            us => thread::sleep(Duration::from_micros(us)),
        }
        held = seat.exit(away);
        turns.fetch_add(1, Ordering::Relaxed);
    }
    seat.release(held).expect("ours");
}

/// Computes until it is killed.
pub(crate) fn hog(_role: &Role) {
    loop {
        std::hint::spin_loop();
    }
}

/// Turns per second of all workers together.
fn cell(column: u64, call_us: u64, tokens: u32, busy: bool, time: Duration) -> io::Result<f64> {
    let mut stage = Stage::new(tokens, u32::from(WORKERS))?;
    let mut hogs = Stage::new(1, 2)?;
    for slot in 0..WORKERS {
        stage.play("loops", slot, None, &[column, call_us])?;
    }
    if busy {
        hogs.play("hog", 0, Some(0), &[])?;
        hogs.play("hog", 1, Some(1), &[])?;
    }
    thread::sleep(Duration::from_millis(30));
    let stop = AtomicBool::new(false);
    let shared = stage.segment.shared();
    let counted = thread::scope(|scope| {
        scope.spawn(|| {
            sysmon::watch(&shared, &Futex, thread::sleep, |_| !stop.load(Ordering::SeqCst));
        });
        let sum = || -> u64 {
            let turns = |slot: u16| stage.scratch.at(TURNS + 8 * usize::from(slot));
            (0..WORKERS).map(|slot| turns(slot).load(Ordering::Relaxed)).sum()
        };
        stage.scratch.at(GO).store(1, Ordering::SeqCst);
        thread::sleep(time / 4);
        let (began, before) = (Instant::now(), sum());
        thread::sleep(time);
        let counted = (sum() - before) as f64 / began.elapsed().as_secs_f64();
        stage.scratch.at(STOP).store(1, Ordering::SeqCst);
        while shared.tokens.census().idle < tokens {
            thread::sleep(Duration::from_millis(1));
        }
        stop.store(true, Ordering::SeqCst);
        shared.watch.rouse(&Futex);
        counted
    });
    hogs.kill_children();
    stage.finish()?;
    Ok(counted)
}

pub(crate) fn measure(report: &mut Report, effort: Effort) -> io::Result<()> {
    report.group("turns per second of 8 workers: 20 µs computing, then a blocking call");
    let time = Duration::from_millis(400 / effort.shorter.min(4));
    for tokens in [1, 2] {
        for busy in [false, true] {
            for call_us in [0, 50, 200, 1000] {
                let run = |column| cell(column, call_us, tokens, busy, time).unwrap_or(f64::NAN);
                let medians = interleaved(
                    effort.rounds.div_ceil(3),
                    &mut [&mut || run(0), &mut || run(1), &mut || run(2)],
                );
                let company = if busy { ", CPUs busy" } else { "" };
                let name = |column: usize| {
                    format!("{} µs, {tokens} token(s){company}: {}", call_us, COLUMNS[column])
                };
                let better = usize::from(medians[1] > medians[0]);
                report.add(row(GROUP, name(0), "/s", medians[0]));
                report.add(row(GROUP, name(1), "/s", medians[1]));
                let ships = row(GROUP, name(2), "/s", medians[2]);
                report.add(ships.against(&name(better)).aim("at least 0.9"));
            }
        }
    }
    Ok(())
}
