//! How many processes of this machine could run right now, and whether it swaps.

use std::fs;

/// The flag of a thread of the kernel, in the ninth field of its `stat`.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// The number of processes that use a CPU, or wait for one or for a disk; without this one and
/// those of the kernel.
pub(crate) fn busy_processes() -> u32 {
    let own = std::process::id().to_string();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let is_pid = |name: &String| name.bytes().all(|byte| byte.is_ascii_digit()) && *name != own;
    let stats = pids.filter(is_pid).filter_map(|pid| fs::read(format!("/proc/{pid}/stat")).ok());
    stats.filter(|stat| is_busy(stat)).count() as u32
}

/// `PID (NAME) STATE PPID PGRP SESSION TTY TPGID FLAGS ...`; the name may hold anything.
fn is_busy(stat: &[u8]) -> bool {
    let Some(name_ends) = stat.iter().rposition(|byte| *byte == b')') else { return false };
    let mut fields =
        stat[name_ends + 1..].split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
    let state = fields.next();
    let flags = fields.nth(5).and_then(|flags| std::str::from_utf8(flags).ok()?.parse().ok());
    matches!(state, Some(b"R" | b"D")) && flags.is_some_and(|flags: u64| flags & KERNEL_THREAD == 0)
}

/// The numbers of pages that were read from swap and written to it since boot.
pub(crate) fn swapped() -> Option<[u64; 2]> {
    let text = fs::read_to_string("/proc/vmstat").ok()?;
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line?.trim().parse().ok()
    };
    Some([number("pswpin")?, number("pswpout")?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_understood() {
        assert!(is_busy(b"7 (a) b) R 1 7 7 0 -1 4194304 1"));
        assert!(is_busy(b"7 (cp) D 1 7 7 0 -1 4194304 1"));
        assert!(!is_busy(b"7 (sleep) S 1 7 7 0 -1 4194304 1"));
        assert!(!is_busy(b"7 (kworker) D 2 0 0 0 -1 69238880 1"));
        assert!(!is_busy(b"7 (R"));
    }

    #[test]
    fn a_process_that_computes_is_seen() {
        let mut child = std::process::Command::new("sh");
        let mut child = child.args(["-c", "while :; do :; done"]).spawn().expect("a shell");
        let mut seen = false;
        while !seen {
            seen = busy_processes() > 0;
        }
        child.kill().expect("ours");
        child.wait().expect("ours");
    }
}
