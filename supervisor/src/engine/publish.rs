//! Which tasks workers see: publishing, and withdrawing what no worker has claimed.

use super::{Effect, Engine, Entry, Now, TaskRecord};

impl Engine {
    /// Withdraws the tasks that no worker has claimed yet.
    pub(super) fn hold_back(&mut self, effects: &mut Vec<Effect>) {
        // The last first: each goes before all others when it is put back.
        let slots = self.ledger.in_order();
        effects.extend(slots.into_iter().rev().map(|slot| Effect::Withdraw { slot }));
    }

    pub(super) fn on_withdrawn(&mut self, slot: u16, effects: &mut Vec<Effect>) {
        let Some(record) = self.ledger.remove(slot) else { return };
        let (seq, value, attempt) = (record.seq, record.value.clone(), record.attempt);
        effects.push(Effect::Record(Entry::Withdrawn { seq, value, attempt }));
        if self.is_stopped() {
            self.tally.cancelled += 1;
        } else {
            self.ledger.put_back(record);
        }
    }

    /// Publishes as many tasks as may be.
    pub(super) fn publish(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if !self.may_publish(now) {
            return;
        }
        let placed = self.place();
        // All of them are journaled at once, before the first one is published.
        for slot in &placed {
            if let Some(TaskRecord { seq, value, attempt, .. }) = self.ledger.at(*slot) {
                let (seq, value, attempt, slot) = (*seq, value.clone(), *attempt, *slot);
                effects.push(Effect::Record(Entry::Start { seq, value, attempt, slot }));
            }
        }
        effects.extend(placed.into_iter().map(|slot| Effect::Publish { slot }));
    }

    fn may_publish(&self, now: Now) -> bool {
        let is_order_known = !self.limits.longest_first || !self.intake.is_open();
        let waits = self.intake.waits_until(self.ledger.accepted(), self.limits.procs);
        !self.is_stopped()
            && !self.pressure.allows_nothing()
            && is_order_known
            && waits.is_none_or(|until| now >= until)
    }

    /// Puts tasks into slots. Returns these slots.
    fn place(&mut self) -> Vec<u16> {
        let threads = self.threads_each();
        let room = self.control.room();
        let waits_for_turn = self.pressure.waits_for_turn();
        let mut placed = Vec::new();
        loop {
            // If the next task may have cut an epoch short, only as many are published as run at
            // once. If it happens again, one of these caused it.
            let at_most = match self.ledger.next_was_in_a_cut_epoch() {
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
        (self.limits.procs as usize / left).max(1) as u32
    }
}
