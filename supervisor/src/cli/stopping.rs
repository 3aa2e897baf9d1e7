//! The flags about stopping tasks, and about processes that tasks leave running.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::choices::LeaveFlag;
use super::failures::time;
use super::shared::Failing;
use super::usage::{BadValue, UsageError};
use crate::engine::{Leave, Step};

/// The default time between SIGTERM and SIGKILL.
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// The default time that processes of a finished task may run on.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(10);

/// The steps by which tasks are stopped, with `grace` after SIGTERM; SIGKILL follows them.
///
/// # Errors
/// The value of --termseq is wrong.
pub(super) fn steps(typed: &Failing, grace: Duration) -> Result<Vec<Step>, BadValue> {
    match typed.termseq.as_deref() {
        Some(text) => term_sequence(text).ok_or_else(|| {
            let wanted = "signals with milliseconds between them, such as TERM,200,KILL";
            BadValue::new("--termseq", text, wanted)
        }),
        None => Ok(vec![Step { signal: Signal::SIGTERM as i32, wait: grace }]),
    }
}

/// What becomes of processes that tasks leave running.
///
/// # Errors
/// The value of --leave-timeout is wrong, or it has no effect.
pub(super) fn leave(typed: &Failing) -> Result<Leave, UsageError> {
    let given = typed.leave_timeout.as_deref();
    let timeout = given.map(|text| {
        let wanted = "a time such as 500ms, 10s or 2m";
        time(text).ok_or_else(|| BadValue::new("--leave-timeout", text, wanted))
    });
    let timeout = timeout.transpose()?;
    let (leave, word) = match typed.leave {
        LeaveFlag::Wait => return Ok(Leave::Wait(timeout.unwrap_or(LEAVE_TIMEOUT))),
        LeaveFlag::Ok => (Leave::Alone, "ok"),
        LeaveFlag::Kill => (Leave::Kill, "kill"),
    };
    match timeout {
        None => Ok(leave),
        Some(_) => Err(UsageError::NothingToWaitFor(word)),
    }
}

/// `SIGNAL[,MS,SIGNAL]...[,MS]`; a signal is a name with or without SIG, or a number.
fn term_sequence(text: &str) -> Option<Vec<Step>> {
    let parts: Vec<&str> = text.split(',').collect();
    let steps = parts.chunks(2).map(|pair| {
        let wait = pair.get(1).map_or(Some(0), |ms| ms.parse().ok())?;
        Some(Step { signal: signal(pair[0])? as i32, wait: Duration::from_millis(wait) })
    });
    steps.collect()
}

fn signal(name: &str) -> Option<Signal> {
    if let Ok(number) = name.parse::<i32>() {
        return Signal::try_from(number).ok();
    }
    let name = name.to_ascii_uppercase();
    let name = if name.starts_with("SIG") { name } else { format!("SIG{name}") };
    name.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_those_of_gnu_parallel() {
        let steps = |text| {
            let steps = term_sequence(text)?;
            Some(steps.iter().map(|step| (step.signal, step.wait.as_millis())).collect::<Vec<_>>())
        };
        let parallels = Some(vec![(15, 200), (15, 100), (15, 50), (9, 25)]);
        assert_eq!(steps("TERM,200,TERM,100,TERM,50,KILL,25"), parallels);
        assert_eq!(steps("int,500,SIGTERM"), Some(vec![(2, 500), (15, 0)]));
        assert_eq!(steps("2,5"), Some(vec![(2, 5)]));
        for bad in ["", "NO", "TERM,x", "TERM,,KILL", "0", "99", "TERM,-1"] {
            assert_eq!(steps(bad), None, "{bad:?}");
        }
    }
}
