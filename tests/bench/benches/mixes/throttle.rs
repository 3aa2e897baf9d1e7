//! A disk with little bandwidth: a control group of the old kind that limits writing.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What all commands in it may write together.
pub(crate) const BYTES_PER_SECOND: u64 = 8 << 20;

/// Removed when it is dropped.
pub(crate) struct Throttle {
    pub(crate) group: PathBuf,
}

impl Throttle {
    /// For the disk that holds `folder`.
    ///
    /// # Errors
    /// It needs root, and a kernel with such groups.
    pub(crate) fn new(folder: &Path) -> io::Result<Throttle> {
        let device = fs::metadata(folder)?.dev();
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let group =
            PathBuf::from(format!("/sys/fs/cgroup/blkio/msup-bench-{}", std::process::id()));
        fs::create_dir(&group)?;
        let throttle = Throttle { group };
        let limit = format!("{major}:{minor} {BYTES_PER_SECOND}");
        fs::write(throttle.group.join("blkio.throttle.write_bps_device"), limit)?;
        Ok(throttle)
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.group);
    }
}
