//! Measures what commands really use: their CPU clocks while they run, the kernel's account when
//! they exit.

use std::rc::Rc;
use std::time::{Duration, Instant};

use msup_protocol::codec::Usage;
use msup_protocol::layout::Shared;
use msup_protocol::packed::WorkerId;
use msup_protocol::segment::Segment;

use super::allowance::Allowance;
use super::finished_use::FinishedUse;
use super::gauges::{Counted, Gauges};
use super::hidden_use::HiddenUse;
use super::machine::Machine;
use super::sampler::{self, Sampler};
use super::schedule::Schedule;
use super::survey::{Activity, Answers, Survey};
use super::token_charges::settle;
use crate::engine::Window;
use crate::os::cgroup::Groups;
use crate::os::{cpu_quota, cpu_time};

/// What a window is measured for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aims {
    /// For the number of commands in flight.
    Commands {
        /// There were tasks that could have been started.
        had_more: bool,
        /// Each window still decides that number.
        is_ramping: bool,
    },
    /// For the tokens of the child processes of task loops.
    TaskLoops,
}

/// Samples the commands of all workers, window by window.
#[derive(Debug)]
pub(crate) struct Meter {
    sampler: Sampler,
    gauges: Gauges,
    /// What has finished in this window.
    finished: FinishedUse,
    hidden: HiddenUse,
    survey: Survey,
    schedule: Schedule,
    machine: Machine,
    allowance: Allowance,
    /// Tokens that commands use beyond those they have.
    pub(crate) owed: u32,
    /// CPUs in use by commands in the last window.
    pub(crate) cpus: f64,
    /// Time spent above `procs`, in CPU seconds.
    pub(crate) debt: f64,
    /// CPU time that measuring has taken.
    pub(crate) cost: Duration,
}

impl Meter {
    /// `watches_memory`: memory is limited.
    pub(crate) fn new(
        procs: u32,
        max_workers: u16,
        watches_memory: bool,
        groups: Option<Rc<Groups>>,
    ) -> Meter {
        let now = Instant::now();
        Meter {
            machine: Machine::new(now, groups.clone()),
            sampler: Sampler::new(groups),
            gauges: Gauges::new(max_workers),
            finished: FinishedUse::default(),
            hidden: HiddenUse::default(),
            survey: Survey::new(watches_memory),
            schedule: Schedule::new(now),
            allowance: Allowance::new(procs, cpu_quota::quota()),
            owed: 0,
            cpus: 0.0,
            debt: 0.0,
            cost: Duration::ZERO,
        }
    }

    /// There is this number of tokens from now on.
    pub(crate) fn allow_procs(&mut self, procs: u32) {
        self.allowance = Allowance::new(procs, cpu_quota::quota());
    }

    /// The CPUs that a worker's command used lately, and the bytes of memory that it had when last
    /// asked.
    pub(crate) fn use_of(&self, worker: WorkerId) -> Option<(f64, u64)> {
        self.gauges.use_of(worker)
    }

    /// When the next window closes.
    pub(crate) fn due(&self) -> Instant {
        self.schedule.due()
    }

    /// A command has finished: the part of its use that was not seen yet belongs to this window.
    /// `lasts`: its process keeps running, for other tasks.
    pub(crate) fn ended(&mut self, usage: &Usage, lasts: bool) {
        let counted = self.gauges.remove(usage.pid.cast_signed(), lasts);
        if let Some(Counted { cpu, read: Some(read), seen }) = counted {
            let wall = Duration::from_nanos(usage.wall_ns);
            let unseen = seen.map_or_else(|| read.elapsed(), |seen| wall.saturating_sub(seen));
            self.hidden.note(usage, cpu, unseen);
        }
        self.finished.add(usage, counted.map(|counted| counted.cpu));
    }

    /// The run stood still for `pause`: that says nothing about commands.
    pub(crate) fn paused(&mut self, pause: Duration) {
        self.schedule.postpone(pause);
        self.gauges.postpone(pause);
        self.machine.restart(Instant::now());
    }

    /// A worker has exited, and its command with it.
    pub(crate) fn lost(&mut self, worker: WorkerId) {
        self.gauges.forget(worker);
    }

    /// All workers have exited.
    pub(crate) fn lost_all(&mut self) {
        self.gauges.forget_all();
    }

