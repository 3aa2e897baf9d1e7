//! Opens files where another user may have put something in their place: never through a link,
//! never waiting for the other end of a pipe, never a file of another user.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, Mode, OFlags, access};
use rustix::io::Errno;

use super::random;

/// As many links as the kernel follows.
const LINKS_AT_MOST: usize = 40;

/// The mode of files that msup keeps for its user alone.
const OWN: Mode = Mode::RUSR.union(Mode::WUSR);

/// Any user may write to it.
const SHARED: u32 = 0o002;

/// Any user may write to it, but only remove their own files.
const STICKY: u32 = 0o1000;

/// Bytes that the kernel's short texts rarely exceed.
const SHORT: usize = 4096;

/// Random bits that cannot be guessed, as 16 digits.
pub(crate) fn unguessable() -> String {
    format!("{:016x}", random::bits())
}

/// Opens a regular file of this process' user; a created one is readable by this user only. `how`:
/// the access mode, and whether it is created.
///
/// # Errors
/// It cannot be opened, or it is something else.
pub(crate) fn open_own(path: &Path, how: OFlags) -> io::Result<File> {
    let file = open(path, how | OFlags::NOFOLLOW, OWN)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    check_owner(&meta)?;
    if meta.mode() & SHARED != 0 {
        return Err(io::Error::other("others may write to it (chmod o-w)"));
    }
    let for_writing = how.intersects(OFlags::WRONLY | OFlags::RDWR);
    if for_writing && meta.mode() & 0o077 != 0 {
        rustix::fs::fchmod(&file, OWN)?;
    }
    Ok(file)
}

/// Opens a file that a command has made, to sync it: never what a link or a pipe in its place leads
/// to.
///
/// # Errors
/// It cannot be opened, or is something else.
pub(crate) fn open_made(path: &Path) -> io::Result<File> {
    let file = open(path, OFlags::RDONLY | OFlags::NOFOLLOW, OWN)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    Ok(file)
}

/// Opens what is there for reading, without waiting for the other end of a pipe.
///
/// # Errors
/// It cannot be opened.
pub(crate) fn open_at_once(path: &Path) -> io::Result<File> {
    open(path, OFlags::RDONLY, OWN)
}

/// Reads a file that the user has named.
///
/// # Errors
/// It cannot be read, or is a pipe.
pub(crate) fn read_named(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = open_at_once(path)?;
    check_named(&file.metadata()?)?;
    let mut content = Vec::new();
    file.read_to_end(&mut content)?;
    Ok(content)
}

/// Makes sure that this is a folder, or can become one: the nearest part of its path that is there
/// is a folder.
///
/// # Errors
/// It is something else.
pub(crate) fn check_may_be_folder(path: &Path) -> io::Result<()> {
    // A slash at the end would hide a file.
    let absolute: PathBuf = std::path::absolute(path)?.components().collect();
    let there = absolute.ancestors().find_map(|above| fs::metadata(above).ok());
    match there.is_none_or(|meta| meta.is_dir()) {
        true => Ok(()),
        false => Err(io::ErrorKind::NotADirectory.into()),
    }
}

/// Creates a file beside another one, which it replaces when it is complete.
///
/// # Errors
/// It cannot be created.
pub(crate) fn create_beside(path: &Path) -> io::Result<(File, PathBuf)> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.tmp", unguessable()));
    let beside = path.with_file_name(name);
    let how = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
    Ok((open(&beside, how, Mode::from_raw_mode(0o666))?, beside))
}

/// Creates a new file for this process' user alone.
///
/// # Errors
/// It already exists, or cannot be created.
pub(crate) fn create_own(path: &Path) -> io::Result<File> {
    let how = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
    open(path, how, OWN)
}

/// Makes sure that a folder belongs to this process' user, and is not writable by everyone.
///
/// # Errors
/// It does not, or any user may write to it.
pub(crate) fn check_folder(path: &Path) -> io::Result<()> {
    let meta = fs::metadata(path)?;
    if !meta.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    check_owner(&meta)?;
    if meta.mode() & SHARED != 0 {
        return Err(io::Error::other("others may write to it (chmod o-w)"));
    }
    Ok(())
}

