//! The pure core of a run: `step(event, now)` changes the state and says what to do. No clock, no
//! I/O.
//!
//! The adapters report everything that happens as an [`Event`] and carry out every [`Effect`]; the
//! same events at the same times give the same effects. A task goes `pending → in a slot →
//! succeeded | failed | quarantined | cancelled`, or back to pending when its attempt failed,
//! crashed or was killed from outside and may be retried. A task that has parked itself is pending
//! until its wake-up.

pub(crate) mod concurrency;
mod effect;
mod event;
mod intake;
mod ladder;
mod limits;
mod pressure;
mod publish;
mod shutdown;
pub(crate) mod task;
pub(crate) mod time;
pub(crate) mod worker;

#[cfg(test)]
mod tests;

use msup_protocol::exit;

pub(crate) use concurrency::pace::{Permission, StartRules};
pub(crate) use concurrency::window::{Ended, Window};
pub(crate) use effect::{Effect, Emitted, Entry, Kind};
pub(crate) use event::{Earlier, Event, Input, Killed, Leave, Steering, Tried, Turn, View};
pub(crate) use ladder::{Act, Ladder, Step};
pub(crate) use limits::Limits;
pub(crate) use task::counts::{FAILURES_NAMED, Failure, Tally};
pub(crate) use task::emitted::EMITTED_FROM;
pub(crate) use task::outcome::{Cause, has_succeeded, is_answer, is_kill};
pub(crate) use task::policy::{Counted, Halt, PlainSignals, Policy, Threshold, Timeout};
pub(crate) use task::table::TaskRecord;
pub(crate) use time::Now;
pub(crate) use worker::stall::AtCap;

use concurrency::control::Control;
use concurrency::pace::Pace;
use intake::Intake;
pub(crate) use pressure::OutputPressure;
use pressure::Pressure;
use shutdown::Shutdown;
use task::outcome::{judge_loss, judge_stopped};
use task::policy::share_of;
use task::retry::Backoff;
use task::table::Ledger;
use task::time_limit::TimeLimit;
use task::xargs;
use worker::epochs::Epochs;
use worker::pool::Pool;
use worker::startup::Startup;

/// The state of a run.
#[derive(Debug)]
pub(crate) struct Engine {
    limits: Limits,
    intake: Intake,
    /// The unfinished tasks.
    ledger: Ledger,
    tally: Tally,
    /// The number of tasks that may be published.
    control: Control,
    /// Whether the next task may start.
    pace: Pace,
    pressure: Pressure,
    /// The delays before retries.
    backoff: Backoff,
    time_limit: TimeLimit,
    /// The workers.
    pool: Pool,
    startup: Startup,
    epochs: Epochs,
    shutdown: Shutdown,
}

impl Engine {
    pub(crate) fn new(limits: Limits) -> Engine {
        Engine {
            intake: Intake::default(),
            ledger: Ledger::new(limits.task_slots),
            tally: Tally::default(),
            control: Control::new(&limits),
            pace: Pace::new(limits.starts),
            pressure: Pressure::default(),
            backoff: Backoff::new(limits.policy.backoff, limits.seed),
            time_limit: TimeLimit::new(limits.policy.timeout),
            pool: Pool::new(limits.max_workers, limits.idle_timeout),
            startup: Startup::default(),
            epochs: Epochs::default(),
            shutdown: Shutdown::default(),
            limits,
        }
    }

