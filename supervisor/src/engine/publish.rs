//! Which tasks workers see: publishing, and withdrawing what no worker has claimed.

use super::{Cause, Effect, Engine, Entry, Now, Permission, Steering, TaskRecord};

impl Engine {
    /// The user steers the run.
    pub(super) fn on_steered(&mut self, steering: Steering, effects: &mut Vec<Effect>) {
        match steering {
            Steering::Jobs(jobs) => self.on_jobs_allowed(jobs, effects),
            Steering::Procs(procs) => self.on_procs_allowed(procs, effects),
            Steering::Pause(is_paused) => self.on_paused(is_paused, effects),
            Steering::Retry(failure) => self.on_retry_asked(failure, effects),
        }
    }

    /// The user holds the run back, or no more.
    pub(super) fn on_paused(&mut self, is_paused: bool, effects: &mut Vec<Effect>) {
        self.pressure.set_pause(is_paused);
        if is_paused {
            self.hold_back(effects);
        }
    }

    /// Withdraws the tasks that no worker has claimed yet.
    pub(super) fn hold_back(&mut self, effects: &mut Vec<Effect>) {
        // The last first: each goes before all others when it is put back.
        let slots = self.ledger.in_order();
        effects.extend(slots.into_iter().rev().map(|slot| Effect::Withdraw { slot }));
    }

    /// This number of tasks may run at once from now on.
    pub(super) fn on_jobs_allowed(&mut self, jobs: u32, effects: &mut Vec<Effect>) {
        if self.control.allow_jobs(jobs) {
            self.hold_back(effects);
        }
    }

    /// There is this number of tokens from now on.
    pub(super) fn on_procs_allowed(&mut self, procs: u32, effects: &mut Vec<Effect>) {
        let is_fewer = procs < self.limits.procs;
        self.limits.procs = procs;
        self.control.allow_procs(procs);
        if is_fewer {
            // Workers that are free would claim them.
            self.hold_back(effects);
        }
    }

    pub(super) fn on_withdrawn(&mut self, slot: u16, effects: &mut Vec<Effect>) {
        let Some(record) = self.ledger.take_back(slot) else { return };
        let (seq, value, attempt) = (record.seq, record.value.clone(), record.attempt);
        effects.push(Effect::Record(Entry::Withdrawn { seq, value, attempt }));
        if self.is_stopped() {
            self.tally.cancelled += 1;
        } else {
            if self.pace.asks_user() {
                self.ledger.keep_allowed(seq);
            }
            self.ledger.put_back(record);
        }
    }

    /// Publishes as many tasks as may be.
    pub(super) fn publish(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if !self.may_publish(now) {
            return;
        }
        let mut placed = self.place();
        if self.pace.asks_user() {
            placed.retain(|slot| self.has_user_agreed(*slot, effects));
        }
        if !placed.is_empty() {
            self.pace.placed(now);
        }
        // All of them are journaled at once, before the first one is published.
        for slot in &placed {
            if let Some(TaskRecord { seq, value, attempt, .. }) = self.ledger.at(*slot) {
                let (seq, value, attempt, slot) = (*seq, value.clone(), *attempt, *slot);
                effects.push(Effect::Record(Entry::Start { seq, value, attempt, slot }));
            }
        }
        effects.extend(placed.into_iter().map(|slot| Effect::Publish { slot }));
    }

    /// Whether the task of this slot may start. If the user has not been asked, it is taken out of
    /// the slot, and that is done.
    fn has_user_agreed(&mut self, slot: u16, effects: &mut Vec<Effect>) -> bool {
        let question = self.ledger.ask_about(slot);
        let has_agreed = question.is_none();
        effects.extend(question.map(|(seq, value)| Effect::Ask { seq, value }));
        has_agreed
    }

