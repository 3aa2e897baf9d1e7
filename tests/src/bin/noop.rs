//! A worker whose tasks do nothing: all cost is msup's own.

use std::process::ExitCode;

use msup_worker::{Outcome, run};

fn main() -> ExitCode {
    run(|_task, _ctx| Ok(Outcome::done()))
}
