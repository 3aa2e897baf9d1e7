//! A task loop that breaks a rule: it starts a thread before it attaches.

use std::process::ExitCode;

use msup_worker::Outcome;

fn main() -> ExitCode {
    std::thread::spawn(|| std::thread::sleep(std::time::Duration::from_secs(1000)));
    msup_worker::run(|_task, _ctx| Ok(Outcome::done()))
}
