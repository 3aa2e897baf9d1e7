//! The pure core of a run: `step(event, now)` changes the state and says what to do. No clock, no
//! I/O.
//!
//! The adapters report everything that happens as an [`Event`] and carry out every [`Effect`]; the
//! same events at the same times give the same effects. A task goes `pending → in a slot →
//! succeeded | failed | quarantined | cancelled`, or back to pending when its attempt failed,
//! crashed or was killed from outside and may be retried.

pub(crate) mod concurrency;
mod effect;
mod event;
mod ladder;
pub(crate) mod sabotage;
mod shutdown;
pub(crate) mod task;
pub(crate) mod time;
pub(crate) mod worker;

#[cfg(test)]
mod tests;

use std::time::Duration;

use msup_protocol::exit;

pub(crate) use concurrency::limit::{Ended, Window};
pub(crate) use effect::{Effect, Entry, Kind};
pub(crate) use event::{Earlier, Event, Input, Killed, Leave, Tried, View};
pub(crate) use ladder::{Act, Ladder, Step};
pub(crate) use task::counts::{FAILURES_NAMED, Failure, Tally};
pub(crate) use task::retry::{Counted, Halt, Policy, Threshold, Timeout};
pub(crate) use task::table::TaskRecord;
pub(crate) use time::Now;
pub(crate) use worker::stall::AtCap;

use concurrency::oom_backoff::Company;
use concurrency::start_gate::Starts;
use shutdown::Stop;
use task::outcome::{Cause, judge_loss, judge_stopped};
pub(crate) use task::outcome::{has_succeeded, is_kill};
use task::retry::{Backoff, Median, share_of};
use task::table::Ledger;
use worker::pool::Pool;
use worker::stall::Stall;

/// While fewer tasks are known than there are tokens, they wait this long in case more come: if
/// not, each may use several tokens.
const MORE_WITHIN: Duration = Duration::from_millis(5);

/// What the engine needs to know of the plan.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// What workers run, for messages.
    pub(crate) worker_program: String,
    pub(crate) procs: u32,
    pub(crate) max_workers: u16,
    pub(crate) task_slots: usize,
    /// The number of tasks that may be published and unfinished, where `admits` does not decide it.
    pub(crate) most_published: usize,
    pub(crate) idle_timeout: Duration,
    pub(crate) at_cap: AtCap,
    /// The number of commands in flight follows their resource use.
    pub(crate) admits: bool,
    /// Tasks are started longest first, once all of them are known.
    pub(crate) longest_first: bool,
    /// Bytes of memory that commands may use together.
    pub(crate) memory: Option<u64>,
    pub(crate) policy: Policy,
    /// For random choices.
    pub(crate) seed: u64,
}

/// The state of a run.
#[derive(Debug)]
pub(crate) struct Engine {
    worker_program: String,
    procs: u32,
    max_workers: u32,
    longest_first: bool,
    ledger: Ledger,
    most_published: usize,
    pool: Pool,
    stall: Stall,
    at_cap: AtCap,
    /// For commands, if their number follows their resource use.
    starts: Option<Starts>,
    /// The limit on tasks under way, where their number does not follow resource use.
    company: Company,
    /// The number that were under way at the last look.
    under_way: u32,
    /// When the last epochs were cut short.
    epochs: Vec<Now>,
    tally: Tally,
    policy: Policy,
    backoff: Backoff,
    median: Median,
    /// The time limit for attempts that was last announced.
    limit: Option<Duration>,
    stop: Stop,
    /// It stops because of --halt.
    halted: bool,
    /// The signal that stops it.
    stopped_by: Option<u8>,
    /// When running tasks are no longer waited for.
    drains_until: Option<Now>,
    inputs_ended: bool,
    /// It was stopped before all input was read.
    unread: bool,
    /// When the first input came.
    first_input: Option<Now>,
    output_pressure: bool,
    /// There is no space left for the journal.
    journal_full: bool,
    startup_failures: u32,
    /// A worker has taken up work.
    has_attached: bool,
    /// Workers killed from outside while none came up: how many, and when the first was.
    killed_at_startup: Option<(u32, Now)>,
    closing: bool,
    finished: bool,
}

