//! CPU time of whole processes, this one and others, and the idle time of CPUs.

use std::fs;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// CPU time of all threads of a process so far; `None` when there is no such process. The kernel
/// updates it when a thread is switched and at its ticks, so it is exact over tens of milliseconds
/// only.
pub(crate) fn of(pid: i32) -> Option<Duration> {
    // Linux derives the clock's id from the process id this way (`CPUCLOCK_SCHED`, a stable
    // interface); clock_getcpuclockid(3) would need a second system call.
    read(ClockId::from_raw((!pid << 3) | 2))
}

/// CPU time of this process so far.
pub(crate) fn own() -> Duration {
    read(ClockId::CLOCK_PROCESS_CPUTIME_ID).unwrap_or_default()
}

/// CPU time of this thread so far.
pub(crate) fn own_thread() -> Duration {
    read(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap_or_default()
}

/// Idle time since boot of the CPUs this process may use, summed over them; `None` where it is not
/// available.
pub(crate) fn idle() -> Option<Duration> {
    let allowed = rustix::thread::sched_getaffinity(None).ok()?;
    parse_idle(&fs::read_to_string("/proc/stat").ok()?, |cpu| allowed.is_set(cpu))
}

/// The number of CPUs this process may use.
pub(crate) fn cpus() -> u32 {
    rustix::thread::sched_getaffinity(None).map_or(1, |allowed| allowed.count())
}

/// `cpuN USER NICE SYSTEM IDLE IOWAIT ...`, in hundredths of a second.
pub(crate) fn parse_idle(stat: &str, counts: impl Fn(usize) -> bool) -> Option<Duration> {
    let mut ticks = None;
    for line in stat.lines().take_while(|line| line.starts_with("cpu")) {
        let mut words = line.split(' ').filter(|word| !word.is_empty());
        let number = words.next()?.strip_prefix("cpu")?.parse().ok();
        if number.is_some_and(&counts) {
            let mut waited = words.skip(3).map(|word| word.parse::<u64>().ok());
            *ticks.get_or_insert(0) += waited.next()?? + waited.next()??;
        }
    }
    ticks.map(|ticks| Duration::from_millis(ticks * 10))
}

fn read(clock: ClockId) -> Option<Duration> {
    Some(Duration::from(clock_gettime(clock).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpus_that_count_are_counted() {
        let stat = "cpu  9 9 9 99 9 0 0 0 0 0\n\
                    cpu0 10 0 5 100 7 0 1 0 0 0\n\
                    cpu1 10 0 5 200 3 0 1 0 0 0\n\
                    intr 5 5 5\n";
        assert_eq!(parse_idle(stat, |_| true), Some(Duration::from_millis(3100)));
        assert_eq!(parse_idle(stat, |cpu| cpu == 0), Some(Duration::from_millis(1070)));
        assert_eq!(parse_idle("intr 5\n", |_| true), None);
        assert!(idle().is_some() && cpus() >= 1);
    }

    #[test]
    fn computing_shows_on_both_clocks() {
        let me = std::process::id() as i32;
        let began = own();
        while own() < began + Duration::from_millis(20) {}
        assert!(of(me).is_some_and(|time| time >= Duration::from_millis(20)));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
        assert!(of(child.id() as i32).is_some());
        child.kill().expect("ours");
        child.wait().expect("ours");
        assert_eq!(of(child.id() as i32), None);
    }
}
