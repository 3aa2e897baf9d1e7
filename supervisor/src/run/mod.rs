//! The event loop: gathers events, lets the engine decide, carries out its effects. Only here the
//! pure core and the adapters meet.

mod activity;
mod apply;
mod asking;
mod clock;
mod collect;
mod commits;
mod control;
mod daemons;
mod error;
mod filing;
mod finish;
mod inputs;
mod node_link;
mod notify;
mod pins;
mod pipeline;
mod progress;
mod publishing;
mod reading_on;
mod reports;
mod run_log;
mod sampling;
mod segment_recovery;
mod serving;
mod setup;
mod share;
mod shown;
mod start_conditions;
mod stats;
mod status;
mod suspend;
mod usage;
mod wakeups;
mod watching;

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::cli::Plan;
use crate::engine::{Effect, Engine, Event, View};
use crate::report::trace;
use crate::tasks::slots::Queue;
use crate::workers::processes::Crew;

use clock::{Clock, LOOK_AT_LEAST};
use commits::Commits;
use error::RunError;
use inputs::Inputs;
use node_link::NodeLink;
use reports::Reports;
use run_log::RunLog;
use segment_recovery::Segments;
use shown::Shown;
use start_conditions::Conditions;
use usage::Usage;
use wakeups::Wakeups;
use watching::Watch;

const SIGKILL: u8 = 9;
const SIGUSR1: u8 = 10;
const SIGPIPE: u8 = 13;

/// How msup exits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Status(u8),
    /// By the signal that stopped the run.
    Signal(u8),
}

/// Runs a plan until it finishes.
///
/// # Errors
/// [`RunError`].
pub(crate) fn run(plan: Plan) -> Result<Exit, RunError> {
    let mut run = Run::start(plan)?;
    run.turn_until_finished().map_err(RunError::of("the event loop"))?;
    Ok(run.finish())
}

/// A run: the engine, and one adapter for each part of the world that it acts on.
struct Run {
    engine: Engine,
    inputs: Inputs,
    queue: Queue,
    crew: Crew,
    usage: Usage,
    conditions: Conditions,
    watch: Watch,
    shown: Shown,
    log: RunLog,
    /// For tasks that make files.
    commits: Option<Commits>,
    reports: Reports,
    clock: Clock,
    wakeups: Wakeups,
    finished: bool,
    /// Last: the folder of the run is removed after everything that writes to it.
    segments: Segments,
}

impl Run {
    fn turn_until_finished(&mut self) -> io::Result<()> {
        let (mut events, mut effects) = (Vec::new(), Vec::new());
        while !self.finished || self.reads_on() || self.awaits_orders() {
            // Between two events the words in the segment and the engine's table must agree.
            if events.is_empty()
                && let Err(violation) = self.audit()
            {
                self.begin_anew(&violation, &mut effects);
                self.perform(&mut effects, &mut events);
            }
            self.note_standstill();
            self.gather(&mut events);
            for event in events.drain(..) {
                self.engine.step(event, self.clock.now(), &mut effects);
            }
            self.take_input(&mut effects);
            self.perform(&mut effects, &mut events);
            self.measure(&mut effects);
            // It may have been stopped in the middle of this turn.
            self.note_standstill();
            self.watch_attempts();
            let view = self.look();
            self.tell_node(&view);
            self.engine.step(Event::Looked(view), self.clock.now(), &mut effects);
            self.perform(&mut effects, &mut events);
            self.tell();
            self.sample();
            self.publish_metrics();
            self.tell_clients();
            self.log.flush();
            self.log.words().iter().for_each(|text| self.shown.say(text));
            if let Some(commits) = self.commits.as_mut().filter(|_| self.log.is_sound()) {
                commits.carry_out();
            }
            if self.log.is_sound() {
                self.remove_temporaries();
            }
            let is_idle = events.is_empty()
                && !self.inputs.has_more()
                && !self.engine.starts_more()
                && self.queue.violation.is_none();
            if is_idle && (!self.finished || self.reads_on() || self.awaits_orders()) {
                self.sleep()?;
            }
        }
        Ok(())
    }

    /// Whether the run is over except for files of which a node says what becomes of them.
    fn awaits_orders(&self) -> bool {
        self.inputs.node.as_ref().is_some_and(NodeLink::is_busy)
    }