    /// Closes the window, if it is time. `pid_of` gives the process of a worker.
    pub(crate) fn look(
        &mut self,
        segment: &Segment,
        pid_of: impl Fn(WorkerId) -> Option<i32>,
        aims: Aims,
    ) -> Option<Window> {
        let now = Instant::now();
        if now < self.schedule.due() {
            return None;
        }
        let (had_more, is_ramping) = match aims {
            Aims::Commands { had_more, is_ramping } => (had_more, is_ramping),
            Aims::TaskLoops => (false, false),
        };
        let shared = segment.shared();
        let before = cpu_time::own_thread();
        let commands = running(&shared, self.gauges.workers());
        self.sampler.find_processes(&commands, &pid_of, now);
        let hides = self.hidden.is_large(self.sampler.sees_children());
        if hides {
            self.sampler.read_each_group();
        }
        self.meet(&commands, &pid_of, now);
        // Finding processes may have taken long, where commands leave msup little of the CPUs.
        let (now, found) = (Instant::now(), cpu_time::own_thread());
        let span = self.schedule.span(now);
        let sampled = self.sample(&commands, &pid_of, span, now);
        let answers = self.ask(&commands, &pid_of);
        let finished = std::mem::take(&mut self.finished);
        let by_msup = self.sampler.used_by_msup();
        let used = self.used(sampled + finished.used(), by_msup, hides, span, now);
        let runnable = answers.runnable(span.as_secs_f64() * commands.len() as f64, &finished);
        let window = Window {
            span,
            used: self.allowance.scaled(used),
            by_msup: self.allowance.scaled(by_msup),
            in_flight: shared.tasks.load().1,
            runnable,
            had_more,
            ended: finished.commands,
            residents: self.gauges.residents(&commands),
            available: self.machine.available(now),
            stalled: self.machine.stalled(span),
        };
        let passes_on = aims == Aims::TaskLoops;
        self.owed = settle(&shared, &self.gauges, self.allowance.procs(), passes_on);
        let after = cpu_time::own_thread();
        self.cost += after - before;
        self.schedule.close(now, after - found, self.cost, is_ramping);
        Some(window)
    }

    /// Begins to measure the commands that are new. That reads `/proc`, once for each command,
    /// which is little beside starting it: thousands of new commands must not stretch the window in
    /// which the number of commands is decided next.
    fn meet(
        &mut self,
        commands: &[(WorkerId, i32)],
        pid_of: &impl Fn(WorkerId) -> Option<i32>,
        now: Instant,
    ) {
        for (worker, command) in commands.iter().copied() {
            let is_child = || sampler::is_child(command, pid_of(worker));
            let _ = self.gauges.of(worker, command, now, is_child);
        }
    }

    /// CPU time that the running commands have used since the last window, process by process.
    fn sample(
        &mut self,
        commands: &[(WorkerId, i32)],
        pid_of: &impl Fn(WorkerId) -> Option<i32>,
        span: Duration,
        now: Instant,
    ) -> Duration {
        let mut used = Duration::ZERO;
        for (worker, command) in commands.iter().copied() {
            let is_child = || sampler::is_child(command, pid_of(worker));
            let lasts = self.gauges.lasts(command);
            let Some(gauge) = self.gauges.of(worker, command, now, is_child) else { continue };
            let reading = self.sampler.read(worker, command, lasts);
            used += gauge.sample(reading, span, now);
        }
        used
    }

    /// Asks some of the commands for their state and their memory.
    fn ask(
        &mut self,
        commands: &[(WorkerId, i32)],
        pid_of: &impl Fn(WorkerId) -> Option<i32>,
    ) -> Answers {
        let mut answers = Answers::default();
        for at in self.survey.turn(commands.len()) {
            let (worker, command) = commands[at];
            let processes = self.sampler.processes(worker, command, pid_of(worker));
            let Some(activity) = Activity::of(&processes) else { continue };
            answers.add(activity);
            self.gauges.note(worker, activity);
        }
        answers
    }

    /// CPU time of commands and of msup in this window. `by_process`: that of commands, as the
    /// processes and the outcomes show it; `hides`: much of it is not seen there.
    fn used(
        &mut self,
        by_process: Duration,
        by_msup: Duration,
        hides: bool,
        span: Duration,
        now: Instant,
    ) -> Duration {
        let by_commands = self.sampler.used_in_groups().unwrap_or(by_process);
        let mut used = by_commands + by_msup;
        if !self.sampler.has_groups()
            && hides
            && let Some(busy) = self.machine.busy(now)
        {
            used = busy;
        }
        self.cpus = used.min(by_commands).as_secs_f64() / span.as_secs_f64();
        self.debt += self.allowance.excess(self.cpus) * span.as_secs_f64();
        used
    }
}

/// The commands that workers run now. Their numbers come from shared memory and are not checked.
fn running(shared: &Shared<'_>, workers: impl Iterator<Item = WorkerId>) -> Vec<(WorkerId, i32)> {
    let commands = workers.filter_map(|worker| {
        let command = shared.line.slot(worker)?.command().cast_signed();
        (command != 0).then_some((worker, command))
    });
    commands.collect()
}
