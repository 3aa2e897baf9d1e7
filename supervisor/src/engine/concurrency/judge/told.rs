//! What the controller is told of a simulated machine, window by window: what the meter would see.

use std::time::Duration;

use super::machine::{Pilot, SimulatedMachine, Stage, WINDOW};
use crate::engine::concurrency::limit::{Ended, Window};
use crate::engine::concurrency::wake_times::Naps;

/// How often CPUs that idle are looked at.
const IDLE_EVERY: f64 = 500.0;

/// At most this number of commands is asked for its state in a window.
const ASKED: usize = 8;

/// The weights of the newest cycle, and the part of the commands that has computed more lately than
/// the cycle says, as in the meter.
const NEWEST_CYCLE: f64 = 0.05;
const STILLER: (usize, usize) = (4, 5);

/// What the controller was told last.
pub(super) struct Told {
    pub(super) at: f64,
    used: f64,
    idle_at: f64,
    idle: f64,
    cycle: f64,
    naps: Naps,
    pub(super) finished: Ended,
    next_asked: usize,
}

impl Told {
    pub(super) fn new() -> Told {
        Told {
            at: 0.0,
            used: 0.0,
            idle_at: 0.0,
            idle: 0.0,
            cycle: WINDOW,
            naps: Naps::default(),
            finished: Ended::default(),
            next_asked: 0,
        }
    }
}

impl SimulatedMachine {
    /// Closes a window.
    pub(super) fn tell(&mut self) {
        let (runnable, queued) = self.states();
        let ((cycle, waking), idle) = (self.cycle(), self.idle());
        let seconds = |ms: f64| Duration::from_secs_f64(ms.max(0.0) / 1000.0);
        let window = Window {
            span: seconds(self.clocks.now - self.told.at),
            used: seconds((self.clocks.used - self.told.used) * (1.0 - self.load.unseen)),
            in_flight: self.commands.in_flight as u32,
            cycle,
            waking,
            runnable,
            idle,
            queued,
            had_more: true,
            ended: std::mem::take(&mut self.told.finished),
            ..Window::default()
        };
        (self.told.at, self.told.used) = (self.clocks.now, self.clocks.used);
        let now = seconds(self.clocks.now);
        if let Pilot::Controller(starts) = &mut self.pilot {
            starts.measured(&window, None, now);
        }
    }

    /// The shares of the commands that could run, and that waited in a queue, of those asked.
    fn states(&mut self) -> (Option<f64>, f64) {
        let slots = self.commands.slots.len();
        let (mut asked, mut runnable, mut queued) = (0, 0, 0);
        for offset in 0..slots {
            let at = (self.told.next_asked + offset) % slots;
            let Some(command) = &self.commands.slots[at] else { continue };
            asked += 1;
            runnable += usize::from(command.stage == Stage::Computes);
            let waits = matches!(command.stage, Stage::IsServed | Stage::Queues);
            queued += usize::from(waits && self.load.shared.is_some_and(|it| it.is_disk));
            if asked == ASKED {
                self.told.next_asked = at + 1;
                break;
            }
        }
        let share = |number: usize| number as f64 / asked.max(1) as f64;
        ((asked > 0).then(|| share(runnable)), share(queued))
    }

    /// As the supervisor looks at it: now and then.
    fn idle(&mut self) -> Option<f64> {
        let time = self.clocks.now - self.told.idle_at;
        if time < IDLE_EVERY {
            return None;
        }
        let idle = self.clocks.idle - self.told.idle;
        (self.told.idle_at, self.told.idle) = (self.clocks.now, self.clocks.idle);
        Some(idle / time / self.cpus)
    }

    /// As the meter finds it: from one window in which a command computed to the next; and how many
    /// are about to wake.
    fn cycle(&mut self) -> (Duration, Option<u32>) {
        let now = self.clocks.now;
        let mut still = Vec::with_capacity(self.commands.in_flight);
        for command in self.commands.slots.iter_mut().flatten() {
            let is_computing = command.stage == Stage::Computes;
            if is_computing || command.computes {
                let pause = now - command.computed;
                self.told.cycle += NEWEST_CYCLE * (pause - self.told.cycle);
                self.told.naps.note(pause / 1000.0, WINDOW / 1000.0);
                (command.computed, command.computes) = (now, false);
            }
            still.push((now - command.computed) / 1000.0);
        }
        let waking = self.told.naps.about_to_wake(&still, WINDOW / 1000.0);
        still.sort_by(f64::total_cmp);
        let (part, of) = STILLER;
        let stillness = still.get(still.len() * part / of).copied().unwrap_or(0.0);
        (Duration::from_secs_f64((self.told.cycle / 1000.0).max(stillness)), waking)
    }
}
