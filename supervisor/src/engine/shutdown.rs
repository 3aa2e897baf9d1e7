//! How a run closes: because it is complete, because it was told to stop, or because it cannot go
//! on.

use msup_protocol::exit;

use super::{Effect, Engine};
use crate::engine::time::Now;

/// How urgently the run stops. It only ever increases.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stop {
    /// The run does not stop.
    No,
    /// Nothing new is started; what runs may finish.
    Drain(u8),
    /// What runs is stopped.
    Kill(u8),
}

impl Engine {
    pub(super) fn on_input_failed(&mut self, why: String, effects: &mut Vec<Effect>) {
        effects.push(Effect::Say(why));
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
        if self.stop == Stop::No && !quiet {
            effects.push(Effect::Say("standard output was closed: stopping".into()));
        }
        self.raise(if in_vain { Stop::Kill(STATUS) } else { Stop::Drain(STATUS) }, effects);
    }

    pub(super) fn on_output_failed(&mut self, why: &str, effects: &mut Vec<Effect>) {
        if self.stop == Stop::No {
            effects.push(Effect::Say(format!("standard output: {why}: stopping")));
        }
        self.raise(Stop::Drain(exit::ERROR), effects);
    }

    pub(super) fn on_journal_full(&mut self, full: Option<&str>, effects: &mut Vec<Effect>) {
        self.journal_full = full.is_some();
        let text = match full {
            Some(place) => format!(
                "no space left for the journal ({place}): nothing new starts until there is space"
            ),
            None => "there is space for the journal again: going on".into(),
        };
        effects.push(Effect::Say(text));
        if self.journal_full {
            self.hold_back(effects);
        }
    }

    pub(super) fn on_journal_lost(&mut self, why: &str, effects: &mut Vec<Effect>) {
        effects.push(Effect::Say(format!("the journal: {why}: stopping")));
        self.raise(Stop::Drain(exit::JOURNAL_LOST), effects);
    }

    pub(super) fn on_stop_signal(&mut self, signal: u8, effects: &mut Vec<Effect>) {
        let status = exit::SIGNAL_BASE.saturating_add(signal);
        if self.stop == Stop::No {
            let running = self.ledger.in_slots();
            self.raise(Stop::Drain(status), effects);
            if running > 0 {
                let text =
                    "stopping when the running tasks have finished; a second signal stops them";
                effects.push(Effect::Say(text.into()));
            }
        } else if matches!(self.stop, Stop::Drain(_)) {
            self.raise(Stop::Kill(status), effects);
            if self.ledger.in_slots() > 0 {
                let text = "stopping the running tasks (SIGTERM, after --grace SIGKILL); a third signal kills them";
                effects.push(Effect::Say(text.into()));
            }
        } else {
            effects.push(Effect::KillNow);
        }
        if self.exit_status() == status {
            self.stopped_by = Some(signal);
        }
    }

    /// The run cannot go on: says why and stops everything.
    pub(super) fn fail(&mut self, why: String, effects: &mut Vec<Effect>) {
        if self.stop < Stop::Kill(0) {
            effects.push(Effect::Say(why));
        }
        self.raise(Stop::Kill(exit::ERROR), effects);
    }

    pub(super) fn raise(&mut self, stop: Stop, effects: &mut Vec<Effect>) {
        if stop <= self.stop {
            return;
        }
        self.stop = stop;
        self.unread |= !self.inputs_ended;
        self.inputs_ended = true;
        self.tally.cancelled += self.ledger.drop_pending();
        effects.extend(self.ledger.occupied().map(|slot| Effect::Withdraw { slot }));
        if matches!(self.stop, Stop::Kill(_)) {
            for worker in self.pool.everybody() {
                self.pool.set_leaving(worker);
                effects.push(Effect::End(worker));
            }
        }
    }

    /// Limits how long running tasks may take when the run stops.
    pub(super) fn limit_drain(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let (Stop::Drain(status), Some(grace)) = (&self.stop, self.policy.drain) else { return };
        let status = *status;
        let until = *self.drains_until.get_or_insert(now + grace);
        if now >= until && !self.closing {
            effects.push(Effect::Say(
                "the running tasks have not finished in time (--grace): stopping them".into(),
            ));
            self.raise(Stop::Kill(status), effects);
        }
    }

    pub(super) fn close_when_done(&mut self, effects: &mut Vec<Effect>) {
        if !self.inputs_ended || !self.ledger.is_empty() {
            return;
        }
        if !self.closing {
            self.closing = true;
            // Also those that were told to exit before: from now on, staying is a fault.
            for worker in self.pool.everybody() {
                self.pool.set_leaving(worker);
                effects.push(Effect::Dismiss(worker));
            }
        }
        if self.pool.alive() == 0 && !self.finished {
            self.finished = true;
            effects.push(Effect::Finish);
        }
    }
}
