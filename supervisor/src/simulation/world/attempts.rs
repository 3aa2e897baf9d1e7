//! Simulated attempts: how a worker claims a task, and how that goes.

use std::time::Duration;

use msup_protocol::codec::{self, OutcomeFrame, Stream, Usage, Verdict};
use msup_protocol::exit::WorkerEnd;
use msup_protocol::in_flight::Entry;
use msup_protocol::packed::WorkerId;

use super::natures::{Nature, added_by};
use super::{Happening, SIGKILL, SIGSEGV, Slot, State, World};
use crate::engine::{Event, Killed};
use crate::simulation::text;

/// How often a task that parks does so.
const PARKS: usize = 3;
/// A task waits for up to this number of nanoseconds.
const PARKED_FOR: u64 = 2_000_000_000;

impl World {
    /// Idle workers claim ready tasks, as long as there are tokens.
    pub(super) fn claim(&mut self) {
        while let Some((worker, ready)) = self.machine.claimable() {
            let slot = ready[self.random.below(ready.len() as u64) as usize];
            let task = self.supervisor.engine.task(slot as u16).expect("it was published");
            let (seq, value) = (task.seq, text(&task.value));
            let state = task.state.as_ref().map_or(0, |state| state.len());
            let attempt = self.planted.attempt(task.attempt);
            self.machine.slots[slot] = Slot::Claimed;
            self.machine.noted[slot] = Some(Entry { seq, attempt, finished: false });
            self.history.begins(&value, self.supervisor.generation, attempt);
            self.history.has_state(&value, state);
            let worker = worker as WorkerId;
            self.machine.worker(worker).state = State::Busy(slot as u16, value);
            let life = self.machine.worker(worker).life;
            self.later(40, Happening::Finishes(worker, life));
        }
    }

    /// An attempt has run for as long as it takes: it finishes, unless it hangs or kills msup.
    pub(super) fn finishes(&mut self, worker: WorkerId, life: u32) {
        let at = self.machine.worker(worker).clone();
        let State::Busy(slot, value) = at.state else { return };
        if at.life != life {
            return;
        }
        let nature = self.nature(&value);
        let verdict = match nature {
            Nature::Hangs => {
                self.stop(worker, Killed::TimedOut(Duration::from_secs(1)));
                return;
            }
            Nature::Killer => {
                self.crash(false);
                return;
            }
            Nature::Bad => Verdict::Exited(3),
            Nature::Poison => Verdict::Signaled(SIGSEGV),
            Nature::Flaky if self.random.once_in(4) => Verdict::Exited(1),
            Nature::Flaky if self.random.once_in(6) => Verdict::Signaled(SIGSEGV),
            Nature::Good | Nature::Flaky | Nature::Parks | Nature::Emits
                if self.faults.strike(&mut self.random, 25) =>
            {
                // The command alone was killed from outside.
                Verdict::Signaled(SIGKILL)
            }
            Nature::Parks if self.state_in(slot).len() < PARKS => {
                Verdict::Parked(self.random.below(PARKED_FOR))
            }
            Nature::Good | Nature::Flaky | Nature::Parks | Nature::Emits | Nature::Leaves => {
                Verdict::Exited(0)
            }
        };
        let left = matches!(nature, Nature::Leaves);
        let killed = left.then(|| Killed::LeftRunning("sleep (1)".into()));
        self.reports(worker, slot, value, verdict, killed);
    }

    /// A worker reports the outcome of its attempt.
    pub(super) fn reports(
        &mut self,
        worker: WorkerId,
        slot: u16,
        value: String,
        verdict: Verdict,
        killed: Option<Killed>,
    ) {
        let stopped = self.was_stopped(worker);
        if stopped.is_some() || killed.is_some() {
            self.history.is_stopped(&value);
        }
        let killed = self.planted.killed(stopped.or(killed));
        self.history.stops(&value);
        *self.machine.slot(slot) = Slot::Free;
        if let Some(entry) = &mut self.machine.noted[usize::from(slot)] {
            entry.finished = true;
        }
        let at = self.machine.worker(worker);
        at.state = State::Idle;
        let (life, is_leaving) = (at.life, at.is_leaving);
        if is_leaving {
            self.later(3, Happening::Dies(worker, life, 0));
        }
        let state = self.state_in(slot);
        let result = match verdict {
            Verdict::Parked(_) => Stream::Here([state, vec![b's']].concat().into()),
            _ => Stream::nothing(),
        };
        let emitted = match (self.nature(&value), &verdict) {
            (Nature::Emits, Verdict::Exited(0)) => {
                let mut bytes = Vec::new();
                let values = added_by(&value);
                values.iter().for_each(|value| codec::push_value(&mut bytes, value.as_bytes()));
                Stream::Here(bytes.into())
            }
            _ => Stream::nothing(),
        };
        let writes = !self.random.once_in(3);
        let stdout =
            if writes { Stream::Here(value.into_bytes().into()) } else { Stream::nothing() };
        let outcome = OutcomeFrame {
            verdict,
            began_ns: 1,
            wall_ns: 1_000_000,
            usage: Usage::default(),
            leaked: false,
            stdout,
            stderr: Stream::nothing(),
            result,
            emitted,
        };
        let outcome = Box::new(outcome);
        self.step(Event::Collected { slot, outcome, starved: false, killed });
    }

    /// What a task does; those that others have added are good.
    fn nature(&self, value: &str) -> Nature {
        self.natures.get(value).copied().unwrap_or(Nature::Good)
    }

    /// What the task in this slot left when it parked last.
    fn state_in(&self, slot: u16) -> Vec<u8> {
        let task = self.supervisor.engine.task(slot);
        let state = task.and_then(|task| task.state.as_ref());
        state.map(|state| state.to_vec()).unwrap_or_default()
    }

    /// The process of a worker exits or is killed, if it still exists.
    pub(super) fn dies(
        &mut self,
        worker: WorkerId,
        life: u32,
        end: WorkerEnd,
        killed: Option<Killed>,
    ) {
        let at = self.machine.worker(worker);
        if at.life != life || at.state == State::Vacant {
            return;
        }
        let state = std::mem::take(&mut at.state);
        let mut claimed = Vec::new();
        if let State::Busy(slot, value) = state {
            self.history.stops(&value);
            self.history.is_killed(&value);
            *self.machine.slot(slot) = Slot::Free;
            claimed.push(slot);
            self.planted.worker_is_gone(&mut self.supervisor.engine, slot, end);
        }
        let stopped = self.was_stopped(worker);
        let killed = claimed.first().copied().zip(killed.or(stopped));
        self.step(Event::WorkerGone { worker, end, claimed, starved: false, killed });
    }
}
