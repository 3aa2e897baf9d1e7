//! The faults of a simulated run.

use msup_protocol::exit::WorkerEnd;
use msup_protocol::packed::WorkerId;

use super::{Happening, SIGKILL, SIGSEGV, SIGTERM, World};
use crate::engine::{
    Counted, Event, Halt, Killed, OutputPressure, Permission, Steering, TaskRecord, Threshold,
};
use crate::simulation::random::Random;

/// The faults that are still to come.
#[derive(Debug)]
pub(super) struct Faults {
    left: u64,
}

impl Faults {
    pub(super) fn draw(random: &mut Random) -> Faults {
        Faults { left: random.below(12) }
    }

    pub(super) fn are_over(&self) -> bool {
        self.left == 0
    }

    /// Whether one comes now. Then there is one less.
    fn take(&mut self) -> bool {
        let is_one = self.left > 0;
        self.left -= u64::from(is_one);
        is_one
    }

    /// Whether something small goes wrong, while there are faults, once in `n` times.
    pub(super) fn strike(&self, random: &mut Random, n: u64) -> bool {
        self.left > 0 && random.once_in(n)
    }

    /// Now and then a generation is halted after some tasks.
    pub(super) fn halt(&mut self, random: &mut Random) -> Option<Halt> {
        if self.left == 0 || !random.once_in(3) {
            return None;
        }
        self.left -= 1;
        let counted = [Counted::Fail, Counted::Success, Counted::Done];
        Some(Halt {
            now: random.once_in(2),
            what: counted[random.below(3) as usize],
            at: Threshold::Number(1 + random.below(6)),
        })
    }
}

impl World {
    pub(super) fn fault(&mut self) {
        if !self.faults.take() {
            return;
        }
        self.later(150, Happening::Fault);
        let worker = self.random.below(self.machine.workers.len() as u64) as WorkerId;
        let life = self.machine.worker(worker).life;
        match self.random.below(15) {
            0..4 => self.dies(worker, life, WorkerEnd::Signaled(SIGKILL), None),
            4 => self.dies(worker, life, WorkerEnd::Signaled(SIGSEGV), None),
            5 => self.end_epoch(),
            6 => {
                self.disk.set_full(true);
                self.later(200, Happening::Space);
            }
            7 if self.random.once_in(2) => self.crash(false),
            7 => self.disk.kills_writer = true,
            8 => self.crash(true),
            9 => {
                let pressure = match self.random.once_in(2) {
                    true => OutputPressure::Turn,
                    false => OutputPressure::Writing,
                };
                self.step(Event::OutputPressure(pressure));
                self.later(100, Happening::PressureEnds);
            }
            10 => self.step(Event::StopSignal(SIGTERM)),
            11..14 => self.steer(worker),
            _ => self.disk.sync(),
        }
    }

    /// The user steers the run (`msup ctl`).
    fn steer(&mut self, worker: WorkerId) {
        match self.random.below(4) {
            0 => self.stop(worker, Killed::ByUser),
            1 => {
                let procs = 1 + self.random.below(u64::from(self.limits.procs)) as u32;
                self.step(Event::Steered(Steering::Procs(procs)));
            }
            2 => {
                let jobs = 1 + self.random.below(u64::from(self.limits.max_workers)) as u32;
                self.step(Event::Steered(Steering::Jobs(jobs)));
            }
            _ => {
                let failed = self.supervisor.failed.len() as u64;
                if failed > 0 {
                    let at = self.random.below(failed) as usize;
                    let failure = self.supervisor.failed.swap_remove(at);
                    self.step(Event::Steered(Steering::Retry(self.planted.retry(failure))));
                }
            }
        }
    }

    /// What a look at the conditions of a start says.
    pub(super) fn answers(&mut self) {
        let permission = if self.faults.strike(&mut self.random, 4) {
            Permission::Wait
        } else if self.faults.strike(&mut self.random, 8) {
            Permission::StopYoungest
        } else {
            Permission::Start
        };
        self.step(Event::MayStart(permission));
    }

    fn end_epoch(&mut self) {
        let unstarted = self.unstarted();
        for value in self.machine.begin_epoch() {
            self.history.stops(&value);
            self.history.is_killed(&value);
        }
        self.step(Event::EpochEnded { why: "noise".into(), failed: None, unstarted });
    }

    /// The slots of tasks that no worker has noted.
    fn unstarted(&self) -> Vec<u16> {
        let Some(notes) = self.machine.notes() else { return Vec::new() };
        let is_unstarted = |slot: &u16| {
            let noted = notes[usize::from(*slot)].map(|entry| (entry.seq, entry.attempt));
            let named = |task: &TaskRecord| (task.seq, self.planted.attempt(task.attempt));
            self.supervisor.engine.task(*slot).is_some_and(|task| noted != Some(named(task)))
        };
        (0..notes.len() as u16).filter(is_unstarted).collect()
    }
}
