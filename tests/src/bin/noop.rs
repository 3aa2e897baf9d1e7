//! A worker whose tasks do nothing: what is left is msup itself.

use std::process::ExitCode;

use msup_worker::{Outcome, run};

fn main() -> ExitCode {
    run(|_task, _ctx| Ok(Outcome::done()))
}
