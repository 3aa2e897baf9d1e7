//! What an attempt's outcome means for its task.

use std::fmt;
use std::io;
use std::time::Duration;

use msup_protocol::codec::Verdict;
use msup_protocol::exit::{self, WorkerEnd};

use crate::engine::Kind;
use crate::engine::event::Killed;

const SIGKILL: u8 = 9;
pub(super) const SIGTERM: u8 = 15;
/// SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS: caused by the program itself.
const CRASHES: [u8; 7] = [4, 5, 6, 7, 8, 11, 31];
/// EAGAIN, ENOMEM, ENFILE, EMFILE: a resource of the machine is short for a while.
const PASSING: [i32; 4] = [11, 12, 23, 24];

/// Why an attempt did not succeed: the recorded cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Exit(u8),
    Signal(u8),
    /// The error number, and its explanation where there is one.
    CannotStart(i32, String),
    /// The task function's error.
    Error(String),
    Panic(String),
    /// The worker failed, not the command.
    Trouble(String),
    /// The worker that ran it exited or was killed.
    LostWorker(WorkerEnd),
    /// The kernel killed it for lack of memory.
    OutOfMemory,
    /// It exceeded this time limit.
    TimedOut(Duration),
    /// It left processes running that did not exit in time: their names.
    LeftRunning(String),
    /// It was stopped with the run.
    Stopped,
    /// The user did not want it to start.
    Declined,
    /// The user has killed it.
    ByUser,
    /// As an earlier generation of the run recorded it.
    Earlier(String),
}

impl Cause {
    /// Whether the command itself could say what was wrong, or an earlier generation has said it,
    /// or the user.
    pub(crate) fn was_told(&self) -> bool {
        matches!(self, Cause::Exit(_) | Cause::Earlier(_) | Cause::Declined | Cause::ByUser)
    }

    /// Its kind: one of few words, for counters.
    pub(crate) fn class(&self) -> &'static str {
        match self {
            Cause::Exit(_) => "exit",
            Cause::Signal(_) => "signal",
            Cause::CannotStart(..) => "not-started",
            Cause::Error(_) => "error",
            Cause::Panic(_) => "panic",
            Cause::LostWorker(_) => "lost-worker",
            Cause::OutOfMemory => "memory",
            Cause::TimedOut(_) => "timeout",
            Cause::LeftRunning(_) => "left-running",
            Cause::Stopped => "stopped",
            Cause::Declined => "declined",
            Cause::ByUser => "killed",
            Cause::Trouble(_) | Cause::Earlier(_) => "other",
        }
    }

    /// The exit status or the signal of its process, where there was one and it is known.
    pub(crate) fn exit_and_signal(&self) -> (Option<u8>, Option<u8>) {
        match self {
            Cause::Exit(status) | Cause::LostWorker(WorkerEnd::Exited(status)) => {
                (Some(*status), None)
            }
            Cause::Signal(signal) | Cause::LostWorker(WorkerEnd::Signaled(signal)) => {
                (None, Some(*signal))
            }
            Cause::OutOfMemory => (None, Some(SIGKILL)),
            _ => (None, None),
        }
    }

    /// The exit status and the signal that stand for it in a joblog.
    pub(crate) fn status(&self) -> (i16, u8) {
        const NOT_FOUND: i16 = 127;
        const DECLINED: i16 = -2;
        // As GNU parallel writes it.
        const NO_STATUS: i16 = -1;
        match self {
            Cause::Exit(status) => ((*status).into(), 0),
            Cause::Declined => (DECLINED, 0),
            Cause::Signal(signal) | Cause::LostWorker(WorkerEnd::Signaled(signal)) => (0, *signal),
            Cause::OutOfMemory => (0, SIGKILL),
            Cause::TimedOut(_) => (NO_STATUS, SIGTERM),
            Cause::LeftRunning(_) | Cause::Stopped | Cause::ByUser => (0, SIGTERM),
            Cause::CannotStart(..) => (NOT_FOUND, 0),
            _ => (exit::ERROR.into(), 0),
        }
    }

    /// The same as one exit status, as shells report it.
    pub(in crate::engine) fn exit_status(&self) -> u8 {
        match self.status() {
            (status, 0) => status as u8,
            (_, signal) => exit::SIGNAL_BASE.saturating_add(signal),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Exit(status) => write!(f, "exit {status}"),
            Cause::Signal(signal) => write!(f, "signal {signal}"),
            Cause::CannotStart(errno, why) if why.is_empty() => {
                write!(f, "cannot start: {}", io::Error::from_raw_os_error(*errno))
            }
            Cause::Earlier(text) | Cause::CannotStart(_, text) => f.write_str(text),
            Cause::Error(text) => write!(f, "error: {text}"),
            Cause::Panic(text) => write!(f, "panic: {text}"),
            Cause::Trouble(text) => f.write_str(text),
            Cause::TimedOut(limit) => write!(f, "timeout after {} s", Seconds(*limit)),
            Cause::LeftRunning(names) => write!(f, "left processes running: {names}"),
            Cause::Stopped => f.write_str("stopped with the run"),
            Cause::Declined => f.write_str("not started: the answer was no (-p)"),
            Cause::ByUser => f.write_str("killed by msup ctl"),
            Cause::OutOfMemory => f.write_str("out of memory (killed by the kernel)"),
            Cause::LostWorker(WorkerEnd::Exited(status)) => {
                write!(f, "lost worker (it exited with {status} in the middle of the task)")
            }
            Cause::LostWorker(WorkerEnd::Signaled(signal)) => {
                write!(f, "lost worker (signal {signal})")
            }
        }
    }
}

