//! Processes that tasks left running on purpose, when the last worker is gone: they may finish, for a while.

use std::time::{Duration, Instant};

use super::Run;
use super::stopping::{named, send};
use crate::engine::{Act, Leave};

/// How soon it is seen that the last of them has exited.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(10);

impl Run {
    /// Waits for what tasks left running, then stops it. A signal cuts the wait short, a second one the grace.
    pub(super) fn see_daemons_off(&mut self) {
        let patience = match self.leave {
            Leave::Alone => return,
            Leave::Kill => Duration::ZERO,
            Leave::Wait(_) if self.engine.was_killed() => Duration::ZERO,
            Leave::Wait(patience) => patience,
        };
        self.finish_stopping();
        let left = self.crew.left_running();
        if left.is_empty() {
            return;
        }
        let names = named(&left);
        if !patience.is_zero() {
            let seconds = patience.as_secs_f64();
            self.say(&format!(
                "waiting for processes that tasks left running: {names}; at most {seconds:.0} s \
                 (--leave-timeout), a signal stops them now"
            ));
        }
        let began = Instant::now();
        while began.elapsed() < patience && self.signals.arrived().is_empty() {
            if self.crew.left_running().is_empty() {
                return;
            }
            let _ = self.poller.wait(LOOK_AGAIN_AFTER);
        }
        self.stop_daemons();
    }

    /// Processes of attempts that were stopped and have reported have the rest of their grace.
    fn finish_stopping(&mut self) {
        while let Some(due) = self.stopping.due() {
            if !self.signals.arrived().is_empty() {
                self.hurries = true;
                self.stopping.hurry(self.active());
            }
            self.stopping.go_on(self.active(), |_| None);
            let _ = self.poller.wait(due.saturating_sub(self.active()).min(LOOK_AGAIN_AFTER));
        }
    }

    fn stop_daemons(&mut self) {
        let began = Instant::now();
        let mut ladder = self.stopping.ladder(Duration::ZERO);
        if self.hurries {
            ladder.hurry(Duration::ZERO);
        }
        let mut stopped = String::new();
        loop {
            let left = self.crew.left_running();
            let now = began.elapsed();
            if !self.signals.arrived().is_empty() {
                ladder.hurry(now);
            }
            match ladder.decide(now, !left.is_empty(), true) {
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
            let _ = self.poller.wait(ladder.due().saturating_sub(now).min(LOOK_AGAIN_AFTER));
        }
        if !stopped.is_empty() {
            self.say(&format!("stopped processes that tasks left running: {stopped}"));
        }
    }
}
