//! What the controller is told of a simulated machine, window by window: what the meter would see.

use std::time::Duration;

use super::machine::{Pilot, SimulatedMachine, Stage};
use crate::engine::concurrency::window::{Ended, Window};

/// At most this number of commands is asked for its state in a window.
const ASKED: usize = 8;

/// What the controller was told last.
pub(super) struct Told {
    pub(super) at: f64,
    used: f64,
    pub(super) finished: Ended,
    next_asked: usize,
}

impl Told {
    pub(super) fn new() -> Told {
        Told { at: 0.0, used: 0.0, finished: Ended::default(), next_asked: 0 }
    }
}

impl SimulatedMachine {
    /// Closes a window.
    pub(super) fn tell(&mut self) {
        let runnable = self.runnable();
        let seconds = |ms: f64| Duration::from_secs_f64(ms.max(0.0) / 1000.0);
        let window = Window {
            span: seconds(self.clocks.now - self.told.at),
            used: seconds((self.clocks.used - self.told.used) * (1.0 - self.load.unseen)),
            in_flight: self.commands.in_flight as u32,
            runnable,
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

    /// The share of the commands that could run, of those asked.
    fn runnable(&mut self) -> Option<f64> {
        let slots = self.commands.slots.len();
        let (mut asked, mut runnable) = (0, 0);
        for offset in 0..slots {
            let at = (self.told.next_asked + offset) % slots;
            let Some(command) = &self.commands.slots[at] else { continue };
            asked += 1;
            runnable += usize::from(command.stage == Stage::Computes);
            if asked == ASKED {
                self.told.next_asked = at + 1;
                break;
            }
        }
        (asked > 0).then(|| runnable as f64 / asked as f64)
    }
}
