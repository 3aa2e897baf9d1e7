//! A worker whose tasks compute for some milliseconds and then wait for some without a token. The
//! arguments are these two numbers.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use msup_worker::{Outcome, run};

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse().ok());
    let mut next = || Duration::from_millis(numbers.next().unwrap_or(0));
    let (compute, wait) = (next(), next());
    run(|_task, ctx| {
        let began = Instant::now();
        while began.elapsed() < compute {
            std::hint::spin_loop();
        }
        ctx.blocking(|| std::thread::sleep(wait));
        Ok(Outcome::done())
    })
}
