//! Which machine this is.

use std::fs;

/// Changes with every start of the kernel, and differs between machines.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";
/// Processes of different namespaces cannot see each other.
const PIDS: &str = "/proc/self/ns/pid";

/// Identifies this boot of the machine, and the namespace of process ids. `None` where the kernel
/// does not tell.
pub(crate) fn identity() -> Option<String> {
    let boot = fs::read_to_string(BOOT).ok()?;
    let pids = fs::read_link(PIDS).ok()?;
    Some(format!("{} {}", boot.trim(), pids.display()))
}
