//! A machine with little memory and some swap space: a control group of the old kind that limits
//! memory, and a swap file of its own.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What all processes in the group may have of memory together, and how much more of swap space
/// there is.
const MEMORY: u64 = 512 << 20;
const SWAP: usize = 3 << 30;

/// Removed when it is dropped.
pub(crate) struct Scarce {
    pub(crate) group: PathBuf,
    swap: PathBuf,
}

impl Scarce {
    /// With the swap file in `folder`.
    ///
    /// # Errors
    /// It needs root, a kernel with such groups, and a file system that can hold a swap file.
    pub(crate) fn new(folder: &Path) -> io::Result<Scarce> {
        sweep(folder.parent().unwrap_or(folder));
        let group = format!("/sys/fs/cgroup/memory/msup-bench-{}", std::process::id());
        let scarce = Scarce { group: group.into(), swap: folder.join("swap") };
        fs::create_dir(&scarce.group)?;
        fs::write(scarce.group.join("memory.limit_in_bytes"), MEMORY.to_string())?;
        let mut file = fs::File::create(&scarce.swap)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        // A swap file must not have holes.
        for _ in 0..SWAP >> 20 {
            io::Write::write_all(&mut file, &[0; 1 << 20])?;
        }
        scarce.with_swap("mkswap")?;
        scarce.with_swap("swapon")?;
        Ok(scarce)
    }

    fn with_swap(&self, program: &str) -> io::Result<()> {
        run(program, &self.swap)
    }
}

impl Drop for Scarce {
    fn drop(&mut self) {
        let _ = self.with_swap("swapoff");
        let _ = fs::remove_file(&self.swap);
        let _ = fs::remove_dir(&self.group);
    }
}

fn run(program: &str, file: &Path) -> io::Result<()> {
    let mut command = Command::new(program);
    let status = command.arg(file).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{program} failed"))) }
}

/// A benchmark that was killed has left its swap file below this folder in use. Only benchmarks
/// have swap files there.
fn sweep(folder: &Path) {
    let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
    let files = swaps.lines().filter_map(|line| line.split_whitespace().next()).map(Path::new);
    for file in files.filter(|file| file.starts_with(folder)) {
        let _ = run("swapoff", file);
        let _ = fs::remove_file(file);
    }
}
