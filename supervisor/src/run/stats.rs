//! Figures that the loop updates at every turn, and the summary made of them at the end.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use msup_protocol::token::Census;
use nix::sys::resource::{UsageWho, getrusage};

use crate::engine::Engine;
use crate::report::summary::{InFlight, Summary, Tasks, Tokens, Workers};
use crate::sysmon::Findings;
use crate::workers::processes::WorkerCounts;

/// Peaks, as seen by the loop.
#[derive(Debug)]
pub(super) struct Figures {
    run_id: String,
    procs: u32,
    max_workers: u32,
    held_peak: u32,
    in_flight_peak: u32,
    /// What the last look saw: tokens in use, tasks in flight.
    pub(super) now: (u32, u32),
}

impl Figures {
    pub(super) fn new(run_id: String, procs: u32, max_workers: u16) -> Figures {
        Figures {
            run_id,
            procs,
            max_workers: max_workers.into(),
            held_peak: 0,
            in_flight_peak: 0,
            now: (0, 0),
        }
    }

    pub(super) fn run_id(&self) -> &str {
        &self.run_id
    }

    /// The number of tokens.
    pub(super) fn procs(&self) -> u32 {
        self.procs
    }

    /// There is this number of tokens from now on.
    pub(super) fn allow_procs(&mut self, procs: u32) {
        self.procs = procs;
    }

    pub(super) fn look(&mut self, census: Census, in_flight: u32) {
        self.now = (census.held(), in_flight);
        self.held_peak = self.held_peak.max(census.held());
        self.in_flight_peak = self.in_flight_peak.max(in_flight);
    }

    pub(super) fn summary(
        &self,
        engine: &Engine,
        counted: WorkerCounts,
        census: Census,
        findings: &Findings,
        began: Instant,
    ) -> Summary {
        let tally = engine.tally();
        let wall = began.elapsed().as_secs_f64();
        let (cpu, busy) = (cpu_of_the_reaped().as_secs_f64(), tally.busy.as_secs_f64());
        let mut summary = Summary::new(self.run_id.clone(), self.procs, self.max_workers);
        summary.tasks = Tasks {
            total: engine.accepted(),
            succeeded: tally.succeeded,
            failed: tally.failed,
            quarantined: tally.quarantined,
            cancelled: tally.cancelled,
            skipped: tally.before.succeeded + tally.before.passed_over,
            attempts: tally.attempts,
        };
        summary.wall_seconds = wall;
        summary.cpu_seconds = cpu;
        summary.blocked_seconds = (busy - cpu).max(0.0);
        summary.workers = Workers {
            peak: engine.workers_peak(),
            spawned: engine.workers_spawned(),
            lost: tally.lost_workers,
            reaped_idle: engine.workers_reaped_idle(),
            stalls: engine.stalls(),
        };
        summary.in_flight = InFlight {
            peak: self.in_flight_peak,
            mean: if wall > 0.0 { busy / wall } else { 0.0 },
        };
        summary.tokens = Tokens {
            held_peak: self.held_peak,
            idle_at_end: census.idle,
            fast_exits: counted.fast_exits,
            slow_exits: counted.slow_exits,
            handoffs: counted.handoffs,
            retakes: findings.retakes.load(Ordering::Relaxed),
            steals: counted.steals,
            reclaims: counted.reclaims,
            lent: 0,
            pins: counted.pins,
            epochs: tally.epochs,
            rescues: findings.rescues.load(Ordering::Relaxed),
            wait_seconds: counted.wait_ns as f64 / 1e9,
        };
        summary
    }
}

/// CPU time of all workers and commands: all of them have been reaped.
fn cpu_of_the_reaped() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else { return Duration::ZERO };
    let micros =
        |time: nix::sys::time::TimeVal| time.tv_sec() as u64 * 1_000_000 + time.tv_usec() as u64;
    Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time()))
}
