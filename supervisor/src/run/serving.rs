//! What the client of `msup serve` is told of the run and of each task.

use std::io;

use serde_json::json;

use super::error::RunError;
use crate::engine::{Cause, Entry};
use crate::os::run_folder::RunFolder;
use crate::output::frames::{self, CauseCode, PROTOCOL, Served, StateCode};

/// The first frame.
///
/// # Errors
/// It cannot name the folder: client and workers would look in different ones.
pub(super) fn hello(procs: u32, max_workers: u16, folder: &RunFolder) -> Result<Vec<u8>, RunError> {
    let Some(folder) = folder.path().to_str() else {
        let place = folder.path().display();
        let why = format!("the run's folder {place} (TMPDIR): its name must be UTF-8");
        return Err(RunError::Folder(io::Error::other(why)));
    };
    Ok(frames::hello(&json!({
        "protocol": PROTOCOL,
        "version": env!("CARGO_PKG_VERSION"),
        "procs": procs,
        "max_workers": max_workers,
        "folder": folder,
    })))
}

/// A task that has finished, for the client. `None` if it has not: the run stops.
pub(super) fn served(end: &Entry) -> Option<Served> {
    let Entry::End { attempt, failure, .. } = end else { return None };
    let attempts = *attempt;
    Some(match failure {
        None => {
            let (state, cause) = (StateCode::Succeeded, CauseCode::None);
            Served { attempts, state, cause, status: 0, signal: 0, text: String::new() }
        }
        Some((cause, quarantined)) => {
            let (status, signal) = cause.exit_and_signal();
            Served {
                attempts,
                state: if *quarantined { StateCode::Quarantined } else { StateCode::Failed },
                cause: code(cause),
                status: status.unwrap_or(0),
                signal: signal.unwrap_or(0),
                text: words(cause),
            }
        }
    })
}

fn code(cause: &Cause) -> CauseCode {
    match cause {
        Cause::Exit(_) => CauseCode::Exit,
        Cause::Signal(_) => CauseCode::Signal,
        Cause::CannotStart(..) => CauseCode::CannotStart,
        Cause::Error(_) => CauseCode::Error,
        Cause::Panic(_) => CauseCode::Panic,
        Cause::Trouble(_) | Cause::Earlier(_) | Cause::Declined | Cause::ByUser => {
            CauseCode::Trouble
        }
        Cause::LostWorker(_) => CauseCode::LostWorker,
        Cause::OutOfMemory => CauseCode::OutOfMemory,
        Cause::TimedOut(_) => CauseCode::TimedOut,
        Cause::LeftRunning(_) => CauseCode::LeftRunning,
        Cause::Stopped => CauseCode::Stopped,
    }
}

/// The text of a task function is passed on as it is, everything else as in the closing report.
fn words(cause: &Cause) -> String {
    match cause {
        Cause::Error(text) | Cause::Panic(text) => text.clone(),
        cause => cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use msup_protocol::exit::WorkerEnd;

    use super::*;

    #[test]
    fn what_a_client_is_told() {
        let told = |failure| {
            let [wall, cpu] = [Duration::ZERO; 2];
            let (seq, value, attempt) = (1, Vec::new(), 3);
            served(&Entry::End {
                seq,
                value,
                attempt,
                failure,
                wall,
                cpu,
                emitted: None,
                slot: None,
            })
            .expect("it has finished")
        };
        let fine = told(None);
        assert_eq!((fine.attempts, fine.state), (3, StateCode::Succeeded));
        let killed = told(Some((Cause::LostWorker(WorkerEnd::Signaled(11)), true)));
        assert_eq!((killed.state, killed.cause), (StateCode::Quarantined, CauseCode::LostWorker));
        assert_eq!((killed.status, killed.signal), (0, 11));
        let failed = told(Some((Cause::Error("why".into()), false)));
        assert_eq!((failed.state, failed.text.as_str()), (StateCode::Failed, "why"));
        assert_eq!(served(&Entry::InputsEnd(3)), None);
    }
}