    /// The user has said whether this task may start. One that may not has failed, but for xargs,
    /// which goes on as if it had not been in the list.
    pub(super) fn on_answered(&mut self, seq: u64, starts: bool, effects: &mut Vec<Effect>) {
        if starts {
            return self.ledger.allow(seq);
        }
        let Some(record) = self.ledger.take_asked(seq) else { return };
        if self.limits.policy.is_xargs {
            self.tally.before.passed_over += 1;
            effects.push(Effect::Skip { seq, last: seq });
            return;
        }
        let attempts = record.attempt - 1;
        self.fail_unrun((seq, record.value), Cause::Declined, (attempts, false), effects);
    }

    fn may_publish(&self, now: Now) -> bool {
        let is_all_known = !self.limits.starts_after_input() || !self.intake.is_open();
        let waits = self.intake.waits_until(self.ledger.accepted(), self.tokens());
        !self.is_stopped()
            && !self.ledger.is_asking()
            && !self.pressure.allows_nothing()
            && is_all_known
            && waits.is_none_or(|until| now >= until)
            && (!self.pace.is_limited() || self.pace.may_start(now))
    }

    /// Whether a task waits that could start if its conditions were met.
    fn wants_start(&self) -> bool {
        let room = self.control.room();
        !self.is_stopped()
            && !self.pressure.allows_nothing()
            && (!self.limits.starts_after_input() || !self.intake.is_open())
            && self.ledger.has_unplaced()
            && self.ledger.in_slots() < room.at_most.min(room.refilled_below)
    }

    /// Asks the adapters whether the next task may start.
    pub(super) fn ask_for_start(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let (wanted, runs) = (self.wants_start(), self.ledger.in_slots() > 0);
        if (wanted || runs) && !self.is_closing() && self.pace.asks(wanted, now) {
            effects.push(Effect::LookBeforeStart);
        }
    }

    /// When the conditions of the next start may be met.
    pub(super) fn pace_due(&self) -> Option<Now> {
        if !self.pace.is_limited() || self.is_closing() {
            return None;
        }
        self.pace.due(self.wants_start(), self.ledger.in_slots() > 0)
    }

    pub(super) fn on_may_start(
        &mut self,
        permission: Permission,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        self.pace.answered(permission, now);
        if permission == Permission::StopYoungest && self.ledger.in_slots() > 0 {
            effects.push(Effect::StopYoungest);
        }
    }

    /// Puts tasks into slots. Returns these slots.
    fn place(&mut self) -> Vec<u16> {
        let threads = self.threads_each();
        let room = self.control.room();
        let waits_for_turn = self.pressure.waits_for_turn();
        let mut placed = Vec::new();
        // Where each start has conditions, the next one is another start.
        let one_only = self.pace.is_limited();
        while placed.is_empty() || !one_only {
            // If the next task may have cut an epoch short, only as many are published as run at
            // once: if it happens again, one of these caused it. The same if values are large.
            let is_close = self.ledger.next_was_in_a_cut_epoch() || self.ledger.is_next_large();
            let at_most = match is_close {
                true => room.at_most.min(self.control.at_once()),
                false => room.at_most,
            };
            let enough = if placed.is_empty() { at_most.min(room.refilled_below) } else { at_most };
            if self.ledger.in_slots() >= enough {
                break;
            }
            let Some(slot) = self.ledger.place(waits_for_turn, threads) else { break };
            placed.push(slot);
        }
        if one_only && !placed.is_empty() {
            return placed;
        }
        if room.at_most > 0 && waits_for_turn {
            placed.extend(self.ledger.place_lowest(threads));
        } else if room.at_most > 0 && (!self.intake.is_open() || self.limits.has_client) {
            // What a client submits next may depend on the outcome of a suspect.
            placed.extend(self.ledger.place_suspect(threads));
        }
        placed
    }

    /// The number of threads for each attempt: tokens for which there will be no other task are
    /// offered to the remaining tasks.
    fn threads_each(&self) -> u32 {
        if self.intake.is_open() {
            return 1;
        }
        let left = self.ledger.left().max(1);
        (self.tokens() as usize / left).max(1) as u32
    }

    /// The number of tokens that may be used.
    pub(crate) fn tokens(&self) -> u32 {
        self.control.jobs().map_or(self.limits.procs, |jobs| jobs.min(self.limits.procs))
    }
}
