//! What is measured of the whole machine: memory, and CPU time.

use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::os::cgroup::Groups;
use crate::os::{cpu_time, memory};

/// How often the available memory is read.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// The last measurements.
#[derive(Debug)]
pub(super) struct Machine {
    memory: memory::Memory,
    due: Instant,
    /// Those of the commands, if they are in them.
    groups: Option<Rc<Groups>>,
    stalls: Stalls,
    /// The CPUs' idle time, for the use of all processes.
    idle: IdleClock,
}

impl Machine {
    pub(super) fn new(now: Instant, groups: Option<Rc<Groups>>) -> Machine {
        let mut machine = Machine {
            memory: memory::Memory::open(),
            due: now,
            groups,
            stalls: Stalls::default(),
            idle: IdleClock::default(),
        };
        machine.stalled(Duration::ZERO);
        machine
    }

    /// The same anew, after a time that does not count.
    pub(super) fn restart(&mut self, now: Instant) {
        *self = Machine::new(now, self.groups.take());
    }

    /// Bytes of memory left; `None`: not read this time.
    pub(super) fn available(&mut self, now: Instant) -> Option<u64> {
        if now < self.due {
            return None;
        }
        self.due = now + ASK_EVERY;
        self.memory.available()
    }

    /// The share of the time since the last look in which all commands waited for memory; if they
    /// are in no groups, all processes of the machine.
    pub(super) fn stalled(&mut self, span: Duration) -> f64 {
        // Other groups may be short of memory of their own.
        let groups = self.groups.as_ref().filter(|groups| !groups.is_partial());
        let total = match groups.and_then(|groups| groups.stalled()) {
            Some(total) => Some((Whose::Commands, total)),
            None => memory::stalled().map(|total| (Whose::Machine, total)),
        };
        self.stalls.share(total, span)
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
    /// The clock shows `idle` now. `None`: it is read for the first time.
    fn advance(&mut self, now: Instant, idle: Duration) -> Option<Idled> {
        let (then, before) = self.last.replace((now, idle))?;
        Some(Idled { over: now - then, idle: idle.saturating_sub(before) })
    }
}

impl Idled {
    /// The time in which this number of CPUs did not idle.
    fn busy(self, cpus: u32) -> Duration {
        (self.over * cpus).saturating_sub(self.idle)
    }
}

/// Whose processes waited for memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Commands,
    Machine,
}

/// The time in which processes waited for memory, all of them at once.
#[derive(Debug, Default)]
struct Stalls {
    /// In microseconds, when last read.
    total: Option<(Whose, u64)>,
}

impl Stalls {
    /// The share of `span` by which the total has grown; 0 where it is not known.
    fn share(&mut self, total: Option<(Whose, u64)>, span: Duration) -> f64 {
        let before = std::mem::replace(&mut self.total, total);
        let Some(((of, before), (whose, total))) = before.zip(total) else { return 0.0 };
        if of != whose {
            return 0.0;
        }
        let stalled = Duration::from_micros(total.saturating_sub(before));
        stalled.as_secs_f64() / span.as_secs_f64().max(1e-9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded: `/proc/stat` of a machine with two CPUs, before and after 500,400 µs in which one
    /// of them idled for most of the time.
    const BEFORE: &str = "\
cpu  2633499 100620 1173207 612304 10731 0 4372 2569 0 0
cpu0 1311651 49481 579202 323957 2536 0 236 1305 0 0
cpu1 1321847 51138 594005 288347 8194 0 4136 1264 0 0
intr 65868757 0 0 0 0 0 0 0 0 0 0 0
";
    const AFTER: &str = "\
cpu  2633544 100620 1173220 612343 10731 0 4372 2569 0 0
cpu0 1311654 49481 579209 323995 2536 0 236 1305 0 0
cpu1 1321890 51138 594011 288347 8195 0 4136 1264 0 0
intr 65868757 0 0 0 0 0 0 0 0 0 0 0
";
    const APART: Duration = Duration::from_micros(500_400);

    fn idle(stat: &str, counts: impl Fn(usize) -> bool) -> Duration {
        cpu_time::parse_idle(stat, counts).expect("CPUs")
    }

    fn idled(counts: impl Fn(usize) -> bool + Copy) -> Idled {
        let (mut clock, began) = (IdleClock::default(), Instant::now());
        assert_eq!(clock.advance(began, idle(BEFORE, counts)), None, "nothing to compare it with");
        clock.advance(began + APART, idle(AFTER, counts)).expect("the second time")
    }

    #[test]
    fn cpus_that_idle_are_not_busy() {
        // 38 ticks of idle time on one CPU, and one tick of waiting for a disk on the other.
        let both = idled(|_| true);
        assert_eq!(both, Idled { over: APART, idle: Duration::from_millis(390) });
        assert_eq!(both.busy(2), Duration::from_micros(2 * 500_400 - 390_000));
        let second = idled(|cpu| cpu == 1);
        assert_eq!(second.busy(1), Duration::from_micros(500_400 - 10_000));
        // Ticks may be counted late: more idle time than time.
        let late = Idled { over: Duration::from_millis(12), idle: Duration::from_millis(40) };
        assert_eq!(late.busy(2), Duration::ZERO);
    }

    #[test]
    fn each_look_counts_from_the_one_before() {
        let (mut clock, began) = (IdleClock::default(), Instant::now());
        clock.advance(began, idle(BEFORE, |_| true));
        clock.advance(began + APART, idle(AFTER, |_| true));
        let third = clock.advance(began + 2 * APART, idle(AFTER, |_| true));
        assert_eq!(third, Some(Idled { over: APART, idle: Duration::ZERO }));
    }

    /// Recorded: `/proc/pressure/memory` while builds filled the memory, 500,495 µs apart.
    #[test]
    fn the_share_of_the_time_without_memory() {
        let total = |full: &str| Some((Whose::Machine, memory::parse_stalled(full)?));
        let mut stalls = Stalls::default();
        let before = total("full avg10=0.00 avg60=0.00 avg300=0.00 total=12427196\n");
        let after = total("full avg10=0.18 avg60=0.03 avg300=0.00 total=12447337\n");
        let span = Duration::from_micros(500_495);
        assert_eq!(stalls.share(before, span), 0.0, "nothing to compare it with");
        let share = stalls.share(after, span);
        assert!((share - 20_141.0 / 500_495.0).abs() < 1e-9, "{share}");
        assert_eq!(stalls.share(after, span), 0.0);
        let commands = Some((Whose::Commands, u64::MAX));
        assert_eq!(stalls.share(commands, span), 0.0, "nothing to compare it with");
        assert_eq!(stalls.share(commands, span), 0.0);
        assert_eq!(stalls.share(None, span), 0.0, "it cannot be read any more");
        assert_eq!(stalls.share(after, span), 0.0);
    }
}