/// A time in seconds, as a person writes it: with three digits at most, unless it is long.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        let decimals = match seconds {
            100.0.. => 0,
            10.0.. => 1,
            1.0.. => 2,
            _ => 3,
        };
        let text = format!("{seconds:.decimals$}");
        let is_whole = !text.contains('.');
        f.write_str(if is_whole { &text } else { text.trim_end_matches('0').trim_end_matches('.') })
    }
}

/// What caused an attempt's outcome, which decides what happens to the task next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    Succeeded,
    /// The task waits for this time, then runs again.
    Parked(Duration),
    /// The task has failed.
    Failed(Cause),
    /// The task crashed its process: it is retried a few times, then quarantined.
    Crashed(Cause),
    /// It was killed from outside: it is retried many times.
    Outside(Cause),
    /// There was no memory left for it: it is retried a few times, each time with fewer commands
    /// running alongside.
    Starved(Cause),
    /// It was stopped because the run was: this says nothing about the task.
    Stopped(Cause),
    /// The user has killed it: it is not retried.
    Final(Cause),
}

impl Ruling {
    /// Why the attempt did not succeed, and what it counts as when its task is retried; `None` if
    /// it succeeded.
    pub(super) fn failure(self) -> Option<(Cause, Kind)> {
        match self {
            Ruling::Succeeded | Ruling::Parked(_) => None,
            Ruling::Failed(cause) | Ruling::Final(cause) => Some((cause, Kind::Failed)),
            Ruling::Crashed(cause) => Some((cause, Kind::Crashed)),
            Ruling::Outside(cause) | Ruling::Stopped(cause) => Some((cause, Kind::Lost)),
            Ruling::Starved(cause) => Some((cause, Kind::Starved)),
        }
    }
}

/// Whether the command was killed with SIGKILL, or reports, as shells do, that its child was.
pub(crate) fn is_kill(verdict: &Verdict) -> bool {
    const SAID_BY_SHELLS: u8 = exit::SIGNAL_BASE + SIGKILL;
    matches!(verdict, Verdict::Signaled(SIGKILL) | Verdict::Exited(SAID_BY_SHELLS))
}

/// Whether the attempt did its work.
pub(crate) fn has_succeeded(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Done | Verdict::Exited(0))
}

/// Whether a program that keeps running has reported this: it has answered, or was asked to.
pub(crate) fn is_answer(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Done | Verdict::Failed(_))
}

/// Judges what a worker reported. `starved`: the kernel has just killed a process for lack of
/// memory. `killed`: why the supervisor sent signals to the attempt's processes, if it did.
pub(crate) fn judge(verdict: Verdict, starved: bool, killed: Option<Killed>) -> Ruling {
    match killed {
        // However it reacted to the signal: it may have stopped half-way.
        Some(Killed::TimedOut(limit)) => return Ruling::Failed(Cause::TimedOut(limit)),
        Some(Killed::Stopped) => return Ruling::Stopped(Cause::Stopped),
        Some(Killed::Displaced) => return displaced(),
        Some(Killed::ByUser) => return Ruling::Final(Cause::ByUser),
        Some(Killed::LeftRunning(names)) if has_succeeded(&verdict) => {
            return Ruling::Failed(Cause::LeftRunning(names));
        }
        Some(Killed::LeftRunning(_) | Killed::Leftovers) | None => {}
    }
    match verdict {
        ref verdict if starved && is_kill(verdict) => Ruling::Starved(Cause::OutOfMemory),
        Verdict::Done | Verdict::Exited(0) => Ruling::Succeeded,
        Verdict::Parked(after_ns) => Ruling::Parked(Duration::from_nanos(after_ns)),
        Verdict::Exited(status) => Ruling::Failed(Cause::Exit(status)),
        // Schedulers and service managers send SIGTERM to all processes of a job, and it may arrive
        // here last.
        Verdict::Signaled(signal @ (SIGKILL | SIGTERM)) => Ruling::Outside(Cause::Signal(signal)),
        Verdict::Signaled(signal) if CRASHES.contains(&signal) => {
            Ruling::Crashed(Cause::Signal(signal))
        }
        Verdict::Signaled(signal) => Ruling::Failed(Cause::Signal(signal)),
        Verdict::Failed(text) => Ruling::Failed(Cause::Error(text)),
        Verdict::Panicked(text) => Ruling::Crashed(Cause::Panic(text)),
        Verdict::CannotStart(errno, why) if PASSING.contains(&errno) => {
            Ruling::Outside(Cause::CannotStart(errno, why))
        }
        Verdict::CannotStart(errno, why) => Ruling::Failed(Cause::CannotStart(errno, why)),
        Verdict::Trouble(text) => Ruling::Failed(Cause::Trouble(text)),
        Verdict::Lost(text) => Ruling::Outside(Cause::Trouble(text)),
    }
}