/// Reads a text that the kernel makes when it is read, and whose size it does not tell: at once, if
/// it is at most [`SHORT`] long.
///
/// # Errors
/// It cannot be read.
pub(crate) fn read_short(path: &Path) -> io::Result<String> {
    let mut text = String::with_capacity(SHORT);
    File::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

/// Whether any user may write to a folder.
pub(crate) fn is_shared(folder: &Path) -> bool {
    fs::metadata(folder).is_ok_and(|meta| meta.mode() & SHARED != 0)
}

/// Opens a file that the user has named, for appending; it is created if it does not exist. It may
/// be a device, such as a terminal or `/dev/null`, but not a pipe, which may never have a reader.
///
/// # Errors
/// It cannot be opened, or is something else.
pub(crate) fn open_named(path: &Path) -> io::Result<File> {
    refuse_strange_link(path)?;
    let all_users = Mode::from_raw_mode(0o666);
    let how = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE;
    let file = open(path, how, all_users).map_err(|why| {
        match why.raw_os_error().map(Errno::from_raw_os_error) {
            // A pipe without a reader, or a socket.
            Some(Errno::NXIO) => no_file(),
            _ => why,
        }
    })?;
    check_named(&file.metadata()?)?;
    Ok(file)
}

/// Empties a file that the user has named, unless standard output or error goes to it as well.
///
/// # Errors
/// It cannot be changed.
pub(crate) fn empty(file: &File) -> io::Result<()> {
    let meta = file.metadata()?;
    if !meta.is_file() || is_stream(&meta) {
        return Ok(());
    }
    file.set_len(0)
}

/// Whether two names are those of the same file, which may not be there yet.
pub(crate) fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    let [one, other] = &[one, other].map(target_of);
    match (identity(one), identity(other)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => {
            let folders = [one, other].map(|file| identity(folder_of(file)));
            folders[0].is_some() && folders[0] == folders[1] && one.file_name() == other.file_name()
        }
        _ => false,
    }
}

/// What links lead to from this path, whether that is there or not.
fn target_of(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..LINKS_AT_MOST {
        let Ok(target) = fs::read_link(&path) else { break };
        path = folder_of(&path).join(target);
    }
    path
}

/// Whether a file that the user has named is a device, or receives standard output or error.
pub(crate) fn is_device_or_stream(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.file_type().is_char_device() || is_stream(&meta))
}

/// Whether standard output or error goes to this file.
fn is_stream(meta: &fs::Metadata) -> bool {
    let goes_there = |stat: rustix::io::Result<rustix::fs::Stat>| {
        stat.is_ok_and(|stat| (stat.st_dev, stat.st_ino) == (meta.dev(), meta.ino()))
    };
    goes_there(rustix::fs::fstat(io::stdout())) || goes_there(rustix::fs::fstat(io::stderr()))
}

/// Makes sure that a file that the user has named can be written, without touching it. A missing
/// file can be created if its folder can be written to.
///
/// # Errors
/// It cannot, or it is something else.
pub(crate) fn check_writable(path: &Path) -> io::Result<()> {
    refuse_strange_link(path)?;
    match fs::metadata(path) {
        Ok(meta) => {
            check_named(&meta)?;
            Ok(access(path, Access::WRITE_OK)?)
        }
        Err(why) if why.kind() == io::ErrorKind::NotFound => check_folder_writable(path),
        Err(why) => Err(why),
    }
}

