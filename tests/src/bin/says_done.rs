//! A worker whose tasks wait a little without a token, then print `done VALUE`.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use msup_worker::{Outcome, run};

fn main() -> ExitCode {
    run(|task, ctx| {
        ctx.blocking(|| std::thread::sleep(Duration::from_millis(5)));
        let mut line = b"done ".to_vec();
        line.extend_from_slice(task.value());
        writeln!(ctx.stdout(), "{}", String::from_utf8(line)?)?;
        Ok(Outcome::done())
    })
}
