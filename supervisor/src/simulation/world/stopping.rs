//! Simulated attempts that are stopped, by the same ladder as in a real run, and how they react.

use std::time::Duration;

use msup_protocol::codec::Verdict;
use msup_protocol::exit::WorkerEnd;
use msup_protocol::packed::WorkerId;

use super::{Happening, SIGKILL, SIGTERM, State, World};
use crate::engine::{Act, Killed, Ladder, Step};

/// How long processes have between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_millis(100);

/// An attempt that is being stopped.
#[derive(Debug)]
pub(super) struct Climb {
    /// Unique.
    number: u64,
    ladder: Ladder,
    why: Killed,
    /// Its processes ignore SIGTERM.
    is_deaf: bool,
    /// Its worker does not report, whatever its processes do.
    is_stuck: bool,
}

impl World {
    /// Stops this worker's attempt, if it has one.
    pub(super) fn stop(&mut self, worker: WorkerId, why: Killed) {
        let is_busy = self.machine.worker(worker).is_busy();
        if !is_busy || self.machine.climbs.contains_key(&worker) {
            return;
        }
        let steps = [Step { signal: i32::from(SIGTERM), wait: GRACE }];
        let ladder = Ladder::new(&steps, self.agenda.now());
        let (is_deaf, is_stuck) = (self.random.once_in(3), self.random.once_in(6));
        let number = self.agenda.entered();
        self.machine.climbs.insert(worker, Climb { number, ladder, why, is_deaf, is_stuck });
        self.later(1, Happening::Climbs(worker, number));
    }

    /// Attempts that are being stopped get no more time.
    pub(super) fn hurry(&mut self) {
        let now = self.agenda.now();
        self.machine.climbs.values_mut().for_each(|climb| climb.ladder.hurry(now));
        let all: Vec<(WorkerId, u64)> =
            self.machine.climbs.iter().map(|(worker, climb)| (*worker, climb.number)).collect();
        for (worker, number) in all {
            self.later(1, Happening::Climbs(worker, number));
        }
    }

    pub(super) fn climbs(&mut self, worker: WorkerId, number: u64) {
        let now = self.agenda.now();
        let climb = self.machine.climbs.get_mut(&worker).filter(|climb| climb.number == number);
        let Some(climb) = climb else { return };
        let (act, due) = (climb.ladder.decide(now, true, false), climb.ladder.due());
        let yields = match act {
            Act::Send(signal) if signal == i32::from(SIGTERM) => !climb.is_deaf,
            Act::Send(_) => true,
            Act::KillWorker => {
                let (why, life) = (climb.why.clone(), self.machine.worker(worker).life);
                self.dies(worker, life, WorkerEnd::Signaled(SIGKILL), Some(why));
                return;
            }
            Act::Nothing | Act::Done => false,
        };
        if yields && !climb.is_stuck {
            self.later(50, Happening::Yields(worker, number));
        }
        self.agenda.enter(due, Happening::Climbs(worker, number));
    }

    /// Its processes have exited. Their status does not show whether the attempt had finished.
    pub(super) fn yields(&mut self, worker: WorkerId, number: u64) {
        let is_it = self.machine.climbs.get(&worker).is_some_and(|climb| climb.number == number);
        let State::Busy(slot, value) = self.machine.worker(worker).state.clone() else { return };
        if is_it {
            let verdict = match self.random.below(3) {
                0 => Verdict::Exited(0),
                1 => Verdict::Exited(99),
                _ => Verdict::Signaled(SIGTERM),
            };
            self.reports(worker, slot, value, verdict, None);
        }
    }

    /// The worker reports or is gone: returns why its attempt got a signal, if it did.
    pub(super) fn was_stopped(&mut self, worker: WorkerId) -> Option<Killed> {
        let climb = self.machine.climbs.remove(&worker)?;
        climb.ladder.has_begun().then_some(climb.why)
    }
}
