//! A worker for the test of work conservation. Tasks named `turn I` hold their token while they
//! wait for their turn in a ring, which only goes round while all of them run at once. Other tasks
//! are blocked, wait for a token, or leave parked workers behind. Arguments: the board, the number
//! of tasks in the ring.

use std::process::ExitCode;
use std::sync::atomic::Ordering::SeqCst;
use std::thread::{sleep, yield_now};
use std::time::Duration;

use msup_tests::board::Board;
use msup_tests::ring::{BLOCKED, LEFT_WAITING, NAPPERS, NAPPING, OVER, RUNNERS, TURN};
use msup_worker::{Outcome, run};

fn main() -> ExitCode {
    let board = Board::of_argument(1);
    let ring: u64 = std::env::args().nth(2).and_then(|text| text.parse().ok()).unwrap_or(1);
    let look_often = || sleep(Duration::from_millis(1));
    run(|task, ctx| {
        let value = std::str::from_utf8(task.value())?;
        match value.split_once(' ') {
            // All of them are in a blocking call at once, so there is a worker for each from now
            // on.
            _ if value == "nap" => ctx.blocking(|| {
                board[NAPPING].fetch_add(1, SeqCst);
                while board[NAPPING].load(SeqCst) < board[NAPPERS].load(SeqCst) {
                    look_often();
                }
            }),
            _ if value == "block" => ctx.blocking(|| {
                board[BLOCKED].fetch_add(1, SeqCst);
                while board[OVER].load(SeqCst) == 0 {
                    look_often();
                }
            }),
            // It comes back whenever the whole ring has gone round and then wants a token, in the
            // middle of its task. While the ring runs there is none.
            _ if value == "wait" => {
                while board[OVER].load(SeqCst) == 0 {
                    let seen = board[TURN].load(SeqCst);
                    ctx.blocking(|| {
                        let over = || board[OVER].load(SeqCst) != 0;
                        while board[TURN].load(SeqCst) < seen + ring && !over() {
                            look_often();
                        }
                        board[LEFT_WAITING].fetch_add(1, SeqCst);
                    });
                }
            }
            Some(("turn", number)) => {
                let number: u64 = number.parse()?;
                board[RUNNERS + number as usize].store(u64::from(std::process::id()), SeqCst);
                while board[OVER].load(SeqCst) == 0 {
                    let turn = board[TURN].load(SeqCst);
                    if turn % ring == number {
                        board[TURN].store(turn + 1, SeqCst);
                    } else {
                        // There may be fewer CPUs than tokens. The token stays held.
                        yield_now();
                    }
                }
            }
            _ => return Err(format!("{value}: no such task").into()),
        }
        Ok(Outcome::done())
    })
}
