//! How a run closes: because it is complete, because it was told to stop, or because it cannot go
//! on.

use std::time::Duration;

use msup_protocol::exit;

use super::task::policy::{Counted, Standing};
use super::task::xargs;
use super::{Effect, Engine, Now};

/// How urgently the run stops. It only ever increases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stop {
    /// The run does not stop.
    #[default]
    No,
    /// Nothing new is started; what runs may finish. With the exit status.
    Drain(u8),
    /// What runs is stopped. With the exit status.
    Kill(u8),
}

/// How far the run is from its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Tasks may be left.
    #[default]
    Working,
    /// Every task has its outcome, and workers are only told to exit.
    Closing,
    /// All workers are gone, too.
    Finished,
}

/// Whether and why the run stops, and how far that has come.
#[derive(Debug, Default)]
pub(super) struct Shutdown {
    stop: Stop,
    /// It stops because of --halt.
    is_halted: bool,
    /// The signal that stops it.
    signal: Option<u8>,
    /// When running tasks are no longer waited for.
    drains_until: Option<Now>,
    phase: Phase,
    /// The list was wrong, and what was read before it was known runs all the same.
    input_failed: bool,
}

impl Shutdown {
    /// Whether the run was told to stop, or has to.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop != Stop::No
    }

    /// Whether running tasks are stopped rather than waited for.
    pub(super) fn is_killing(&self) -> bool {
        matches!(self.stop, Stop::Kill(_))
    }

    pub(super) fn is_halted(&self) -> bool {
        self.is_halted
    }

    /// The signal that stops the run, if one does.
    pub(super) fn signal(&self) -> Option<u8> {
        self.signal
    }

    pub(super) fn is_closing(&self) -> bool {
        self.phase != Phase::Working
    }

    pub(super) fn is_finished(&self) -> bool {
        self.phase == Phase::Finished
    }

    pub(super) fn input_failed(&self) -> bool {
        self.input_failed
    }

    /// The exit status, if it is decided by what stops the run.
    pub(super) fn status(&self) -> Option<u8> {
        match self.stop {
            Stop::No => None,
            Stop::Drain(status) | Stop::Kill(status) => Some(status),
        }
    }

    /// When running tasks are no longer waited for, if that is limited.
    pub(super) fn drains_until(&self) -> Option<Now> {
        self.drains_until.filter(|_| matches!(self.stop, Stop::Drain(_)))
    }

    /// Stops the run this urgently. Returns whether that is more urgent than before.
    fn raise(&mut self, stop: Stop) -> bool {
        let is_more = stop > self.stop;
        self.stop = self.stop.max(stop);
        is_more
    }

    /// The exit status, if running tasks have had `grace` since the run was to stop, and still run.
    fn overdue(&mut self, grace: Duration, now: Now) -> Option<u8> {
        let Stop::Drain(status) = self.stop else { return None };
        let until = *self.drains_until.get_or_insert(now + grace);
        (now >= until && !self.is_closing()).then_some(status)
    }
}

impl Engine {
    pub(super) fn on_input_failed(&mut self, why: String, effects: &mut Vec<Effect>) {
        effects.push(Effect::Say(why));
        if self.limits.policy.is_xargs {
            // What was read before runs.
            self.intake.complete();
            self.shutdown.input_failed = true;
            return;
        }
        self.raise(Stop::Drain(exit::ERROR), effects);
    }

    /// `in_vain`: what runs would have no other effect.
    pub(super) fn on_output_closed(
        &mut self,
        in_vain: bool,
        quiet: bool,
        effects: &mut Vec<Effect>,
    ) {
        const SIGPIPE: u8 = 13;
        const STATUS: u8 = exit::SIGNAL_BASE + SIGPIPE;
        if !self.shutdown.is_stopped() && !quiet {
            effects.push(Effect::Say("standard output was closed: stopping".into()));
        }
        self.raise(if in_vain { Stop::Kill(STATUS) } else { Stop::Drain(STATUS) }, effects);
    }

    pub(super) fn on_output_failed(&mut self, why: &str, effects: &mut Vec<Effect>) {
        if !self.shutdown.is_stopped() {
            effects.push(Effect::Say(format!("{why}: stopping")));
        }
        self.raise(Stop::Drain(self.status_unwritten()), effects);
    }

    /// The exit status of a run whose outputs could not all be written, whenever that is found out.
    pub(crate) fn status_unwritten(&self) -> u8 {
        // With xargs the commands write to it, and fail.
        if self.limits.policy.is_xargs { xargs::FAILED } else { exit::ERROR }
    }

    pub(super) fn on_journal_full(&mut self, full: Option<&str>, effects: &mut Vec<Effect>) {
        self.pressure.set_journal(full.is_some());
        let text = match full {
            Some(place) => format!(
                "no space left for the journal ({place}): nothing new starts until there is space"
            ),
            None => "there is space for the journal again: going on".into(),
        };
        effects.push(Effect::Say(text));
        if full.is_some() {
            self.hold_back(effects);
        }
    }

