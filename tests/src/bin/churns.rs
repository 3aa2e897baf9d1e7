//! A task function that lets its token go and takes it back some thousand times. With the argument
//! `sit`, it sits at one of two desks while it has a token. Arguments: the board, the number of
//! rounds, `sit` or `stand`. A worker that finds no free desk fails its task and writes the file
//! `violation`.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use msup_tests::board::Board;
use msup_tests::desks::Desks;
use msup_worker::{Ctx, Outcome};

fn main() -> ExitCode {
    let board = Board::of_argument(1);
    let rounds = std::env::args().nth(2).and_then(|text| text.parse().ok()).unwrap_or(1_u32);
    let sits = std::env::args().nth(3).is_some_and(|text| text == "sit");
    let desks = Desks::new(&board[0]);
    let fail = |why: String| std::fs::write("violation", &why).map_or(why, |()| "violation".into());
    msup_worker::run(|task, ctx| {
        for round in 0..rounds {
            if sits {
                desks.sit().map_err(|why| fail(why.0))?;
            }
            if round % 8 == 0 {
                // Workers that run meanwhile find one free desk less.
                thread::yield_now();
            }
            if sits {
                desks.stand_up().map_err(|why| fail(why.0))?;
            }
            blocks(ctx, round.wrapping_add(task.seq() as u32 * 7));
        }
        Ok(Outcome::done())
    })
}

fn blocks(ctx: &mut Ctx<'_>, round: u32) {
    match round % 1000 {
        0 => ctx.blocking_long(|| thread::sleep(Duration::from_micros(50))),
        1 | 500 => ctx.blocking(|| thread::sleep(Duration::from_micros(50))),
        n if n % 50 == 2 => ctx.blocking(thread::yield_now),
        _ => ctx.blocking(|| ()),
    }
}
