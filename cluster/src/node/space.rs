//! A node whose disk is full takes no tasks: they would fail, though another node could do them.

use std::path::{Path, PathBuf};

/// Less space than this, in bytes, holds no output.
const LEAST: u64 = 1 << 20;

/// The folder of these on whose disk there is no space, if there is one. One that cannot be asked
/// has space.
pub(super) fn full(folders: &[PathBuf]) -> Option<PathBuf> {
    folders.iter().find(|folder| is_full(folder)).cloned()
}

fn is_full(folder: &Path) -> bool {
    let asked = rustix::fs::statvfs(folder);
    asked.is_ok_and(|disk| disk.f_blocks > 0 && disk.f_bavail.saturating_mul(disk.f_frsize) < LEAST)
}
