//! `--notify`: a command of the user is told that the run is over.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::Run;
use crate::report::summary::Summary;

/// The command is killed after this time.
const AT_MOST: Duration = Duration::from_secs(30);

/// How often is looked whether it has exited.
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Run {
    /// Runs the command that was asked for, with the summary on its standard input. Its failure is
    /// said, and changes nothing.
    pub(super) fn notify(&mut self, summary: &Summary, status: u8) {
        let Some(command) = self.reports.asked.notify.clone() else { return };
        let is_whole = self.engine.is_complete();
        let state = if is_whole { "finished" } else { "stopped" };
        let mut notified = Command::new("sh");
        notified
            .arg("-c")
            .arg(&command)
            .env("MSUP_RUN", &summary.run_id)
            .env("MSUP_STATE", state)
            .env("MSUP_TOTAL", summary.tasks.total.to_string())
            .env("MSUP_SUCCEEDED", summary.tasks.succeeded.to_string())
            .env("MSUP_FAILED", (summary.tasks.failed + summary.tasks.quarantined).to_string())
            .env("MSUP_EXIT", status.to_string());
        let json = serde_json::to_vec(summary).unwrap_or_default();
        let mut wakes = || !self.wakeups.signals.arrived().is_empty();
        let why = match carried_out(&mut notified, json, &mut wakes) {
            Ok(Some(status)) if status.success() => return,
            Ok(Some(status)) => status.to_string(),
            Ok(None) => format!(
                "it was killed: there was a signal, or it had not exited within {} s",
                AT_MOST.as_secs()
            ),
            Err(why) => why.to_string(),
        };
        self.shown.say(&format!("--notify: {why}"));
    }
}

/// Runs a command with this on its standard input. `None`: it was killed, after some time or
/// because of a signal to msup. What it prints goes to standard error.
fn carried_out(
    command: &mut Command,
    input: Vec<u8>,
    is_told_to_stop: &mut dyn FnMut() -> bool,
) -> io::Result<Option<ExitStatus>> {
    let mut child = command.stdin(Stdio::piped()).stdout(io::stderr()).process_group(0).spawn()?;
    let pipe = child.stdin.take();
    let feeder = thread::Builder::new().spawn(move || {
        // It need not be read.
        let _ = pipe.map(|mut pipe| pipe.write_all(&input));
    })?;
    let until = Instant::now() + AT_MOST;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= until || is_told_to_stop() {
            // Its process group may be gone already.
            let _ = killpg(Pid::from_raw(child.id() as i32), Signal::SIGKILL);
            child.wait()?;
            let _ = feeder.join();
            return Ok(None);
        }
        thread::sleep(LOOK_EVERY);
    }
}
