//! Control groups that runs have made, as a test sees them.

use std::fs;
use std::path::PathBuf;

use crate::{Sandbox, run};

/// Whether msup can make control groups here; a word about it where not.
///
/// # Panics
/// When `msup doctor` does not tell.
#[must_use]
pub fn are_made_here(sandbox: &Sandbox) -> bool {
    let report = run(&mut sandbox.msup(["doctor"]));
    let report = String::from_utf8_lossy(&report.stdout).into_owned();
    let line = report.lines().find(|line| line.contains("control groups of our own"));
    let are_made = line.expect("the doctor tells").starts_with("yes ");
    if !are_made {
        eprintln!("not tested: no control groups here");
    }
    are_made
}

/// The groups that a process of msup has made in that of this test.
#[must_use]
pub fn of_process(pid: u32) -> Vec<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mounts = mounts.lines().filter(|line| line.contains(" - cgroup2 "));
    let roots = mounts.filter_map(|line| line.split(' ').nth(4));
    let folders = roots.flat_map(|root| fs::read_dir(format!("{root}/{path}"))).flatten().flatten();
    let named = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("msup-") && name.contains(&format!("-{pid}-"))
    };
    folders.map(|entry| entry.path()).filter(named).collect()
}