    pub(super) fn on_journal_lost(&mut self, why: &str, effects: &mut Vec<Effect>) {
        effects.push(Effect::Say(format!("the journal: {why}: stopping")));
        self.raise(Stop::Drain(exit::JOURNAL_LOST), effects);
    }

    pub(super) fn on_stop_signal(&mut self, signal: u8, effects: &mut Vec<Effect>) {
        let status = exit::SIGNAL_BASE.saturating_add(signal);
        if self.limits.policy.is_xargs && !self.shutdown.is_killing() {
            self.raise(Stop::Kill(status), effects);
        } else if !self.shutdown.is_stopped() {
            let running = self.ledger.in_slots();
            self.raise(Stop::Drain(status), effects);
            if running > 0 {
                let text =
                    "stopping when the running tasks have finished; a second signal stops them";
                effects.push(Effect::Say(text.into()));
            }
        } else if !self.shutdown.is_killing() {
            self.raise(Stop::Kill(status), effects);
            if self.ledger.in_slots() > 0 {
                let text = "stopping the running tasks (SIGTERM, after --grace SIGKILL); another \
                            signal kills them";
                effects.push(Effect::Say(text.into()));
            }
        } else {
            effects.push(Effect::KillNow);
        }
        if self.shutdown.status() == Some(status) {
            self.shutdown.signal = Some(signal);
        }
    }

    /// The run cannot go on: says why and stops everything.
    pub(super) fn fail(&mut self, why: String, effects: &mut Vec<Effect>) {
        if !self.shutdown.is_killing() {
            effects.push(Effect::Say(why));
        }
        self.raise(Stop::Kill(exit::ERROR), effects);
    }

    /// Nothing new is started.
    pub(super) fn drain(&mut self, status: u8, effects: &mut Vec<Effect>) {
        self.raise(Stop::Drain(status), effects);
    }

    fn raise(&mut self, stop: Stop, effects: &mut Vec<Effect>) {
        if !self.shutdown.raise(stop) {
            return;
        }
        self.intake.cut_short();
        self.tally.cancelled += self.ledger.drop_pending();
        effects.extend(self.ledger.occupied().map(|slot| Effect::Withdraw { slot }));
        if self.shutdown.is_killing() {
            for worker in self.pool.all() {
                self.pool.set_leaving(worker);
                effects.push(Effect::Stop(worker));
            }
        }
    }

    /// Aborts the run if --halt says so. `status` is that of the task that has just finished.
    pub(super) fn halt_if_due(&mut self, status: u8, effects: &mut Vec<Effect>) {
        let standing = self.standing();
        let halt = self.limits.policy.halt.filter(|halt| halt.is_due(standing));
        let Some(halt) = halt.filter(|_| !self.shutdown.is_stopped()) else { return };
        let Standing { succeeded, failed, .. } = standing;
        let count = match halt.what {
            Counted::Fail => failed,
            Counted::Success => succeeded,
            Counted::Done => succeeded + failed,
        };
        effects.push(Effect::Halt { what: halt.what, count, soon: !halt.now });
        let status = halt.exit_status(standing, status);
        self.shutdown.is_halted = true;
        self.raise(if halt.now { Stop::Kill(status) } else { Stop::Drain(status) }, effects);
    }

    /// Tasks that finished in an earlier generation do not count: a user who resumes a run wants it
    /// to go on.
    fn standing(&self) -> Standing {
        let tally = &self.tally;
        let succeeded = tally.succeeded - tally.before.succeeded;
        let failed = tally.failed + tally.quarantined - tally.before.failed;
        let all = succeeded + failed + tally.cancelled + self.ledger.left() as u64;
        Standing { succeeded, failed, total: (!self.intake.is_open()).then_some(all) }
    }

    /// Limits how long running tasks may take when the run stops.
    pub(super) fn limit_drain(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Some(grace) = self.limits.policy.drain else { return };
        if let Some(status) = self.shutdown.overdue(grace, now) {
            effects.push(Effect::Say(
                "the running tasks have not finished in time (--grace): stopping them".into(),
            ));
            self.raise(Stop::Kill(status), effects);
        }
    }

    pub(super) fn close_when_done(&mut self, effects: &mut Vec<Effect>) {
        if self.intake.is_open() || !self.ledger.is_empty() {
            return;
        }
        if !self.shutdown.is_closing() {
            self.shutdown.phase = Phase::Closing;
            // Those that were told to exit before are told again: from now on none may stay.
            for worker in self.pool.all() {
                self.pool.set_leaving(worker);
                effects.push(Effect::Dismiss(worker));
            }
        }
        if self.pool.alive() == 0 && !self.shutdown.is_finished() {
            self.shutdown.phase = Phase::Finished;
            self.tally.settle();
            effects.push(Effect::Finish);
        }
    }
}
