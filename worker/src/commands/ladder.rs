//! Ending a command that takes too long: first it is asked to, then it is killed, with all its group.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The limit may be said anew; it is asked for again after so long.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// How far up the ladder it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rung {
    Ground,
    Asked(Duration),
    Killed,
}

/// What a ladder looks at.
pub(super) trait Clock {
    /// Time since some moment, that in which the run stood still left out.
    fn now(&self) -> Duration;
    /// How long a command may take, and the grace.
    fn limit(&self) -> Option<(Duration, Duration)>;
}

/// For one command.
pub(super) struct Ladder<C> {
    group: Pid,
    began: Duration,
    clock: C,
    rung: Rung,
}

impl<C: Clock> Ladder<C> {
    /// For the command with this number, which is that of its group, too; it has just begun.
    pub(super) fn new(command: i32, clock: C) -> Ladder<C> {
        Ladder { group: Pid::from_raw(command), began: clock.now(), clock, rung: Rung::Ground }
    }

    /// Whether the command was told to end.
    pub(super) fn was_climbed(&self) -> bool {
        self.rung != Rung::Ground
    }

    /// Does what it is time for. After how long to come back; `None` when there is nothing left to do. Call it
    /// only as long as the command was not reaped: after that its number may be somebody else's.
    pub(super) fn climb(&mut self) -> Option<Duration> {
        let now = self.clock.now();
        let took = now.saturating_sub(self.began);
        match (self.rung, self.clock.limit()) {
            (Rung::Ground, None) => None,
            (Rung::Ground, Some((limit, _))) if took < limit => Some((limit - took).min(ASK_AGAIN)),
            (Rung::Ground, Some((_, grace))) => {
                self.signal(Signal::SIGTERM);
                // One that is stopped hears nothing.
                self.signal(Signal::SIGCONT);
                self.rung = Rung::Asked(now);
                Some(grace)
            }
            (Rung::Asked(at), limit) => {
                let grace = limit.map_or(Duration::ZERO, |(_, grace)| grace);
                let left = grace.saturating_sub(now.saturating_sub(at));
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
