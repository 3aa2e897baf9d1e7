//! Processes that tasks left running on purpose: when the last worker is gone, they are waited for
//! and then stopped. A signal cuts the wait short.

use std::time::Duration;

use super::Run;
use crate::engine::{Act, Leave};
use crate::tasks::stopping::{named, send};

/// How soon the exit of the last of them is seen.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(10);

impl Run {
    /// Waits for what tasks left running, then stops it. A signal cuts the wait short, a second one
    /// the grace.
    pub(super) fn see_daemons_off(&mut self) {
        let patience = match self.watch.leave {
            Leave::Alone => return,
            Leave::Kill => Duration::ZERO,
            Leave::Wait(_) if self.engine.was_killed() => Duration::ZERO,
            Leave::Wait(patience) => patience,
        };
        self.finish_stopping();
        if !self.crew.any_left_running() {
            return;
        }
        let names = named(&self.crew.left_running());
        if !patience.is_zero() {
            let seconds = patience.as_secs_f64();
            self.shown.say(&format!(
                "waiting for processes that tasks left running: {names}; at most {seconds:.0} s \
                 (--leave-timeout), a signal stops them now"
            ));
        }
        let began = self.clock.active();
        while self.clock.active().saturating_sub(began) < patience && !self.tends() {
            if !self.crew.any_left_running() {
                return;
            }
            self.wakeups.wait(LOOK_AGAIN_AFTER);
        }
        self.stop_daemons();
    }

    /// Does what the event loop does about signals, while the loop itself does not run. Returns
    /// whether one has asked to stop.
    fn tends(&mut self) -> bool {
        self.note_standstill();
        let is_told = !self.wakeups.signals.arrived().is_empty();
        if self.wakeups.signals.asked() {
            self.tell_running();
        }
        if self.wakeups.signals.pauses() {
            self.pause();
        }
        is_told
    }

    /// Processes of stopped attempts whose workers have reported get the rest of their grace.
    fn finish_stopping(&mut self) {
        while let Some(due) = self.watch.stopping.due() {
            if self.tends() {
                self.watch.stopping.hurry(self.clock.active());
            }
            self.watch.stopping.go_on(self.clock.active(), |_| None, |_| false);
            self.wakeups.wait(due.saturating_sub(self.clock.active()).min(LOOK_AGAIN_AFTER));
        }
    }

    fn stop_daemons(&mut self) {
        let mut ladder = self.watch.stopping.ladder(self.clock.active());
        let mut stopped = String::new();
        loop {
            let is_told = self.tends();
            let (left, now) = (self.crew.left_running(), self.clock.active());
            if is_told {
                ladder.hurry(now);
            }
            match ladder.decide(now, self.crew.any_left_running(), true) {
                Act::Send(signal) => {
                    if stopped.is_empty() {
                        stopped = named(&left);
                    }
                    send(&left, None, signal);
                }
                Act::Nothing | Act::KillWorker => {}
                Act::Done => break,
            }
            if ladder.is_over(now) {
                break;
            }
            self.wakeups.wait(ladder.due().saturating_sub(now).min(LOOK_AGAIN_AFTER));
        }
        if !stopped.is_empty() {
            self.shown.say(&format!("stopped processes that tasks left running: {stopped}"));
        }
    }
}