/// Replaces a file that the user has named: as a whole, the old one or the new one. What a link
/// leads to is replaced; a device, and a file that standard output or error goes to, is written to.
///
/// # Errors
/// It cannot, or it is something else; or what `write` fails with.
pub(crate) fn replace(path: &Path, write: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    check_replaceable(path)?;
    if is_device_or_stream(path) {
        // A terminal has no old content to protect; what standard output has written stays.
        return write(&open_named(path)?);
    }
    let path = &target_of(path);
    let (file, temporary) = create_beside(path)?;
    let written = write(&file).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// The same for a file that is to be replaced by another one.
///
/// # Errors
/// As above.
pub(crate) fn check_replaceable(path: &Path) -> io::Result<()> {
    if !path.exists() || is_device_or_stream(path) {
        return check_writable(path);
    }
    refuse_strange_link(path)?;
    check_named(&fs::metadata(path)?)?;
    check_folder_writable(&path.canonicalize()?)
}

/// Checks that files can be created in the folder of this one.
fn check_folder_writable(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let how = Access::WRITE_OK | Access::EXEC_OK;
    Ok(access(folder.unwrap_or(Path::new(".")), how)?)
}

fn check_named(meta: &fs::Metadata) -> io::Result<()> {
    let kind = meta.file_type();
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if kind.is_file() || kind.is_char_device() { Ok(()) } else { Err(no_file()) }
}

fn no_file() -> io::Error {
    io::Error::other(
        "it is neither a file nor a device such as a terminal \
         (a pipe may never be read: name a file)",
    )
}

/// A link that another user has left in a folder that any user may write to could lead anywhere.
fn refuse_strange_link(path: &Path) -> io::Result<()> {
    let Ok(link) = fs::symlink_metadata(path) else { return Ok(()) };
    if !link.is_symlink() {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = fs::metadata(folder.unwrap_or(Path::new(".")))?;
    let is_open = folder.mode() & SHARED != 0 || folder.mode() & STICKY != 0;
    let own = rustix::process::geteuid().as_raw();
    if is_open && link.uid() != own && link.uid() != folder.uid() {
        return Err(io::Error::other(format!("it is a link that user {} has made", link.uid())));
    }
    Ok(())
}

fn check_owner(meta: &fs::Metadata) -> io::Result<()> {
    let (owner, own) = (meta.uid(), rustix::process::geteuid().as_raw());
    if owner == own {
        return Ok(());
    }
    Err(io::Error::other(format!("it belongs to user {owner}, not to you (user {own})")))
}

fn open(path: &Path, how: OFlags, mode: Mode) -> io::Result<File> {
    // So as not to wait for the other end of a pipe; it has no effect on files.
    let how = how | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    match rustix::fs::open(path, how, mode) {
        Ok(fd) => Ok(File::from(fd)),
        Err(Errno::LOOP) if how.contains(OFlags::NOFOLLOW) => {
            Err(io::Error::other("it is a symbolic link, which is not followed here"))
        }
        Err(Errno::NXIO) if how.contains(OFlags::NOFOLLOW) => {
            Err(io::Error::other("it is no regular file"))
        }
        Err(errno) => Err(errno.into()),
    }
}

/// The folder of a file, as a path that can be opened.
pub(crate) fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_of_ones_own_is_closed_to_others() {
        let place = tempfile::tempdir().expect("a folder");
        let path = place.path().join("file");
        fs::write(&path, b"").expect("writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("ours");
        open_own(&path, OFlags::RDONLY).expect("ours");
        open_own(&path, OFlags::WRONLY).expect("ours");
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o646)).expect("ours");
        assert!(open_own(&path, OFlags::RDONLY).is_err());
        assert!(create_own(&path).is_err());
    }

    #[test]
    fn neither_links_nor_folders_nor_pipes_are_files_of_ones_own() {
        let place = tempfile::tempdir().expect("a folder");
        let [file, link, pipe] = ["file", "link", "pipe"].map(|name| place.path().join(name));
        fs::write(&file, b"").expect("writable");
        symlink(&file, &link).expect("writable");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, OWN, 0)
            .expect("writable");
        for bad in [&link, &pipe, &place.path().to_owned()] {
            for how in [OFlags::RDONLY, OFlags::RDWR, OFlags::WRONLY | OFlags::CREATE] {
                assert!(open_own(bad, how).is_err(), "{} {how:?}", bad.display());
            }
            assert!(create_own(bad).is_err());
        }
        assert!(open_named(&pipe).is_err() && check_writable(&pipe).is_err());
        assert!(
            open_named(&link).is_ok(),
            "a link of one's own may stand for a file that one names"
        );
        for device in ["/dev/null", "/dev/full"] {
            assert!(
                open_named(Path::new(device)).is_ok() && check_writable(Path::new(device)).is_ok()
            );
        }
    }

    #[test]
    fn what_is_not_there_can_be_written_where_its_folder_is() {
        let place = tempfile::tempdir().expect("a folder");
        assert!(check_writable(&place.path().join("new")).is_ok());
        assert!(check_writable(&place.path().join("no/new")).is_err());
        assert!(check_writable(place.path()).is_err());
    }

    #[test]
    fn no_two_are_equal() {
        assert_ne!(unguessable(), unguessable());
        assert_eq!(unguessable().len(), 16);
    }
}
