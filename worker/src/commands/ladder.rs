//! Ending a command that takes too long: first it is asked to, then it is killed, with all its group.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The limit may be said anew; it is asked for again after so long.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// How far up the ladder it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rung {
    Ground,
    Asked(Instant),
    Killed,
}

/// For one command. `limit` tells how long it may take, and the grace.
pub(super) struct Ladder<L> {
    group: Pid,
    began: Instant,
    limit: L,
    rung: Rung,
}

impl<L: Fn() -> Option<(Duration, Duration)>> Ladder<L> {
    /// For the command with this number, which is that of its group, too.
    pub(super) fn new(command: i32, began: Instant, limit: L) -> Ladder<L> {
        Ladder { group: Pid::from_raw(command), began, limit, rung: Rung::Ground }
    }

    /// Whether the command was told to end.
    pub(super) fn was_climbed(&self) -> bool {
        self.rung != Rung::Ground
    }

    /// Does what it is time for. After how long to come back; `None` when there is nothing left to do. Call it
    /// only as long as the command was not reaped: after that its number may be somebody else's.
    pub(super) fn climb(&mut self) -> Option<Duration> {
        let took = self.began.elapsed();
        match (self.rung, (self.limit)()) {
            (Rung::Ground, None) => None,
            (Rung::Ground, Some((limit, _))) if took < limit => Some((limit - took).min(ASK_AGAIN)),
            (Rung::Ground, Some((_, grace))) => {
                self.signal(Signal::SIGTERM);
                // One that is stopped hears nothing.
                self.signal(Signal::SIGCONT);
                self.rung = Rung::Asked(Instant::now());
                Some(grace)
            }
            (Rung::Asked(at), limit) => {
                let grace = limit.map_or(Duration::ZERO, |(_, grace)| grace);
                let left = grace.saturating_sub(at.elapsed());
                if !left.is_zero() {
                    return Some(left);
                }
                self.signal(Signal::SIGKILL);
                self.rung = Rung::Killed;
                None
            }
            (Rung::Killed, _) => None,
        }
    }

    fn signal(&self, signal: Signal) {
        // It may have ended just now.
        let _ = kill(Pid::from_raw(-self.group.as_raw()), signal);
    }
}
