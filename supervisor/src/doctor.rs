//! `msup doctor`: what this machine offers for measuring and for ending processes, and what is used of it.

use std::fmt::Write;
use std::fs;

use msup_protocol::{barrier, kin, timeslice};

use crate::os::cgroup::Groups;
use crate::os::{cpu_quota, limits, memory};

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
    let _ = writeln!(text, "    CPUs this process may use: {}{quota}", cpu_quota::cpus());
    let _ = match limits::most_workers() {
        Ok(most) => writeln!(text, "    workers that the limits allow: {}: {most}", most.workers),
        Err(why) => writeln!(text, "    workers that the limits allow: none: {why}"),
    };
    text
}

fn findings() -> Vec<Finding> {
    let either = |there: bool, yes: &str, no: &str| (if there { yes } else { no }).to_owned();
    let finding =
        |what, there, yes: &str, no: &str| Finding { what, there, so: either(there, yes, no) };
    let readable = |path: &str| fs::read(path).is_ok();
    let memory = memory::Memory::open();
    let groups = Groups::create();
    vec![
        finding(
            "/proc/PID/task/TID/children",
            kin::lists_children(),
            "in use: the processes below a command are looked up",
            "all processes of the machine are looked through instead, less often",
        ),
        finding(
            "/proc/PID/wchan",
            readable("/proc/self/wchan"),
            "in use: who waits for a file lock is told from who waits for himself",
            "waiting for a file lock looks like any waiting",
        ),
        finding(
            "/proc/pressure/memory",
            memory::stalled().is_some(),
            "in use: nothing more is started while all wait for memory",
            "only what is left of memory is looked at",
        ),
        finding(
            "oom_kill in /proc/vmstat",
            memory::kills().is_some(),
            "in use: who was ended for want of memory is tried again with less company",
            "who was ended for want of memory looks like any kill",
        ),
        finding(
            "a control group limits memory",
            memory.is_limited(),
            "in use: it counts as the memory of the machine",
            "the machine's memory is the limit",
        ),
        finding(
            "RLIMIT_DATA",
            nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_DATA).is_ok(),
            "in use by --mem-per-task: a limit on each process of a command",
            "--mem-per-task has no effect",
        ),
        finding(
            "membarrier(2), GLOBAL_EXPEDITED",
            barrier::is_supported(),
            "in use: task loops need no barrier of their own",
            "a barrier in each blocking call of task loops",
        ),
        finding(
            "pidfd_open(2)",
            rustix::process::pidfd_open(
                rustix::process::getpid(),
                rustix::process::PidfdFlags::empty(),
            )
            .is_ok(),
            "in use: the end of a worker is an event",
            "needed: msup cannot run without",
        ),
        finding(
            "time slices by process",
            timeslice::is_supported(),
            "in use: commands compute in long turns, so that they do not all wait at once",
            "commands compute in the kernel's turns, and more are needed in flight",
        ),
        Finding {
            what: "control groups of our own (v2)",
            there: groups.is_ok(),
            so: match &groups {
                Ok(_) => "in use: all that a command starts is measured and ended together".into(),
                Err(why) => format!("commands are measured and ended process by process: {why}"),
            },
        },
    ]
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
