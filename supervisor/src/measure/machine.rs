//! What is measured of the whole machine: memory, and CPU time.

use std::time::{Duration, Instant};

use crate::os::{cpu_time, memory};

/// How often the available memory is read.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// The time over which the idle time of the CPUs is measured.
const IDLE_OVER: Duration = Duration::from_millis(500);

/// The last measurements.
#[derive(Debug)]
pub(super) struct Machine {
    memory: memory::Memory,
    due: Instant,
    stalls: Stalls,
    /// The CPUs' idle time: for the use of all processes, and over several windows.
    idle: IdleClock,
    long_idle: IdleClock,
}

impl Machine {
    pub(super) fn new(now: Instant) -> Machine {
        Machine {
            memory: memory::Memory::open(),
            due: now,
            stalls: Stalls { total: memory::stalled() },
            idle: IdleClock::default(),
            long_idle: IdleClock::default(),
        }
    }

    /// Bytes of memory left; `None`: not read this time.
    pub(super) fn available(&mut self, now: Instant) -> Option<u64> {
        if now < self.due {
            return None;
        }
        self.due = now + ASK_EVERY;
        self.memory.available()
    }

    /// The share of the time since the last look in which all tasks of the machine waited for
    /// memory.
    pub(super) fn stalled(&mut self, span: Duration) -> f64 {
        self.stalls.share(memory::stalled(), span)
    }

    /// The share of the time in which CPUs idled. `None` if the last look is recent, because idle
    /// time is counted in hundredths of a second, and where this process may use more CPUs than
    /// `procs`.
    pub(super) fn idle(&mut self, now: Instant, procs: u32) -> Option<f64> {
        let cpus = cpu_time::cpus();
        if cpus > procs || self.long_idle.was_read_within(now, IDLE_OVER) {
            return None;
        }
        Some(self.long_idle.advance(now, cpu_time::idle()?)?.share(cpus))
    }

    /// CPU time that all processes have used since the last look; `None` at the first one.
    pub(super) fn busy(&mut self, now: Instant) -> Option<Duration> {
        Some(self.idle.advance(now, cpu_time::idle()?)?.busy(cpu_time::cpus()))
    }
}

/// The idle time of all CPUs, and when it was read.
#[derive(Debug, Default)]
struct IdleClock {
    last: Option<(Instant, Duration)>,
}

/// Idle time that was added over some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Idled {
    over: Duration,
    idle: Duration,
}

impl IdleClock {
    /// Whether it was read less than `span` ago.
    fn was_read_within(&self, now: Instant, span: Duration) -> bool {
        self.last.is_some_and(|(then, _)| now < then + span)
    }

    /// The clock shows `idle` now. `None`: it is read for the first time.
    fn advance(&mut self, now: Instant, idle: Duration) -> Option<Idled> {
        let (then, before) = self.last.replace((now, idle))?;
        Some(Idled { over: now - then, idle: idle.saturating_sub(before) })
    }
}

impl Idled {
    /// The share of the time in which this number of CPUs idled.
    fn share(self, cpus: u32) -> f64 {
        self.idle.as_secs_f64() / self.over.as_secs_f64().max(1e-9) / f64::from(cpus)
    }

    /// The time in which this number of CPUs did not idle.
    fn busy(self, cpus: u32) -> Duration {
        (self.over * cpus).saturating_sub(self.idle)
    }
}

/// The time in which all tasks of the machine waited for memory.
#[derive(Debug)]
struct Stalls {
    /// In microseconds, when last read.
    total: Option<u64>,
}

impl Stalls {
    /// The share of `span` by which the total has grown; 0 where it is not known.
    fn share(&mut self, total: Option<u64>, span: Duration) -> f64 {
        let before = std::mem::replace(&mut self.total, total);
        let Some((before, total)) = before.zip(total) else { return 0.0 };
        let stalled = Duration::from_micros(total.saturating_sub(before));
        stalled.as_secs_f64() / span.as_secs_f64().max(1e-9)
    }
}
