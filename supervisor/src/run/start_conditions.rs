//! Looks at the conditions of a start for the engine: the machine, the command of `--limit`, and
//! the file of `-j`.

use std::io;

use msup_protocol::exit::WorkerEnd;

use super::Run;
use super::asking::Asking;
use crate::cli::{Jobs, JobsFile, StartConditions};
use crate::engine::{Event, Killed, Permission, Steering};
use crate::measure::start_checks::StartChecks;
use crate::os::process::{Process, start_command};

/// What the command of `--limit` says with its exit status.
const STARTS: i32 = 0;
const WAITS: i32 = 1;
const STOPS: i32 = 2;

/// The conditions, and the command that is being asked.
pub(super) struct Conditions {
    checks: StartChecks,
    /// The program and its arguments.
    limit: Vec<Vec<u8>>,
    running: Option<Process>,
    /// What is wrong with it was reported.
    has_told: bool,
    /// It says how many tasks may run at once.
    jobs_file: Option<JobsFile>,
    /// The user is asked before each start.
    pub(super) asking: Option<Asking>,
}

impl Conditions {
    pub(super) fn new(asked: StartConditions, jobs_file: Option<JobsFile>) -> Conditions {
        let StartConditions { busy_below, memory_free, no_swap, limit, prompt, .. } = asked;
        Conditions {
            checks: StartChecks::new(busy_below, memory_free, no_swap),
            limit,
            running: None,
            has_told: false,
            jobs_file,
            asking: prompt.map(Asking::new),
        }
    }

    /// What the command has said, if it has exited.
    fn answer(&mut self) -> Option<(Process, WorkerEnd)> {
        let end = self.running.as_ref()?.ended()?;
        self.running.take().map(|process| (process, end))
    }
}

impl Run {
    /// Looks at the conditions. The answer is an event, now or when the command has exited.
    pub(super) fn look_before_start(&mut self, events: &mut Vec<Event>) {
        let seen = self.conditions.checks.look();
        if seen != Permission::Start || self.conditions.limit.is_empty() {
            return events.push(Event::MayStart(seen));
        }
        if self.conditions.running.is_some() {
            return;
        }
        match self.ask_limit() {
            Ok(process) => self.conditions.running = Some(process),
            Err(why) => {
                let permission = self.strange_limit(&format!("cannot be run: {why}"));
                events.push(Event::MayStart(permission));
            }
        }
    }

    fn ask_limit(&mut self) -> io::Result<Process> {
        let process = start_command(&self.conditions.limit)?;
        self.wakeups.watch_limit(process.pidfd())?;
        self.crew.shelter(process.pid());
        Ok(process)
    }

    /// Takes in what the command of `--limit` has said.
    pub(super) fn note_limit(&mut self, events: &mut Vec<Event>) {
        let Some((process, end)) = self.conditions.answer() else { return };
        self.crew.unshelter(process.pid());
        process.reap();
        let permission = match end {
            WorkerEnd::Exited(status) => match i32::from(status) {
                STARTS => Permission::Start,
                WAITS => Permission::Wait,
                STOPS => Permission::StopYoungest,
                other => self.strange_limit(&format!("exited with {other}")),
            },
            WorkerEnd::Signaled(signal) => self.strange_limit(&format!("got signal {signal}")),
        };
        events.push(Event::MayStart(permission));
    }

    /// Looks at the file that says how many tasks may run at once, if there is one. `finished`:
    /// some have finished.
    pub(super) fn look_at_jobs_file(&mut self, finished: bool, events: &mut Vec<Event>) {
        let now = self.clock.now();
        match self.conditions.jobs_file.as_mut().and_then(|file| file.look(finished, now)) {
            Some(Jobs::Allowed(jobs)) => events.push(Event::Steered(Steering::Jobs(jobs))),
            Some(Jobs::Wrong(why)) => self.shown.say(&why),
            None => {}
        }
    }

    fn strange_limit(&mut self, what: &str) -> Permission {
        if !std::mem::replace(&mut self.conditions.has_told, true) {
            self.shown.say(&format!(
                "--limit: the command {what}: no task starts before it exits with 0 (1: wait, 2: \
                 stop the youngest task)"
            ));
        }
        Permission::Wait
    }

    /// Stops the attempt that began last, unless it is being stopped.
    pub(super) fn stop_youngest(&mut self) {
        let now = self.clock.active();
        let shared = self.segments.shared();
        self.watch.attempts.look(shared.tasks, now);
        if let Some((worker, attempt)) = self.watch.attempts.youngest() {
            self.watch.stopping.stop(worker, attempt, Killed::Displaced, now);
        }
    }
}