    /// Takes in one event and appends the resulting effects.
    pub(crate) fn step(&mut self, event: Event, now: Now, effects: &mut Vec<Effect>) {
        match event {
            Event::Inputs(inputs) => {
                self.intake.receive(now);
                self.on_inputs(inputs, now, effects);
            }
            Event::OfOthers(values) => self.leave_to_others(values, effects),
            Event::InputsEnded => self.on_inputs_ended(effects),
            Event::InputFailed(why) => self.on_input_failed(why, effects),
            Event::Collected { slot, outcome, starved, killed } => {
                self.on_collected(slot, outcome, (starved, killed), now, effects);
            }
            Event::Withdrawn { slot } => self.on_withdrawn(slot, effects),
            Event::CannotPublish { slot, why } => self.on_cannot_publish(slot, why, now, effects),
            Event::WorkerSettled(worker) => {
                self.startup.succeeded();
                self.pool.settled(worker);
                self.pace.settled(now);
            }
            Event::WorkerGone { worker, end, claimed, starved, killed } => {
                let ruling = judge_loss(end, starved);
                let rule = |slot| match &killed {
                    Some((stopped, why)) if *stopped == slot => {
                        (slot, judge_stopped(why.clone(), ruling.clone()))
                    }
                    _ => (slot, ruling.clone()),
                };
                let claimed = claimed.into_iter().map(rule).collect();
                self.on_worker_gone(worker, ruling, end, claimed, now, effects);
            }
            Event::SpawnFailed { worker, why } => self.on_spawn_failed(worker, &why, now, effects),
            Event::EndNoted(seq) => self.ledger.release(seq),
            Event::EndLost(seq) => self.cancel_emitted(seq, effects),
            Event::EndAwaitsTurn(seq) => self.ledger.awaits_turn(seq),
            Event::Reserved(last) => {
                let skipped = self.ledger.reserve(last);
                effects.extend(skipped.map(|(seq, last)| Effect::Skip { seq, last }));
            }
            Event::Looked(view) => self.on_looked(&view, now, effects),
            Event::Measured(window) => {
                let is_all = !self.intake.is_open();
                let left = is_all.then(|| self.ledger.left() as u32);
                self.control.measured(&window, left, now);
            }
            Event::MayStart(permission) => self.on_may_start(permission, now, effects),
            Event::Answered { seq, starts } => self.on_answered(seq, starts, effects),
            Event::Steered(steering) => self.on_steered(steering, effects),
            Event::OutputPressure(pressure) => self.pressure.set_output(pressure),
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
        if !self.time_limit.is_announced() {
            self.limit_time(effects);
        }
        self.publish(now, effects);
        if self.pace.is_limited() {
            self.ask_for_start(now, effects);
        }
        self.close_when_done(effects);
    }

    /// Whether more input should be read now.
    pub(crate) fn wants_input(&self) -> bool {
        // Outputs that wait for their turn may wait for a task that has not been read.
        let is_held_up = match self.pressure.waits_for_turn() && !self.pressure.allows_nothing() {
            true => self.ledger.fresh() > 0 || self.ledger.in_slots() > 0,
            false => self.pressure.is_any(),
        };
        self.intake.is_open()
            && !self.is_stopped()
            && !is_held_up
            && (self.limits.needs_all_input()
                || self.ledger.fresh() < self.ledger.slots() && !self.ledger.is_large())
    }

    /// When the engine wants to look again, if nothing happens before.
    pub(crate) fn looks_again_at(&self) -> Option<Now> {
        let more_input = self.intake.waits_until(self.ledger.accepted(), self.tokens());
        let times = [
            self.pool.backs_off_until(),
            self.control.due(),
            more_input,
            self.ledger.wakes_at(),
            self.shutdown.drains_until(),
            self.pace_due(),
        ];
        times.into_iter().flatten().min()
    }

    /// Whether it wants to look again at once, to start more workers.
    pub(crate) fn starts_more(&self) -> bool {
        self.pool.starts_more() && !self.is_stopped() && !self.is_closing()
    }

    /// The number of commands that may be in flight, if that follows their resource use.
    pub(crate) fn target(&self) -> Option<(u32, &'static str)> {
        self.control.target()
    }

    /// Whether that number follows their resource use, which is still unknown.
    pub(crate) fn is_ramping(&self) -> bool {
        self.control.is_ramping()
    }

    /// The number of tasks that it can have at once now: of more, some would wait for a worker.
    pub(crate) fn capacity(&self, view: &View) -> u32 {
        let is_open = self.intake.is_open() && !self.is_stopped();
        if !is_open || self.pressure.allows_nothing() {
            return 0;
        }
        match self.control.target() {
            Some((target, _)) => target,
            None => {
                let room = self.control.room().at_most as u32;
                let run = view.in_flight + self.control.startable(view);
                run.max(self.tokens()).min(self.limits.max_workers.into()).min(room)
            }
        }
    }

    /// The numbers of the tasks in slots.
    pub(crate) fn numbers_in_slots(&self) -> impl Iterator<Item = u64> + '_ {
        self.ledger.occupied().filter_map(|slot| Some(self.ledger.at(slot)?.seq))
    }

    /// Whether tasks wait that have not been published.
    pub(crate) fn has_more(&self) -> bool {
        self.ledger.has_ready()
    }

    /// The task in a slot.
    pub(crate) fn task(&self, slot: u16) -> Option<&TaskRecord> {
        self.ledger.at(slot)
    }

