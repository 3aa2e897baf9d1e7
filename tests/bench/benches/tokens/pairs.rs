//! Letting a token go and taking it back when no other worker wants it: the cost of every blocking
//! call.

use std::hint::black_box;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use msup_bench::go::Figures;
use msup_bench::peers::{Jobserver, Semaphore, with_raw_sync};
use msup_bench::report::{Report, interleaved, per_turn, row};
use msup_bench::stage::{Stage, pin, unpin};
use msup_protocol::park::Futex;
use msup_protocol::worker_side::Seat;

use crate::Effort;

const GROUP: &str = "enter+exit";
const FLOOR: &str = "floor: store + compare-and-swap, one line";

#[repr(align(64))]
struct Line(AtomicU64);

pub(crate) fn measure(report: &mut Report, effort: Effort, go: Option<&Figures>) -> io::Result<()> {
    report.group("enter + exit of a blocking call, no other worker wants the token (ns per pair)");
    pin(0);
    let turns = 4_000_000 / effort.shorter;
    let line = Line(AtomicU64::new(0));
    let mut floor = || {
        per_turn(turns, |n| {
            for turn in 0..n {
                line.0.store(2 * turn + 1, Ordering::Release);
                let taken = line.0.compare_exchange(
                    black_box(2 * turn + 1),
                    2 * turn + 2,
                    Ordering::SeqCst,
                    Ordering::Relaxed,
                );
                assert!(taken.is_ok());
            }
        })
    };
    let stage = Stage::new(2, 200)?;
    let shared = stage.segment.shared();
    let seat = Seat::new(shared, 0, Futex).expect("a slot");
    let mut token = shared.tokens.acquire(0);
    let mut ours = || {
        per_turn(turns, |n| {
            for _ in 0..n {
                let away = seat.enter(token.take().expect("held")).expect("ours");
                token = Some(seat.exit(black_box(away)));
            }
        })
    };
    let mut semaphore = Semaphore::default();
    let mut semaphore = || per_turn(turns, |n| (0..n).for_each(|_| semaphore.post_and_wait()));
    let jobserver = Jobserver::new()?;
    let mut jobserver =
        || per_turn(turns / 20, |n| (0..n).for_each(|_| jobserver.write_and_read()));
    let medians = with_raw_sync(|pair| {
        let mut mutex = || per_turn(turns, |n| (0..n).for_each(|_| pair()));
        interleaved(
            effort.rounds,
            &mut [&mut floor, &mut ours, &mut semaphore, &mut mutex, &mut jobserver],
        )
    })?;
    unpin();
    report.add(row(GROUP, FLOOR, "ns", medians[0]));
    report.add(row(GROUP, "msup", "ns", medians[1]).against(FLOOR).aim("at most 1.5"));
    if let Some(go) = go {
        let name = format!("{}: entersyscall + exitsyscall", go.version);
        report.add(row(GROUP, name.clone(), "ns", go.pair).against(FLOOR));
        report.add(row(GROUP, "msup beside Go", "ns", medians[1]).against(&name).aim("below 1"));
    }
    report
        .add(row(GROUP, "process-shared semaphore: post + wait", "ns", medians[2]).against(FLOOR));
    report.add(row(GROUP, "raw_sync mutex: unlock + lock", "ns", medians[3]).against(FLOOR));
    report.add(row(GROUP, "jobserver pipe: write + read", "ns", medians[4]).against(FLOOR));
    Ok(())
}
