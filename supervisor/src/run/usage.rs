//! What workers and commands use: CPUs and memory; and tokens lent while a holder is stuck.

use std::rc::Rc;
use std::time::{Duration, Instant};

use msup_protocol::packed::WorkerId;
use msup_protocol::segment::Segment;

use crate::cli::Concurrency;
use crate::engine::{Event, Window, is_answer, is_kill};
use crate::measure::meter::{Aims, Meter};
use crate::measure::oom_kills;
use crate::os::cgroup::Groups;
use crate::report::summary::Summary;
use crate::report::trace;
use crate::workers::processes::Crew;
use crate::workers::token_lending::Lender;

/// Token words beyond `--procs`, for lending.
pub(super) const LENDABLE: u32 = 4;

/// Use, as measured.
pub(super) struct Usage {
    /// For commands whose number follows their use, and for child processes of task loops.
    meter: Option<Meter>,
    /// Only those: their use decides nothing but their tokens.
    only_charges: bool,
    lender: Lender,
    oom_kills: oom_kills::Watch,
}

impl Usage {
    /// `runs_commands`: workers run commands, not task loops.
    pub(super) fn new(
        concurrency: &Concurrency,
        groups: Option<Rc<Groups>>,
        runs_commands: bool,
    ) -> Usage {
        let Concurrency { procs, max_workers, memory, admits, .. } = *concurrency;
        let measures = admits || !runs_commands;
        let meter = || Meter::new(procs, max_workers, memory.is_some(), groups);
        Usage {
            meter: measures.then(meter),
            only_charges: !runs_commands,
            lender: Lender::new(procs, LENDABLE),
            oom_kills: oom_kills::Watch::new(),
        }
    }

    /// Reports finished commands to the meter, and finds out why killed ones were killed.
    pub(super) fn account(&mut self, events: &mut [Event]) {
        for event in events {
            let Event::Collected { outcome, starved, .. } = event else { continue };
            if let Some(meter) = self.meter.as_mut().filter(|_| !self.only_charges) {
                meter.ended(&outcome.usage, is_answer(&outcome.verdict));
            }
            if is_kill(&outcome.verdict) {
                *starved = self.oom_kills.explains_a_kill();
            }
        }
    }

    /// Looks whether the kernel has killed a process for lack of memory.
    pub(super) fn look_for_oom_kills(&mut self) {
        self.oom_kills.look();
    }

    /// Whether such a kill explains one more SIGKILL.
    pub(super) fn explains_a_kill(&mut self) -> bool {
        self.oom_kills.explains_a_kill()
    }

    /// Closes the meter's window, if it is time. `has_more`: tasks wait that are not published;
    /// `is_ramping`: each window still decides the number of commands.
    pub(super) fn window(
        &mut self,
        segment: &Segment,
        crew: &Crew,
        has_more: bool,
        is_ramping: bool,
    ) -> Option<Window> {
        let meter = self.meter.as_mut()?;
        let had_more = has_more || segment.shared().tasks.any_ready();
        let aims = match self.only_charges {
            true => Aims::TaskLoops,
            false => Aims::Commands { had_more, is_ramping },
        };
        let window = meter.look(segment, |worker| crew.pid(worker), aims);
        window.filter(|_| !self.only_charges)
    }

    /// The time until the window closes.
    pub(super) fn due(&self) -> Option<Duration> {
        self.meter.as_ref().map(|meter| meter.due().saturating_duration_since(Instant::now()))
    }

    /// Tokens that commands use beyond those they have.
    pub(super) fn owed(&self) -> u32 {
        self.meter.as_ref().map_or(0, |meter| meter.owed)
    }

    /// Puts as many tokens into use as there are to be. Returns whether workers must be told of
    /// tasks again.
    pub(super) fn lend(&mut self, now: Duration, segment: &Segment, crew: &Crew) -> bool {
        let tokens = segment.shared().tokens;
        let procs = self.lender.look(now, tokens.sight(), |worker| crew.is_stuck(worker));
        if procs != tokens.procs() {
            tokens.set_procs(procs);
        }
        tokens.settle()
    }

    /// There is this number of tokens from now on.
    pub(super) fn allow_procs(&mut self, procs: u32) {
        self.lender.allow_procs(procs);
        if let Some(meter) = &mut self.meter {
            meter.allow_procs(procs);
        }
    }

    /// The CPUs that a worker's command used lately, and its bytes of memory, where these are
    /// measured.
    pub(super) fn of_command(&self, worker: WorkerId) -> Option<(f64, u64)> {
        self.meter.as_ref()?.use_of(worker)
    }

    /// The run stood still for `pause`: that says nothing about commands.
    pub(super) fn paused(&mut self, pause: Duration) {
        if let Some(meter) = &mut self.meter {
            meter.paused(pause);
        }
    }

    /// A worker is gone, and its command with it.
    pub(super) fn lost(&mut self, worker: WorkerId) {
        if let Some(meter) = &mut self.meter {
            meter.lost(worker);
        }
    }

    /// All workers are gone.
    pub(super) fn lost_all(&mut self) {
        if let Some(meter) = &mut self.meter {
            meter.lost_all();
        }
    }

    /// For the trace line: the number of commands that may be in flight, and which limit sets it.
    pub(super) fn traced(&self, (target, limit): (u32, &'static str)) -> Option<trace::Measured> {
        let Meter { cpus, owed, debt, .. } = *self.meter.as_ref()?;
        Some(trace::Measured { used: cpus, owed, debt, target, limit })
    }

    /// Adds what it knows to the summary.
    pub(super) fn sum_up(&self, summary: &mut Summary) {
        summary.tokens.lent = self.lender.lent;
        if let Some(meter) = &self.meter {
            summary.debt_seconds = meter.debt;
            summary.sampling_seconds = meter.cost.as_secs_f64();
        }
    }
}
