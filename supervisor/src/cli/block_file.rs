//! The file that blocks stand in: whether it can be cut where it is, and how a run that goes on
//! finds it again.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use super::usage::UsageError;

/// The number of bytes that are copied at a time.
const COPIED: usize = 1 << 20;

/// Whether blocks are parts of this file. Those of the kernel (below /proc and /sys) may not have
/// the length that they claim, or cannot be sought: such a file is a stream, as a pipe is.
pub(super) fn is_whole(file: &File, meta: &Metadata) -> bool {
    let mut byte = [0];
    meta.is_file()
        && can_seek(file).is_ok()
        && match meta.len().checked_sub(1) {
            None => file.read_at(&mut byte, 0).is_ok_and(|read| read == 0),
            Some(last) => file.read_at(&mut byte, last).is_ok_and(|read| read == 1),
        }
}

/// # Errors
/// It cannot be sought.
fn can_seek(mut file: &File) -> io::Result<()> {
    let at = file.stream_position()?;
    file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(at)).map(drop)
}

/// A copy of a stream, in the folder for temporary files. It is gone with the last process that has
/// it open.
///
/// # Errors
/// The stream cannot be read, or the copy not be written.
pub(super) fn copied(mut stream: File, tmpdir: Option<&Path>) -> Result<File, UsageError> {
    let folder = tmpdir.map_or_else(std::env::temp_dir, Path::to_owned);
    let failed = |why| UsageError::NoCopy { folder: folder.clone(), why };
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let mut copy = match open(&folder, flags, Mode::RUSR | Mode::WUSR) {
        Ok(copy) => File::from(copy),
        // Some file systems cannot do this. Errors of the other way name a file that is not known.
        Err(Errno::OPNOTSUPP | Errno::ISDIR) => tempfile::tempfile_in(&folder).map_err(failed)?,
        Err(errno) => return Err(failed(errno.into())),
    };
    let mut buffer = vec![0; COPIED];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(copy),
            Ok(read) => copy.write_all(&buffer[..read]).map_err(failed)?,
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(UsageError::Stdin(why)),
        }
    }
}

/// A file of blocks, and where these begin and end: the same for each generation of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cuts {
    /// Where the first block begins.
    pub(super) begin: u64,
    /// The size of a block.
    pub(super) block: u64,
}

impl Cuts {
    /// Those of a file from its present position on.
    pub(super) fn of(file: &mut File, block: u64) -> io::Result<Cuts> {
        Ok(Cuts { begin: file.stream_position()?, block })
    }

    /// How the file is found again, and known to be the same: where it is cut, its length, inode
    /// number and time of the last change, then its path. `None` if it has no name.
    pub(super) fn kept(self, file: &File) -> Option<OsString> {
        let meta = file.metadata().ok()?;
        let path = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
        let (seconds, ns) = (meta.mtime(), meta.mtime_nsec());
        let Cuts { begin, block } = self;
        let numbers = format!("{begin},{block},{},{},{seconds}.{ns:09}:", meta.len(), meta.ino());
        let mut kept = numbers.into_bytes();
        kept.extend_from_slice(path.as_os_str().as_bytes());
        Some(OsString::from_vec(kept))
    }

    /// Opens the file of what was kept, where its first block begins.
    ///
    /// # Errors
    /// It cannot be opened, or has changed.
    pub(super) fn open_again(kept: &OsStr) -> Result<(File, Cuts), UsageError> {
        let path = path_of(kept);
        let why = |why| UsageError::File { flag: "--pipe", path: path.clone(), why };
        let mut file = File::open(&path).map_err(why)?;
        let text = String::from_utf8_lossy(kept.as_bytes());
        let mut numbers = text.split(',').map(|number| number.parse().unwrap_or_default());
        let (begin, block) =
            (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        let cuts = Cuts { begin, block };
        if cuts.kept(&file).as_deref() != Some(kept) {
            return Err(UsageError::BlocksChanged(path));
        }
        file.seek(SeekFrom::Start(begin)).map_err(why)?;
        Ok((file, cuts))
    }
}

/// The path in what [`Cuts::kept`] has written.
fn path_of(kept: &OsStr) -> PathBuf {
    let bytes = kept.as_bytes();
    let colon = bytes.iter().position(|byte| *byte == b':').map_or(0, |colon| colon + 1);
    OsStr::from_bytes(&bytes[colon..]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_again_until_it_changes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a:b");
        std::fs::write(&path, "abc").expect("written");
        let cuts = Cuts { begin: 1, block: 20 };
        let kept = cuts.kept(&File::open(&path).expect("there")).expect("it has a name");
        assert_eq!(path_of(&kept), path.canonicalize().expect("a path"));
        let (mut file, found) = Cuts::open_again(&kept).expect("it is the same");
        assert_eq!((found, file.stream_position().expect("a file")), (cuts, 1));
        std::fs::write(&path, "abcd").expect("written");
        assert!(matches!(Cuts::open_again(&kept), Err(UsageError::BlocksChanged(_))));
    }

    #[test]
    fn files_of_the_kernel_are_streams() {
        let of = |path: &str| {
            let file = File::open(path).expect("it exists");
            is_whole(&file, &file.metadata().expect("open"))
        };
        assert!(!of("/proc/self/environ") && !of("/proc/version") && !of("/dev/null"));
        assert!(!of("/proc/cmdline"));
        assert!(of("/etc/passwd"));
        let empty = tempfile::NamedTempFile::new().expect("a file");
        assert!(of(empty.path().to_str().expect("text")));
    }
}
