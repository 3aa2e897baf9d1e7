//! A worker whose task opens its controlling terminal and writes the result into the file `answer`.

use std::fs::{File, write};
use std::process::ExitCode;

use msup_worker::{Outcome, run};

/// The error of a process without a terminal.
const ENXIO: i32 = 6;

fn main() -> ExitCode {
    run(|_, _| {
        let opened = File::open("/dev/tty").map_err(|why| why.raw_os_error());
        let answer = if opened.is_err_and(|why| why == Some(ENXIO)) { "ENXIO" } else { "opened" };
        write("answer", answer)?;
        Ok(Outcome::done())
    })
}
