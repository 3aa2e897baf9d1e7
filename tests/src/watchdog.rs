//! Aborts a test that hangs, and says what its processes were doing.

use std::fs;
use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::{kill, marked};

/// A test that takes longer is considered to hang. Not a limit on speed: no test takes a tenth of
/// it.
const HANGS_AFTER: Duration = Duration::from_secs(120);

/// The same where sweeps are whole (`MSUP_NIGHTLY`): 200 kills take some minutes.
const SWEEP_HANGS_AFTER: Duration = Duration::from_mins(20);

/// Aborts the whole test process if a test hangs, after showing what its processes are doing.
#[derive(Debug)]
pub(crate) struct Watchdog {
    _alive: Sender<()>,
}

impl Watchdog {
    pub(crate) fn new(mark: String) -> Watchdog {
        let (alive, died) = channel::<()>();
        thread::spawn(move || {
            let is_sweep = std::env::var_os("MSUP_NIGHTLY").is_some();
            let patience = if is_sweep { SWEEP_HANGS_AFTER } else { HANGS_AFTER };
            if died.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                for pid in marked(&mark) {
                    let read = |file: &str| {
                        fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default()
                    };
                    let command = read("cmdline").replace('\0', " ");
                    say(&format!("{pid}: {command}\n{}\n{}", read("wchan"), read("status")));
                    kill(pid, Signal::SIGKILL);
                }
                // This process dies with all its sandboxes; nothing else is left to empty them.
                for pid in marked(&format!("{}-", std::process::id())) {
                    kill(pid, Signal::SIGKILL);
                }
                say("a test hung\n");
                std::process::abort();
            }
        });
        Watchdog { _alive: alive }
    }
}

/// Writes to standard error at once. What `eprintln!` writes in a test is captured, also in its
/// threads, and would be lost when the process aborts.
fn say(text: &str) {
    // Nothing is left to be done where it cannot be shown.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
