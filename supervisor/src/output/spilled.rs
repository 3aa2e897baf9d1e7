//! An output in a file of the run's folder. Tasks can change, remove or replace that file, so it is
//! opened once, and only read if it is as its worker described it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use msup_protocol::codec::LeftFile;
use rustix::fs::OFlags;

use crate::os::{files, run_folder};

/// The number of files kept open until they are written; removing the folder does not affect these.
/// The others are opened then.
const KEPT_OPEN: usize = 32;

/// An output in a file.
#[derive(Debug)]
pub(crate) struct Spilled {
    pub(super) path: PathBuf,
    pub(super) left: LeftFile,
    pub(super) file: Option<(File, Arc<()>)>,
}

/// Counts the open ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenOnes(Arc<()>);

impl Spilled {
    /// A file that a worker has written, with the worker's description of it.
    ///
    /// # Errors
    /// It does not exist, or is not what was written.
    pub(crate) fn open(path: PathBuf, left: LeftFile, open_ones: &OpenOnes) -> io::Result<Spilled> {
        let file = open(&path, left).map_err(|why| run_folder::describe(&path, &why))?;
        let is_kept = Arc::strong_count(&open_ones.0) <= KEPT_OPEN;
        let file = is_kept.then(|| (file, Arc::clone(&open_ones.0)));
        Ok(Spilled { path, left, file })
    }

    /// Reads its file.
    pub(super) fn read<T>(&self, look: impl FnOnce(&File) -> io::Result<T>) -> io::Result<T> {
        match &self.file {
            Some((file, _)) => look(file),
            None => look(&open(&self.path, self.left)?),
        }
    }

    /// Its content, of at most this number of bytes.
    ///
    /// # Errors
    /// It cannot be read, or is longer.
    pub(crate) fn whole(&self, at_most: usize) -> io::Result<Vec<u8>> {
        if self.left.len > at_most as u64 {
            return Err(io::Error::other(format!("{} bytes are too many", self.left.len)));
        }
        let mut bytes = vec![0; self.left.len as usize];
        self.read(|file| file.read_exact_at(&mut bytes, 0))?;
        Ok(bytes)
    }

    /// Its last bytes, of at most this number.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn tail(&self, at_most: usize) -> io::Result<Vec<u8>> {
        let start = self.left.len.saturating_sub(at_most as u64);
        let mut bytes = vec![0; (self.left.len - start) as usize];
        self.read(|file| file.read_exact_at(&mut bytes, start))?;
        Ok(bytes)
    }

    /// Its file, after removing its name.
    pub(super) fn take(self) -> io::Result<File> {
        let Spilled { path, left, file } = self;
        let file = file.map_or_else(|| open(&path, left), |(file, _)| Ok(file));
        let _ = fs::remove_file(&path);
        file
    }
}

fn open(path: &std::path::Path, left: LeftFile) -> io::Result<File> {
    let file = files::open_own(path, OFlags::RDONLY)?;
    if LeftFile::of(&file)? == left {
        return Ok(file);
    }
    Err(io::Error::other("its content was changed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(path: &std::path::Path) -> LeftFile {
        LeftFile::of(&File::open(path).expect("there")).expect("readable")
    }

    #[test]
    fn what_was_open_is_there_though_it_was_removed() {
        let place = tempfile::tempdir().expect("a folder");
        let path = |n: usize| place.path().join(n.to_string());
        let open_ones = OpenOnes::default();
        let spill = |n| {
            fs::write(path(n), b"12345").expect("writable");
            Spilled::open(path(n), left(&path(n)), &open_ones)
        };
        let all: Vec<Spilled> = (0..KEPT_OPEN + 5).map(|n| spill(n).expect("as written")).collect();
        assert_eq!(all.iter().filter(|one| one.file.is_some()).count(), KEPT_OPEN);
        (0..all.len()).for_each(|n| fs::remove_file(path(n)).expect("there"));
        let there = all.into_iter().filter_map(|one| one.take().ok()).count();
        assert_eq!(there, KEPT_OPEN);
        assert!(spill(0).expect("as written").file.is_some(), "they are closed again");
    }

    #[test]
    fn what_is_something_else_is_not_read() {
        let place = tempfile::tempdir().expect("a folder");
        let path = place.path().join("out");
        fs::write(&path, b"12345").expect("writable");
        let was = left(&path);
        let open = || Spilled::open(path.clone(), was, &OpenOnes::default());
        assert!(open().is_ok());
        fs::remove_file(&path).expect("there");
        assert!(open().is_err(), "nothing");
        std::os::unix::fs::symlink("/dev/zero", &path).expect("writable");
        assert!(open().is_err(), "a link");
        fs::remove_file(&path).expect("there");
        let other = place.path().join("other");
        fs::write(&other, b"54321").expect("writable");
        fs::hard_link(&other, &path).expect("writable");
        assert!(open().is_err(), "another file of this length");
        fs::remove_file(&path).expect("there");
        fs::write(&path, b"123456").expect("writable");
        let why = open().expect_err("more").to_string();
        assert!(why.contains("TMPDIR") && why.contains(&path.display().to_string()), "{why}");
    }
}
