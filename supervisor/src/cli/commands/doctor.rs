//! `msup doctor`: what this machine offers for measuring and killing processes, and what msup uses.

use std::fmt::Write;
use std::fs;

use msup_protocol::{barrier, process_tree, timeslice};
use nix::sys::resource::{Resource, getrlimit};
use rustix::process::{PidfdFlags, getpid, pidfd_open};

use crate::cli::{settings, shared_memory};
use crate::os::cgroup::Groups;
use crate::os::{cpu_quota, limits, memory};
use crate::report::escape;

/// One mechanism, whether it is there, and what that means.
struct Finding {
    what: &'static str,
    there: bool,
    so: String,
}

/// The report, a line for each mechanism.
pub(crate) fn report() -> String {
    let mut text = String::new();
    for Finding { what, there, so } in findings() {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{} {what:<34} {so}", if there { "yes" } else { "no " });
    }
    let quota = cpu_quota::quota().map(|quota| format!(" (a control group's quota is {quota:.2})"));
    let quota = quota.unwrap_or_default();
    let _ = writeln!(text, "    CPUs that msup may use: {}{quota}", cpu_quota::cpus());
    let _ = match limits::most_workers() {
        Ok(most) => writeln!(
            text,
            "    workers that the limits allow: {}: {most}\n    shared memory: {}",
            most.workers,
            shared_memory(most.workers)
        ),
        Err(why) => writeln!(text, "    workers that the limits allow: none: {why}"),
    };
    for line in settings::describe() {
        let _ = writeln!(text, "    {}", escape::message(line));
    }
    text
}

/// What each worker adds to the shared memory, and how much that is for the most workers.
fn shared_memory(workers: u64) -> String {
    const MIB: f64 = (1 << 20) as f64;
    let most = u16::try_from(workers).unwrap_or(u16::MAX);
    let mib = shared_memory::bytes(cpu_quota::cpus(), most) as f64 / MIB;
    let (worker, task) = (shared_memory::WORKER_BYTES, shared_memory::TASK_BYTES);
    format!(
        "{worker} bytes for each worker, {task} for each task slot; {mib:.1} MiB for {most} workers"
    )
}

impl Finding {
    /// What it means that it is there, and that it is not.
    fn new(what: &'static str, there: bool, yes: &str, no: &str) -> Finding {
        Finding { what, there, so: if there { yes } else { no }.to_owned() }
    }
}

fn findings() -> [Finding; 10] {
    [
        children(),
        wchan(),
        pressure(),
        oom_kills(),
        memory_limit(),
        data_limit(),
        membarrier(),
        pidfds(),
        time_slices(),
        control_groups(),
    ]
}

fn children() -> Finding {
    Finding::new(
        "/proc/PID/task/TID/children",
        process_tree::lists_children(),
        "in use: finds the processes that a command has started",
        "all processes of the machine are scanned instead, less often",
    )
}

fn wchan() -> Finding {
    Finding::new(
        "/proc/PID/wchan",
        fs::read("/proc/self/wchan").is_ok(),
        "in use: tells waiting for a file lock from other waiting",
        "waiting for a file lock looks like any other waiting",
    )
}

fn pressure() -> Finding {
    Finding::new(
        "/proc/pressure/memory",
        memory::stalled().is_some(),
        "in use: commands get fewer while all of them wait for memory",
        "msup looks at the free memory only",
    )
}

fn oom_kills() -> Finding {
    Finding::new(
        "oom_kill in /proc/vmstat",
        memory::kills().is_some(),
        "in use: commands killed for lack of memory are retried, fewer at once",
        "a kill for lack of memory looks like any other kill",
    )
}

fn memory_limit() -> Finding {
    Finding::new(
        "a control group limits memory",
        memory::Memory::open().is_limited(),
        "in use: that limit counts as the memory of the machine",
        "the machine's memory is the limit",
    )
}

fn data_limit() -> Finding {
    Finding::new(
        "RLIMIT_DATA",
        getrlimit(Resource::RLIMIT_DATA).is_ok(),
        "used by --mem-per-task: limits each process of a command",
        "--mem-per-task has no effect",
    )
}

fn membarrier() -> Finding {
    Finding::new(
        "membarrier(2), GLOBAL_EXPEDITED",
        barrier::is_supported(),
        "in use: makes blocking calls of task loops cheaper",
        "each blocking call of a task loop costs a memory barrier",
    )
}

fn pidfds() -> Finding {
    Finding::new(
        "pidfd_open(2)",
        pidfd_open(getpid(), PidfdFlags::empty()).is_ok(),
        "in use: msup notices at once when a worker exits",
        "msup cannot run without it",
    )
}

fn time_slices() -> Finding {
    Finding::new(
        "time slices by process",
        timeslice::is_supported(),
        "in use: commands get 30 ms each, so that they do not all wait at the same time",
        "commands get the kernel's time slices; keeping the CPUs busy takes more commands",
    )
}

fn control_groups() -> Finding {
    let groups = Groups::create();
    let there = groups.is_ok();
    let so = match groups {
        Ok(_) => "in use: all processes of a command are measured and killed together".into(),
        Err(why) => format!("commands are measured and killed process by process: {why}"),
    };
    Finding { what: "control groups of its own (v2)", there, so }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_says_what_follows() {
        let report = report();
        assert!(report.lines().count() >= 10, "{report}");
        for line in report.lines().filter(|line| !line.starts_with("    ")) {
            assert!(line.starts_with("yes ") || line.starts_with("no "), "{line}");
            assert!(line.len() > 38 && line.len() < 130, "{line}");
        }
    }
}
