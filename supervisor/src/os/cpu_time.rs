//! CPU time of whole processes, this one and others.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// CPU time of all threads of a process so far; `None` when there is no such process. The kernel books it
/// when a thread is switched and at its ticks, so it is exact over tens of milliseconds only.
pub(crate) fn of(pid: i32) -> Option<Duration> {
    // Linux makes the clock's id of the process id this way (`CPUCLOCK_SCHED`, a stable interface);
    // clock_getcpuclockid(3) would ask the kernel a second time.
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

fn read(clock: ClockId) -> Option<Duration> {
    Some(Duration::from(clock_gettime(clock).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

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
