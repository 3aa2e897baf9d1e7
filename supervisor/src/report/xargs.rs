//! What xargs says about a command that has failed.

use msup_protocol::exit::WorkerEnd;
use nix::errno::Errno;

use super::escape;
use crate::engine::Cause;

/// The line about a failure of this program; `None` if xargs says nothing about it.
pub(crate) fn failure(program: &[u8], cause: &Cause) -> Option<String> {
    const STOP: u8 = 255;
    let what = match cause {
        Cause::Exit(STOP) => format!("exited with status {STOP}; aborting"),
        Cause::Exit(_) | Cause::Stopped => return None,
        Cause::Signal(signal) | Cause::LostWorker(WorkerEnd::Signaled(signal)) => {
            format!("terminated by signal {signal}")
        }
        Cause::OutOfMemory => "terminated by signal 9".into(),
        Cause::CannotStart(errno, _) => Errno::from_raw(*errno).desc().into(),
        other => escape::failure(other.to_string()),
    };
    Some(format!("xargs: {}: {what}\n", escape::message(program)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stops_a_run_is_told() {
        let told = |cause: &Cause| failure(b"sh", cause);
        assert_eq!(told(&Cause::Exit(1)), None);
        let stops = told(&Cause::Exit(255));
        assert_eq!(stops.as_deref(), Some("xargs: sh: exited with status 255; aborting\n"));
        let killed = told(&Cause::Signal(9));
        assert_eq!(killed.as_deref(), Some("xargs: sh: terminated by signal 9\n"));
        let missing = told(&Cause::CannotStart(2, "x: not found".into()));
        assert_eq!(missing.as_deref(), Some("xargs: sh: No such file or directory\n"));
    }
}
