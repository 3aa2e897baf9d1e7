//! A task function that lets its token go and takes it back some thousand times. While it has one, it
//! sits at one of the desks: files of which each can be locked by one process. Arguments: how many
//! desks, and how many rounds. Whoever finds no free desk writes `violation`.

use std::fs::File;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use msup_worker::{Ctx, Outcome, TaskError};
use nix::fcntl::{Flock, FlockArg};

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse().ok());
    let (desks, rounds): (u32, u32) = (numbers.next().unwrap_or(1), numbers.next().unwrap_or(1));
    let mut at = 0;
    msup_worker::run(move |task, ctx| {
        let mut desks = (0..desks)
            .map(|number| File::create(format!("desk.{number}")).map(Some))
            .collect::<Result<Vec<_>, _>>()?;
        for round in 0..rounds {
            at = sit(&mut desks, at)?;
            blocks(ctx, round.wrapping_add(task.seq() as u32 * 7));
        }
        Ok(Outcome::done())
    })
}

/// Takes a free desk, preferably the last one, and leaves it. There must be one.
fn sit(desks: &mut [Option<File>], last: usize) -> Result<usize, TaskError> {
    let count = desks.len();
    for number in (0..count).map(|offset| (last + offset) % count) {
        let file = desks[number].take().ok_or("no desk")?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => {
                desks[number] = Some(lock.unlock().map_err(|(_, errno)| errno)?);
                return Ok(number);
            }
            Err((file, _)) => desks[number] = Some(file),
        }
    }
    File::create("violation")?;
    Err("more holders than tokens".into())
}

fn blocks(ctx: &mut Ctx<'_>, round: u32) {
    match round % 1000 {
        0 => ctx.blocking_long(|| thread::sleep(Duration::from_micros(50))),
        1 | 500 => ctx.blocking(|| thread::sleep(Duration::from_micros(50))),
        n if n % 50 == 2 => ctx.blocking(thread::yield_now),
        _ => ctx.blocking(|| ()),
    }
}
