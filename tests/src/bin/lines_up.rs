//! A task function whose tasks want tokens in the middle of their work, and record on the board how
//! much the others did meanwhile. Argument: the board. Tasks:
//!
//! - `short`: computes and makes short calls, until all others are done.
//! - `wants N`: begins when a `short` one runs; comes back from N calls, and counts the `short`
//!   one's calls each time until it has a token.
//! - `mixed N`: N rounds of computing and calls of all lengths. A task that had to sleep for its
//!   token counts the other sleepers that were served before it.

use std::process::ExitCode;
use std::sync::atomic::Ordering::SeqCst;
use std::thread::{sleep, yield_now};
use std::time::{Duration, Instant};

use msup_tests::board::Board;
use msup_tests::waits::{CALLS, LIMIT, LONG, OVER, RUNS, SERVED, WAITS, WORST};
use msup_worker::{Ctx, Outcome, run};
use nix::sys::resource::{UsageWho, getrusage};

fn main() -> ExitCode {
    let board = Board::of_argument(1);
    run(|task, ctx| {
        let value = std::str::from_utf8(task.value())?;
        match value.split_once(' ') {
            None => short(ctx, board),
            Some(("wants", rounds)) => wants(ctx, board, rounds.parse()?),
            Some((_, rounds)) => mixed(ctx, board, rounds.parse()?, task.seq()),
        }
        Ok(Outcome::done())
    })
}

fn short(ctx: &mut Ctx<'_>, board: Board) {
    board[RUNS].store(1, SeqCst);
    while board[OVER].load(SeqCst) == 0 {
        compute(Duration::from_micros(200));
        ctx.blocking(|| board[CALLS].fetch_add(1, SeqCst));
    }
}

fn wants(ctx: &mut Ctx<'_>, board: Board, rounds: u64) {
    for _ in 0..rounds {
        let before = ctx.blocking(|| {
            sleep(Duration::from_millis(1));
            while board[RUNS].load(SeqCst) == 0 {
                sleep(Duration::from_millis(1));
            }
            board[CALLS].load(SeqCst)
        });
        note(board, board[CALLS].load(SeqCst) - before);
    }
    board[OVER].store(1, SeqCst);
}

fn mixed(ctx: &mut Ctx<'_>, board: Board, rounds: u64, seed: u64) {
    for round in 0..rounds {
        compute(Duration::from_micros(20));
        let (before, slept) = ctx.blocking(|| {
            match (round + seed * 7) % 10 {
                0 => sleep(Duration::from_micros(100)),
                1 => yield_now(),
                _ => (),
            }
            (board[SERVED].load(SeqCst), sleeps())
        });
        if sleeps() > slept {
            note(board, board[SERVED].fetch_add(1, SeqCst) - before);
        }
    }
}

/// Records one more wait, during which the others did `seen` things.
fn note(board: Board, seen: u64) {
    board[WAITS].fetch_add(1, SeqCst);
    board[LONG].fetch_add(u64::from(seen > board[LIMIT].load(SeqCst)), SeqCst);
    board[WORST].fetch_max(seen, SeqCst);
}

/// The number of voluntary context switches of this process.
fn sleeps() -> i64 {
    getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.voluntary_context_switches())
}

fn compute(time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        std::hint::spin_loop();
    }
}
