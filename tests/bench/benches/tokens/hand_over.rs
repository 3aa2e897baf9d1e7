//! One token, two workers that give it to each other and sleep in between; and the same with
//! nothing but futexes.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use msup_bench::report::{Report, interleaved, row};
use msup_bench::stage::{Role, Stage, cpus, pin, unpin};
use msup_protocol::park::{Futex, Park};
use msup_protocol::worker_side::Seat;

use crate::Effort;

const GROUP: &str = "hand-over";
const NEVER: Duration = Duration::from_secs(1000);

/// Yields the token again and again, and gets it back each time.
fn play(seat: &Seat<'_, Futex>, turns: u64) {
    let mut held = seat.exit(None);
    for _ in 0..turns {
        // Only at the first turn the other one may not be there yet.
        while !seat.shared().line.has_waiters() {
            std::thread::yield_now();
        }
        held = seat.yield_token(held).expect("ours");
    }
    seat.release(held).expect("ours");
}

pub(crate) fn ping(role: &Role) {
    play(&role.seat(), role.numbers[0]);
}

/// Passes a number on: waits until it is ours, then makes it the other's.
fn bare_play(mine: &AtomicU32, others: &AtomicU32, turns: u64) {
    for turn in 1..=turns as u32 {
        loop {
            let now = mine.load(Ordering::SeqCst);
            if now == turn {
                break;
            }
            Futex.wait(mine, now, NEVER);
        }
        others.fetch_add(1, Ordering::SeqCst);
        Futex.wake(others);
    }
}

fn park_word(stage: &msup_protocol::segment::Segment, slot: u16) -> &AtomicU32 {
    &stage.shared().line.slot(slot).expect("a slot").park
}

pub(crate) fn bare_ping(role: &Role) {
    let (mine, others) = (park_word(role.segment, 1), park_word(role.segment, 0));
    bare_play(mine, others, role.numbers[0]);
}

/// Nanoseconds per hand-over between this process on CPU 0 and a child on `cpu`.
fn ours(cpu: usize, turns: u64) -> io::Result<f64> {
    let mut stage = Stage::new(1, 2)?;
    // Before the child can take it.
    let held = stage.segment.shared().tokens.acquire(0).expect("idle");
    stage.play("ping", 1, Some(cpu), &[turns])?;
    let seat = Seat::new(stage.segment.shared(), 0, Futex).expect("a slot");
    // Start when the child is in line.
    while !stage.segment.shared().line.is_announced(1) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let began = Instant::now();
    seat.release(held).expect("ours");
    play(&seat, turns);
    let took = began.elapsed();
    stage.finish()?;
    Ok(took.as_nanos() as f64 / (2 * turns) as f64)
}

fn bare(cpu: usize, turns: u64) -> io::Result<f64> {
    let mut stage = Stage::new(1, 2)?;
    stage.play("bare_ping", 1, Some(cpu), &[turns])?;
    std::thread::sleep(Duration::from_millis(50));
    let (mine, others) = (park_word(&stage.segment, 0), park_word(&stage.segment, 1));
    let began = Instant::now();
    others.fetch_add(1, Ordering::SeqCst);
    Futex.wake(others);
    bare_play(mine, others, turns);
    let took = began.elapsed();
    stage.finish()?;
    Ok(took.as_nanos() as f64 / (2 * turns) as f64)
}

pub(crate) fn measure(report: &mut Report, effort: Effort) -> io::Result<()> {
    report.group("handing the only token to a worker that sleeps, and sleeping oneself (ns each)");
    for (cpu, place, turns) in [(0, "same CPU", 20_000), (1, "other CPU", 4_000)] {
        if cpu == 1 && cpus().count() < 2 {
            continue;
        }
        pin(0);
        let turns = turns / effort.shorter;
        let mut failed = None;
        let mut note = |result: io::Result<f64>| {
            result.unwrap_or_else(|why| {
                failed = Some(why);
                f64::NAN
            })
        };
        let note = std::cell::RefCell::new(&mut note);
        let medians = interleaved(
            effort.rounds,
            &mut [&mut || (note.borrow_mut())(bare(cpu, turns)), &mut || {
                (note.borrow_mut())(ours(cpu, turns))
            }],
        );
        unpin();
        if let Some(why) = failed {
            return Err(why);
        }
        let bare_name = format!("bare futex ping-pong, {place}");
        report.add(row(GROUP, bare_name.clone(), "ns", medians[0]));
        let ours = row(GROUP, format!("msup, {place}"), "ns", medians[1]);
        report.add(ours.against(&bare_name).aim("at most 1.2"));
    }
    Ok(())
}