    fn look(&mut self) -> View {
        self.segments.note_look();
        self.lend();
        let shared = self.segments.shared();
        // In this order: a task claimed after the first read is seen as held in the second.
        let (ready, in_flight) = shared.tasks.load();
        let census = shared.tokens.census();
        self.reports.figures.look(census, in_flight);
        let parked = shared.line.parked().map(|worker| {
            let slot = shared.line.slot(worker);
            (worker, slot.map_or(0, |slot| slot.counters.tasks.load(Ordering::Relaxed)))
        });
        View {
            idle: census.idle,
            owed: self.usage.owed(),
            running: census.running,
            granted: census.granted,
            foreign: census.foreign,
            in_flight,
            blocked: census.blocked,
            ready,
            waiting: shared.line.waiting(),
            parked: parked.collect(),
        }
    }

    /// Closes the window in which use is measured, if it is time.
    fn measure(&mut self, effects: &mut Vec<Effect>) {
        let waits_elsewhere = self.inputs.node.as_ref().is_some_and(NodeLink::has_more);
        let has_more = self.engine.has_more() || waits_elsewhere;
        let is_ramping = self.engine.is_ramping();
        let segment = self.segments.current();
        if let Some(window) = self.usage.window(segment, &self.crew, has_more, is_ramping) {
            self.engine.step(Event::Measured(window), self.clock.now(), effects);
        }
    }

    /// Puts as many tokens into use as there are to be.
    fn lend(&mut self) {
        if self.usage.lend(self.clock.now(), self.segments.current(), &self.crew) {
            self.queue.announce();
        }
    }

    fn sleep(&mut self) -> io::Result<()> {
        let now = self.clock.now();
        let until = |at: Duration| at.saturating_sub(now);
        // A line that has just become due is printed at once. What the engine wanted to look at in
        // the past it has looked at.
        let trace = self.reports.trace_due().map(until);
        let engine = self.engine.looks_again_at().map(until).filter(|nap| !nap.is_zero());
        let stopping = self.watch.stopping.due().map(|at| at.saturating_sub(self.clock.active()));
        let clients = self.reports.controlled.due().map(until);
        let nap = [trace, engine, self.usage.due(), stopping, clients]
            .into_iter()
            .flatten()
            .fold(LOOK_AT_LEAST, Duration::min);
        let (segments, shared) = (&self.segments, self.segments.shared());
        let has_news = || shared.done.any() || segments.wants_worker();
        self.crew.note(self.wakeups.sleep(&shared, nap, has_news)?);
        self.crew.escalate();
        Ok(())
    }

    /// Progress and the trace line.
    fn tell(&mut self) {
        self.tell_progress();
        if let Some(left) = self.crew.slow_to_leave() {
            let programs = if left == 1 { "a program" } else { &format!("{left} programs") };
            self.shown.say(&format!(
                "waiting for {programs} to exit after the end of the input (--leave-timeout limits \
                 this, a third signal kills what is left)"
            ));
        }
        if let Some(notice) = self.queue.notice.take() {
            self.shown.say(&notice);
        }
        let now = self.clock.now();
        self.tell_pins(now);
        if self.reports.takes_trace(now) {
            self.shown.print_if_read(|| format!("{}\n", self.trace_line(now)));
        }
    }

    fn tell_pins(&mut self, now: Duration) {
        if self.crew.runs_commands {
            return;
        }
        let shared = self.segments.shared();
        let census = shared.tokens.census();
        let tasks_wait =
            census.idle == 0 && (shared.tasks.any_ready() || shared.line.has_waiters());
        let procs = shared.tokens.procs();
        if let Some(text) = self.reports.pins.look(&shared, procs, tasks_wait, now) {
            self.shown.say(&text);
        }
    }

    fn trace_line(&self, at: Duration) -> trace::TraceLine {
        let shared = self.segments.shared();
        let (ready, in_flight) = shared.tasks.load();
        let findings = self.segments.findings();
        trace::TraceLine {
            at,
            tokens: shared.tokens.census(),
            workers: self.engine.workers_alive(),
            parked: shared.line.parked_count(),
            waiting: shared.line.waiting(),
            ready,
            in_flight,
            retakes: findings.retakes.load(Ordering::Relaxed),
            steals: self.crew.counted().steals,
            rescues: findings.rescues.load(Ordering::Relaxed),
            lost: self.engine.tally().lost_workers,
            measured: self.engine.target().and_then(|target| self.usage.traced(target)),
        }
    }
}