impl Engine {
    pub(crate) fn new(limits: Limits) -> Engine {
        let cap = u32::from(limits.max_workers);
        Engine {
            starts: limits.admits.then(|| Starts::new(limits.procs, cap, limits.memory)),
            worker_program: limits.worker_program,
            procs: limits.procs,
            max_workers: cap,
            longest_first: limits.longest_first,
            ledger: Ledger::new(limits.task_slots),
            most_published: limits.most_published,
            pool: Pool::new(limits.max_workers, limits.idle_timeout),
            stall: Stall::default(),
            at_cap: limits.at_cap,
            company: Company::default(),
            under_way: 0,
            epochs: Vec::new(),
            tally: Tally::default(),
            backoff: Backoff::new(limits.policy.backoff, limits.seed),
            policy: limits.policy,
            median: Median::default(),
            limit: None,
            stop: Stop::No,
            halted: false,
            stopped_by: None,
            drains_until: None,
            inputs_ended: false,
            unread: false,
            first_input: None,
            output_pressure: false,
            journal_full: false,
            startup_failures: 0,
            has_attached: false,
            killed_at_startup: None,
            closing: false,
            finished: false,
        }
    }

    /// Takes in one event and appends the resulting effects.
    pub(crate) fn step(&mut self, event: Event, now: Now, effects: &mut Vec<Effect>) {
        match event {
            Event::Inputs(inputs) => {
                self.first_input.get_or_insert(now);
                self.on_inputs(inputs, effects);
            }
            Event::InputsEnded => {
                (self.inputs_ended, self.unread) = (true, false);
                effects.push(Effect::Record(Entry::InputsEnd(self.ledger.accepted())));
                if self.longest_first {
                    self.ledger.order_longest_first();
                }
                if self.halts_by_share() {
                    self.halt_if_due(0, effects);
                }
            }
            Event::InputFailed(why) => self.on_input_failed(why, effects),
            Event::Collected { slot, outcome, starved, killed } => {
                self.on_collected(slot, outcome, (starved, killed), now, effects);
            }
            Event::Withdrawn { slot } => self.on_withdrawn(slot, effects),
            Event::CannotPublish { slot, why } => self.on_cannot_publish(slot, why, now, effects),
            Event::WorkerSettled(worker) => {
                (self.startup_failures, self.killed_at_startup) = (0, None);
                self.has_attached = true;
                self.pool.settled(worker);
            }
            Event::WorkerEnded { worker, end, claimed, starved, killed } => {
                let ruling = judge_loss(end, starved);
                let rule = |slot| match &killed {
                    Some((stopped, why)) if *stopped == slot => {
                        (slot, judge_stopped(why.clone(), ruling.clone()))
                    }
                    _ => (slot, ruling.clone()),
                };
                let claimed = claimed.into_iter().map(rule).collect();
                self.on_worker_ended(worker, ruling, end, claimed, now, effects);
            }
            Event::SpawnFailed { worker, why } => self.on_spawn_failed(worker, why, now, effects),
            Event::Looked(view) => self.on_looked(&view, now, effects),
            Event::Measured(window) => {
                let left = self.inputs_ended.then(|| self.ledger.left() as u32);
                if let Some(starts) = &mut self.starts {
                    starts.measured(&window, left, now);
                }
            }
            Event::OutputPressure(pressure) => self.output_pressure = pressure,
            Event::OutputClosed { in_vain, quiet } => {
                self.on_output_closed(in_vain, quiet, effects);
            }
            Event::OutputFailed(why) => self.on_output_failed(&why, effects),
            Event::JournalFull(full) => self.on_journal_full(full.as_deref(), effects),
            Event::JournalLost(why) => self.on_journal_lost(&why, effects),
            Event::EpochEnded { why, failed, unstarted } => {
                self.on_epoch_ended(&why, failed, &unstarted, now, effects);
            }
            Event::StopSignal(signal) => self.on_stop_signal(signal, effects),
        }
        self.limit_drain(now, effects);
        self.ledger.wake(now);
        if self.limit.is_none() {
            self.limit_time(effects);
        }
        self.publish(now, effects);
        self.close_when_done(effects);
    }

    /// Whether more input should be read now.
    pub(crate) fn wants_input(&self) -> bool {
        !self.inputs_ended
            && self.stop == Stop::No
            && !self.output_pressure
            && !self.journal_full
            && (self.longest_first
                || self.halts_by_share()
                || self.ledger.pending() < self.ledger.slots())
    }

    /// Whether all tasks must be known to decide when the run is aborted.
    fn halts_by_share(&self) -> bool {
        self.policy.halt.is_some_and(|halt| halt.needs_total())
    }

    /// When the engine wants to look again, if nothing happens before.
    pub(crate) fn looks_again_at(&self) -> Option<Now> {
        let starts = self.starts.as_ref().and_then(Starts::due);
        let first = self.first_input.filter(|_| self.may_be_all()).map(|first| first + MORE_WITHIN);
        let again = self.ledger.wakes_at();
        let drained = self.drains_until.filter(|_| matches!(self.stop, Stop::Drain(_)));
        self.pool
            .backs_off_until()
            .into_iter()
            .chain(starts)
            .chain(first)
            .chain(again)
            .chain(drained)
            .min()
    }

