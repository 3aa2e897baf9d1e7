//! The files on the disk, as a pipeline looks at them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use crate::journal::Made;
use crate::pipeline::{Files, TaskKey};

/// The files on the disk.
pub(crate) struct Disk;

impl Files for Disk {
    fn look(&mut self, path: &[u8]) -> Option<Made> {
        let meta = fs::metadata(Path::new(OsStr::from_bytes(path))).ok();
        meta.filter(fs::Metadata::is_file).map(|meta| Made::of(&meta))
    }

    fn real_folder(&mut self, path: &[u8]) -> Option<Vec<u8>> {
        let path = std::path::absolute(Path::new(OsStr::from_bytes(path))).ok()?;
        let there = path.ancestors().find_map(|above| Some((above, fs::canonicalize(above).ok()?)));
        let (above, real) = there?;
        let rest = path.strip_prefix(above).ok()?;
        Some(real.join(rest).into_os_string().into_vec())
    }

    fn hash(&mut self, path: &[u8]) -> Option<TaskKey> {
        // A FIFO without a writer must not be waited for.
        let mut options = fs::OpenOptions::new();
        options.read(true).custom_flags(OFlags::NONBLOCK.bits() as i32);
        let mut file = options.open(Path::new(OsStr::from_bytes(path))).ok()?;
        let is_file = file.metadata().is_ok_and(|meta| meta.is_file());
        is_file.then(|| TaskKey::of_content(&mut file).ok()).flatten()
    }
}
