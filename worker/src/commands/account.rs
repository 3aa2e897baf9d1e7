//! What a program that keeps running uses for each of its tasks.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use msup_protocol::process_tree;
use nix::time::{ClockId, clock_gettime};

/// Clock ticks of `/proc`: 100 a second on every architecture in use with Linux. The account of
/// exited children, which is in ticks, is read this often at most.
const TICK: Duration = Duration::from_millis(10);

/// A task that was idle for no more than one part in `IDLE_PART` of its time, and the time in which
/// the program and the worker wake each other, has only computed.
const IDLE_PART: u32 = 10;
const WAKES: Duration = Duration::from_micros(50);

/// What the program has used so far.
#[derive(Debug)]
pub(super) struct Account {
    pid: i32,
    /// CPU time that was reported, of the program and of the children it has waited for.
    pub(super) reported: Duration,
    /// CPU time of these children in ticks, and when it was read.
    reaped: u64,
    looked: Instant,
    /// The largest memory in bytes that was seen.
    pub(super) peak: u64,
    /// How long the first threads of the program and of this worker were able to run and had no
    /// CPU, where the kernel tells: their files, and both together when last read.
    queues: [Option<File>; 2],
    queued: Duration,
}

/// What the program has used for a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) cpu: Duration,
    /// The time in which the program, or the worker, was able to run and had no CPU.
    pub(super) queued: Duration,
}

impl Account {
    /// Of a program that has just been started.
    pub(super) fn new(pid: i32) -> Account {
        let files = [format!("/proc/{pid}/schedstat"), "/proc/thread-self/schedstat".into()];
        let mut account = Account {
            pid,
            reported: Duration::ZERO,
            reaped: 0,
            looked: Instant::now(),
            peak: 0,
            queues: files.map(|path| File::open(path).ok()),
            queued: Duration::ZERO,
        };
        // What this worker has waited before is not part of the first task.
        account.advance_queued();
        account
    }

    /// What was used since the last call, or since the program was started.
    pub(super) fn advance(&mut self) -> Used {
        if self.looked.elapsed() >= TICK {
            self.looked = Instant::now();
            if let Some(kin) = process_tree::look_up(self.pid) {
                self.reaped = kin.reaped_ticks;
                self.peak = self.peak.max(kin.resident);
            }
        }
        let reaped = TICK * u32::try_from(self.reaped).unwrap_or(u32::MAX);
        let total = cpu_time_of(self.pid).map_or(self.reported, |own| own + reaped);
        let cpu = total.saturating_sub(self.reported);
        self.reported += cpu;
        Used { cpu, queued: self.advance_queued() }
    }

    fn advance_queued(&mut self) -> Duration {
        let now = self.queues.iter().flatten().filter_map(queued).sum();
        let before = std::mem::replace(&mut self.queued, now);
        now.saturating_sub(before)
    }
}

impl Used {
    /// Adds what was used besides.
    pub(super) fn add(&mut self, other: Used) {
        self.cpu += other.cpu;
        self.queued += other.queued;
    }

    /// Whether a task that took `wall` only computed, however long other processes had the CPU.
    pub(super) fn only_computes(&self, wall: Duration) -> bool {
        wall.saturating_sub(self.cpu + self.queued) <= wall / IDLE_PART + WAKES
    }
}

/// `RUN_NS QUEUED_NS SLICES`
fn queued(file: &File) -> Option<Duration> {
    let mut text = [0; 80];
    let len = file.read_at(&mut text, 0).ok()?;
    let second = std::str::from_utf8(&text[..len]).ok()?.split(' ').nth(1)?;
    second.parse().ok().map(Duration::from_nanos)
}

/// CPU time of all threads of a process so far; `None` if there is no such process.
fn cpu_time_of(pid: i32) -> Option<Duration> {
    // The kernel derives the clock's id from the process id (`CPUCLOCK_SCHED`).
    clock_gettime(ClockId::from_raw((!pid << 3) | 2)).ok().map(Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn cpu_time_is_reported_once() {
        let me = std::process::id().cast_signed();
        let mut account = Account::new(me);
        let before = account.advance().cpu;
        let began = cpu_time_of(me).expect("it lives");
        while cpu_time_of(me).expect("it lives") < began + MS(20) {}
        let used = account.advance().cpu;
        assert!(used >= MS(20), "{used:?}");
        assert_eq!(account.reported, before + used);
        assert!(account.peak > 0, "its memory was seen");
        // The kernel's highest number is 2^22.
        assert_eq!(Account::new(1 << 23).advance().cpu, Duration::ZERO, "there is no such process");
    }

    #[test]
    fn a_task_that_waits_for_a_cpu_computes() {
        let used = |cpu, queued| Used { cpu: MS(cpu), queued: MS(queued) };
        assert!(used(10, 0).only_computes(MS(10)));
        assert!(used(3, 7).only_computes(MS(11)));
        assert!(!used(3, 0).only_computes(MS(10)), "it slept");
        assert!(used(20, 0).only_computes(MS(10)), "with several threads");
        let short = Used { cpu: Duration::from_micros(30), queued: Duration::ZERO };
        assert!(short.only_computes(Duration::from_micros(80)) && !short.only_computes(MS(1)));
    }

    /// Where the kernel tells, the wait of this thread is part of what the machine shows.
    #[test]
    fn the_wait_for_a_cpu_is_read() {
        let Ok(file) = File::open("/proc/thread-self/schedstat") else { return };
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("readable");
        let before: u64 = text.split(' ').nth(1).expect("three").parse().expect("a number");
        assert!(queued(&file).expect("a number") >= Duration::from_nanos(before), "{text}");
    }
}
