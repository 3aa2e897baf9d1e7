//! What is measured of the whole machine: memory, and CPU time.

use std::time::{Duration, Instant};

use crate::os::{cpu_time, memory};

/// How often the available memory is read.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// The time over which the idle time of the CPUs is measured.
const IDLE_OVER: Duration = Duration::from_millis(500);

/// The last measurements.
#[derive(Debug)]
pub(crate) struct Machine {
    memory: memory::Memory,
    due: Instant,
    stalled: Option<u64>,
    /// When the CPUs' idle time was last read, and its value: per window, and over several windows.
    idle: Option<(Instant, Duration)>,
    long_idle: Option<(Instant, Duration)>,
}

impl Machine {
    pub(crate) fn new(now: Instant) -> Machine {
        let (memory, stalled) = (memory::Memory::open(), memory::stalled());
        Machine { memory, due: now, stalled, idle: None, long_idle: None }
    }

    /// Bytes of memory left; `None`: not read this time.
    pub(crate) fn available(&mut self, now: Instant) -> Option<u64> {
        if now < self.due {
            return None;
        }
        self.due = now + ASK_EVERY;
        self.memory.available()
    }

    /// The share of the time since the last look in which all tasks of the machine waited for
    /// memory.
    pub(crate) fn stalled(&mut self, span: Duration) -> f64 {
        let now = memory::stalled();
        let before = std::mem::replace(&mut self.stalled, now);
        let Some((before, now)) = before.zip(now) else { return 0.0 };
        let stalled = Duration::from_micros(now.saturating_sub(before));
        stalled.as_secs_f64() / span.as_secs_f64().max(1e-9)
    }

    /// The share of the time in which CPUs idled. `None` if the last look is recent, because idle
    /// time is counted in hundredths of a second, and where this process may use more CPUs than
    /// `procs`.
    pub(crate) fn idle(&mut self, now: Instant, procs: f64) -> Option<f64> {
        let cpus = f64::from(cpu_time::cpus());
        if cpus > procs || self.long_idle.is_some_and(|(then, _)| now < then + IDLE_OVER) {
            return None;
        }
        let idle = cpu_time::idle()?;
        let (then, before) = self.long_idle.replace((now, idle))?;
        let share =
            idle.saturating_sub(before).as_secs_f64() / (now - then).as_secs_f64().max(1e-9);
        Some(share / cpus)
    }

    /// CPU time that all processes have used since the last look; `None` at the first one.
    pub(crate) fn busy(&mut self, now: Instant) -> Option<Duration> {
        let idle = cpu_time::idle()?;
        let (then, before) = self.idle.replace((now, idle))?;
        Some(((now - then) * cpu_time::cpus()).saturating_sub(idle.saturating_sub(before)))
    }
}