/// A task that has made room for others is run again, but not for ever.
fn displaced() -> Ruling {
    Ruling::Outside(Cause::Trouble("stopped to make room (--memfree, --limit)".into()))
}

/// Judges the loss of a worker in the middle of a task; `starved` as in [`judge`].
pub(crate) fn judge_loss(end: WorkerEnd, starved: bool) -> Ruling {
    let cause = Cause::LostWorker(end);
    match end {
        WorkerEnd::Signaled(SIGKILL) if starved => Ruling::Starved(Cause::OutOfMemory),
        WorkerEnd::Signaled(SIGKILL | SIGTERM) | WorkerEnd::Exited(exit::WORKER_TOLD_TO_EXIT) => {
            Ruling::Outside(cause)
        }
        _ => Ruling::Crashed(cause),
    }
}

/// Judges the loss of a worker whose attempt was being stopped; `otherwise` is the ruling without
/// that.
pub(crate) fn judge_stopped(why: Killed, otherwise: Ruling) -> Ruling {
    match why {
        Killed::TimedOut(limit) => Ruling::Failed(Cause::TimedOut(limit)),
        Killed::Stopped => Ruling::Stopped(Cause::Stopped),
        Killed::Displaced => displaced(),
        Killed::ByUser => Ruling::Final(Cause::ByUser),
        Killed::LeftRunning(names) => Ruling::Failed(Cause::LeftRunning(names)),
        Killed::Leftovers => otherwise,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_outcome_means() {
        assert_eq!(judge(Verdict::Exited(0), false, None), Ruling::Succeeded);
        assert_eq!(judge(Verdict::Exited(3), false, None), Ruling::Failed(Cause::Exit(3)));
        assert_eq!(judge(Verdict::Signaled(11), false, None), Ruling::Crashed(Cause::Signal(11)));
        for signal in [9, 15] {
            let outside = Ruling::Outside(Cause::Signal(signal));
            assert_eq!(judge(Verdict::Signaled(signal), false, None), outside);
        }
        assert_eq!(judge(Verdict::Signaled(1), false, None), Ruling::Failed(Cause::Signal(1)));
        assert_eq!(judge(Verdict::Signaled(9), true, None), Ruling::Starved(Cause::OutOfMemory));
        assert_eq!(judge(Verdict::Exited(137), true, None), Ruling::Starved(Cause::OutOfMemory));
        assert_eq!(judge(Verdict::Exited(3), true, None), Ruling::Failed(Cause::Exit(3)));
        let judged = |verdict, killed| judge(verdict, false, Some(killed));
        let left = || Killed::LeftRunning("sleep (7)".into());
        for (ms, text) in [(1000, "1"), (300, "0.3"), (1234, "1.23"), (90_000, "90"), (4, "0.004")]
        {
            let limit = Duration::from_millis(ms);
            let timed_out = Cause::TimedOut(limit);
            assert_eq!(timed_out.to_string(), format!("timeout after {text} s"));
            let ruling = judged(Verdict::Exited(0), Killed::TimedOut(limit));
            assert_eq!(ruling, Ruling::Failed(timed_out));
        }
        assert_eq!(judged(Verdict::Exited(0), Killed::Stopped), Ruling::Stopped(Cause::Stopped));
        assert_eq!(judged(Verdict::Exited(0), Killed::Displaced), displaced());
        assert_eq!(judged(Verdict::Exited(0), Killed::ByUser), Ruling::Final(Cause::ByUser));
        let failed = Ruling::Failed(Cause::LeftRunning("sleep (7)".into()));
        assert_eq!(judged(Verdict::Exited(0), left()), failed);
        assert_eq!(judged(Verdict::Exited(3), left()), Ruling::Failed(Cause::Exit(3)));
        let lost = judge(Verdict::Lost("gone".into()), false, None);
        assert_eq!(lost, Ruling::Outside(Cause::Trouble("gone".into())));
        let killed = WorkerEnd::Signaled(9);
        assert_eq!(judge_loss(killed, false), Ruling::Outside(Cause::LostWorker(killed)));
        let quit = WorkerEnd::Exited(0);
        assert_eq!(judge_loss(quit, false), Ruling::Crashed(Cause::LostWorker(quit)));
    }
}