    /// The number of commands that may be in flight, if that follows their resource use.
    pub(crate) fn target(&self) -> Option<u32> {
        self.starts.as_ref().map(Starts::target)
    }

    /// Whether that number follows their resource use, which is still unknown.
    pub(crate) fn is_ramping(&self) -> bool {
        self.starts.as_ref().is_some_and(Starts::is_ramping)
    }

    /// Whether tasks wait that have not been published.
    pub(crate) fn has_more(&self) -> bool {
        self.ledger.pending() > 0
    }

    /// The task in a slot.
    pub(crate) fn task(&self, slot: u16) -> Option<&TaskRecord> {
        self.ledger.at(slot)
    }

    /// Whether every task has its outcome and workers are only told to exit.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.ledger.accepted()
    }

    /// Whether it was told to stop, or has to.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop != Stop::No
    }

    /// Whether all tasks have finished.
    pub(crate) fn is_complete(&self) -> bool {
        let is_all = self.tally.cancelled == 0 && !self.unread;
        self.finished && is_all && (self.halted || self.stop == Stop::No)
    }

    /// Whether it stops because of --halt.
    pub(crate) fn is_halted(&self) -> bool {
        self.halted
    }

    /// The number of all tasks, once known.
    pub(crate) fn total(&self) -> Option<u64> {
        (self.inputs_ended && !self.unread).then(|| self.ledger.accepted())
    }

    /// Whether it was stopped before all input was read.
    pub(crate) fn is_unread(&self) -> bool {
        self.unread
    }

    pub(crate) fn workers_alive(&self) -> usize {
        self.pool.alive()
    }

    pub(crate) fn workers_peak(&self) -> u32 {
        self.pool.peak()
    }

    pub(crate) fn workers_spawned(&self) -> u64 {
        self.pool.spawned
    }

    pub(crate) fn workers_reaped_idle(&self) -> u64 {
        self.pool.reaped_idle
    }

    /// Whether running tasks were stopped rather than waited for.
    pub(crate) fn was_killed(&self) -> bool {
        matches!(self.stop, Stop::Kill(_))
    }

    /// The signal that stops the run, if one does.
    pub(crate) fn stopped_by(&self) -> Option<u8> {
        self.stopped_by
    }

    pub(crate) fn stalls(&self) -> u64 {
        self.stall.count
    }

    /// The exit status of the run so far.
    pub(crate) fn exit_status(&self) -> u8 {
        match self.stop {
            // As in GNU parallel: for a percentage, the status is a percentage.
            Stop::No if self.halts_by_share() => {
                share_of(self.tally.unsuccessful(), self.tally.ended())
            }
            Stop::No => exit::for_failures(self.tally.unsuccessful()),
            Stop::Drain(status) | Stop::Kill(status) => status,
        }
    }

    fn on_inputs(&mut self, inputs: Vec<Input>, effects: &mut Vec<Effect>) {
        for Input { value, seq, expected, earlier } in inputs {
            if let Some((seq, last)) = seq.and_then(|seq| self.ledger.pass_over_to(seq)) {
                effects.push(Effect::Skip { seq, last });
            }
            match earlier {
                Earlier::Nothing => self.ledger.accept(value, expected, Tried::default()),
                Earlier::Tried(tried) => self.accept(value, expected, tried, effects),
                Earlier::Succeeded => {
                    let seq = self.ledger.pass_over();
                    effects.push(Effect::Skip { seq, last: seq });
                    self.tally.succeeded += 1;
                    self.tally.succeeded_earlier += 1;
                }
                Earlier::Refused(why) => self.refuse(value, why, effects),
                Earlier::Failed { cause, attempts, quarantined } => {
                    let (seq, cause) = (self.ledger.pass_over(), Cause::Earlier(cause));
                    effects.push(Effect::Skip { seq, last: seq });
                    self.tally.failed_earlier += 1;
                    self.tally.note_failure(Failure { seq, value, cause, attempts, quarantined });
                }
            }
        }
        if self.stop != Stop::No {
            self.tally.cancelled += self.ledger.drop_pending();
        }
    }

    pub(super) fn on_withdrawn(&mut self, slot: u16, effects: &mut Vec<Effect>) {
        let Some(record) = self.ledger.remove(slot) else { return };
        let (seq, value, attempt) = (record.seq, record.value.clone(), record.attempt);
        effects.push(Effect::Record(Entry::Withdrawn { seq, value, attempt }));
        if self.stop == Stop::No {
            self.ledger.put_back(record);
        } else {
            self.tally.cancelled += 1;
        }
    }

    fn on_looked(&mut self, view: &View, now: Now, effects: &mut Vec<Effect>) {
        if self.closing || self.stop != Stop::No {
            return;
        }
        self.under_way = view.in_flight;
        self.company.measured(view.in_flight, 0.0, now);
        let startable = self.startable(view);
        self.watch_starts(now, effects);
        if self.stall.look(self.pool.is_exhausted(view, startable), now) {
            self.on_stall(effects);
        }
        let spawned = self.pool.choose_to_spawn(view, startable, now);
        effects.extend(spawned.into_iter().map(Effect::Spawn));
        if let Some(starts) = &mut self.starts
            && starts.allow(view, startable, now, effects)
        {
            self.hold_back(effects);
        }
        // Workers with nothing left to do exit while the last tasks run, not after them.
        let all_run = self.ledger.left() == self.ledger.in_slots() && view.ready == 0;
        let no_more = self.inputs_ended && all_run;
        for worker in self.pool.choose_to_dismiss(view, no_more, now) {
            if self.pool.set_leaving(worker) {
                effects.push(Effect::Dismiss(worker));
            }
        }
    }

    /// The number of further tasks that could be started now, if there are any.
    fn startable(&self, view: &View) -> u32 {
        let usable = (view.idle + view.blocked).saturating_sub(view.waiting);
        self.starts.as_ref().map_or(usable, |starts| starts.startable(view))
    }

    /// Withdraws the tasks that no worker has claimed yet.
    fn hold_back(&mut self, effects: &mut Vec<Effect>) {
        // The last first: each goes before all others when it is put back.
        let slots: Vec<u16> = self.ledger.occupied().collect();
        effects.extend(slots.into_iter().rev().map(|slot| Effect::Withdraw { slot }));
    }

    fn on_stall(&mut self, effects: &mut Vec<Effect>) {
        let n = self.pool.alive();
        let why = format!(
            "all {n} workers are in blocking calls while tasks are ready and a CPU is free: allow \
             more of them with --max-workers"
        );
        match self.at_cap {
            AtCap::Wait => effects.push(Effect::Say(why)),
            AtCap::Fail => self.fail(why, effects),
        }
    }

    /// Whether these may be all the tasks there are, fewer than tokens.
    fn may_be_all(&self) -> bool {
        !self.inputs_ended && self.ledger.accepted() < u64::from(self.procs)
    }

    fn publish(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let held_up = self.journal_full || (self.longest_first && !self.inputs_ended);
        if self.stop != Stop::No || held_up {
            return;
        }
        let first = self.first_input.unwrap_or(now);
        if self.may_be_all() && now.saturating_sub(first) < MORE_WITHIN {
            return;
        }
        // Tokens for which there will be no other task are offered to the remaining tasks.
        let left = self.ledger.left().max(1);
        let threads =
            if self.inputs_ended { (self.procs as usize / left).max(1) } else { 1 } as u32;
        // With `-k` outputs that wait to be written may wait for a task that must run again.
        let limit = self.starts.as_ref().map_or(self.most_published, Starts::publishable);
        let refilled_below = self.starts.as_ref().map_or(limit, Starts::refilled_below);
        // Where the next finished task may abort the run, workers start none on their own.
        let none_ahead = self.starts.as_ref().map_or(self.max_workers, Starts::target) as usize;
        let limit = if self.policy.halt.is_some() { limit.min(none_ahead) } else { limit };
        let limit = limit.min(self.company.at_most() as usize);
        let under_way = self.under_way.max(self.procs) as usize;
        let mut placed = Vec::new();
        loop {
            // Of tasks that may have caused the end of an epoch no more are published than run at
            // once: if it happens again, one of these caused it.
            let limit = match self.ledger.next_has_seen_the_end() {
                true => limit.min(under_way),
                false => limit,
            };
            let enough = if placed.is_empty() { limit.min(refilled_below) } else { limit };
            if self.ledger.in_slots() >= enough {
                break;
            }
            let Some(slot) = self.ledger.place(self.output_pressure, threads) else { break };
            placed.push(slot);
        }
        // With `-k` outputs may wait for that of a suspect, and everything else for these outputs.
        let others_wait = self.output_pressure;
        if limit > 0 && (self.inputs_ended || others_wait) {
            placed.extend(self.ledger.place_suspect(others_wait, threads));
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
}