    /// Whether every task has its outcome and workers are only told to exit.
    pub(crate) fn is_closing(&self) -> bool {
        self.shutdown.is_closing()
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The number of tasks that were taken in.
    pub(crate) fn accepted(&self) -> u64 {
        self.ledger.taken_in()
    }

    /// The number of values of the input among them.
    pub(crate) fn accepted_values(&self) -> u64 {
        self.ledger.accepted()
    }

    /// Whether it was told to stop, or has to.
    pub(crate) fn is_stopped(&self) -> bool {
        self.shutdown.is_stopped()
    }

    /// Whether all tasks have finished.
    pub(crate) fn is_complete(&self) -> bool {
        let is_all = self.tally.cancelled == 0 && !self.is_unread();
        // A signal in the last moments came too late to stop anything.
        let is_whole = self.is_halted() || !self.is_stopped() || self.stopped_by().is_some();
        self.shutdown.is_finished() && is_all && is_whole
    }

    /// Whether it stops because of --halt.
    pub(crate) fn is_halted(&self) -> bool {
        self.shutdown.is_halted()
    }

    /// The number of all tasks, once known.
    pub(crate) fn total(&self) -> Option<u64> {
        self.intake.is_complete().then(|| self.ledger.taken_in())
    }

    /// The largest number that a task has, once all input was read.
    pub(crate) fn last_number(&self) -> Option<u64> {
        self.intake.is_complete().then(|| self.ledger.last_number())
    }

    /// Whether it was stopped before all input was read.
    pub(crate) fn is_unread(&self) -> bool {
        self.intake.is_cut_short()
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
        self.shutdown.is_killing()
    }

    /// The signal that stops the run, if one does.
    pub(crate) fn stopped_by(&self) -> Option<u8> {
        self.shutdown.signal()
    }

    pub(crate) fn stalls(&self) -> u64 {
        self.pool.stalls_seen()
    }

    /// The exit status of the run so far.
    pub(crate) fn exit_status(&self) -> u8 {
        match self.shutdown.status() {
            Some(status) => status,
            None if self.limits.policy.is_xargs => self.status_of_xargs(),
            // As in GNU parallel: for a percentage, the status is a percentage.
            None if self.limits.halts_by_share() => {
                share_of(self.tally.unsuccessful(), self.tally.finished())
            }
            None => exit::for_failures(self.tally.unsuccessful()),
        }
    }

    /// The same where this number of failures counts.
    pub(crate) fn exit_status_for(&self, failures: u64) -> u8 {
        self.shutdown.status().unwrap_or_else(|| exit::for_failures(failures))
    }

    fn status_of_xargs(&self) -> u8 {
        match (self.tally.unsuccessful(), self.shutdown.input_failed()) {
            (0, false) => 0,
            (0, true) => xargs::WRONG,
            _ => xargs::FAILED,
        }
    }

    fn on_looked(&mut self, view: &View, now: Now, effects: &mut Vec<Effect>) {
        if self.is_closing() || self.is_stopped() {
            return;
        }
        self.control.look(view, now);
        self.pace.looked(view.ready, now);
        let startable = match self.pace.is_limited() {
            true => self.control.startable(view).min(view.ready),
            false => self.control.startable(view),
        };
        self.watch_starts(now, effects);
        if self.pool.stalls(view, startable, now) {
            self.on_stall(effects);
        }
        let spawned = self.pool.choose_to_spawn(view, startable, now);
        effects.extend(spawned.into_iter().map(Effect::Spawn));
        if self.control.allow(view, startable, now, effects) && view.ready > 0 {
            self.hold_back(effects);
        }
        // Workers with nothing left to do exit while the last tasks run, not after them.
        let all_run = self.ledger.left() == self.ledger.in_slots() && view.ready == 0;
        let no_more = !self.intake.is_open() && all_run;
        for worker in self.pool.choose_to_dismiss(view, no_more, now) {
            if self.pool.set_leaving(worker) {
                effects.push(Effect::Dismiss(worker));
            }
        }
    }

    fn on_stall(&mut self, effects: &mut Vec<Effect>) {
        let n = self.pool.alive();
        let why = format!(
            "all {n} workers are in blocking calls while tasks are ready and a CPU is free: allow \
             more of them with --max-workers"
        );
        match self.limits.at_cap {
            AtCap::Wait => effects.push(Effect::Say(why)),
            AtCap::Fail => self.fail(why, effects),
        }
    }
}
