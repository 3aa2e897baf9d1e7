//! The control groups that runs have made, as a test sees them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Sandbox, run};

/// Whether msup can make control groups here; prints a note if not.
///
/// # Panics
/// If `msup doctor` does not tell.
#[must_use]
pub fn are_made_here(sandbox: &Sandbox) -> bool {
    let report = run(&mut sandbox.msup(["doctor"]));
    let report = String::from_utf8_lossy(&report.stdout).into_owned();
    let line = report.lines().find(|line| line.contains("control groups of its own"));
    let are_made = line.expect("the doctor tells").starts_with("yes ");
    if !are_made {
        eprintln!("not tested: no control groups here");
    }
    are_made
}

/// A group of this test's own, with one limit.
#[derive(Debug)]
pub struct Limited(PathBuf);

impl Limited {
    /// # Panics
    /// If it cannot be made: see [`are_made_here`].
    #[must_use]
    pub fn new(file: &str, limit: &str) -> Limited {
        let own = own_groups().into_iter().next().expect("there are groups here");
        let folder = own.join(format!("limited-{}", std::process::id()));
        fs::create_dir(&folder).expect("groups can be made here");
        fs::write(folder.join(file), limit).expect("limits can be set");
        Limited(folder)
    }

    /// Its path.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        let removed = fs::remove_dir(&self.0);
        assert!(removed.is_ok() || std::thread::panicking(), "{}: {removed:?}", self.0.display());
    }
}

/// The groups that a msup process has made in this test's group.
#[must_use]
pub fn of_process(pid: u32) -> Vec<PathBuf> {
    let named = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("msup-") && name.contains(&format!("-{pid}-"))
    };
    let folders = own_groups().into_iter().flat_map(fs::read_dir).flatten().flatten();
    folders.map(|entry| entry.path()).filter(named).collect()
}

/// The folders of this test's own group, one per mount.
fn own_groups() -> Vec<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mounts = mounts.lines().filter(|line| line.contains(" - cgroup2 "));
    let roots = mounts.filter_map(|line| line.split(' ').nth(4));
    roots.map(|root| Path::new(root).join(path)).collect()
}
