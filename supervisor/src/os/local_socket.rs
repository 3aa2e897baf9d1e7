//! Sockets in folders of runs, for this user's processes alone.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The name of the control socket in the folder of a run.
pub(crate) const CONTROL: &str = "control";

const OWN: u32 = 0o600;

/// The path of a socket is no longer than this: a longer one goes through the folder's descriptor.
const PATH_AT_MOST: usize = 107;

/// Listens at this path. What a run that was killed has left there is removed.
///
/// # Errors
/// The kernel's.
pub(crate) fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
        _ => {}
    }
    let (short, _folder) = shortened(path)?;
    let listener = UnixListener::bind(short)?;
    fs::set_permissions(path, Permissions::from_mode(OWN))?;
    Ok(listener)
}

/// Connects to the socket at this path.
///
/// # Errors
/// The kernel's.
pub(crate) fn connect(path: &Path) -> io::Result<UnixStream> {
    let (short, _folder) = shortened(path)?;
    UnixStream::connect(short)
}

/// A path that is short enough, and the folder that must stay open for it.
fn shortened(path: &Path) -> io::Result<(PathBuf, Option<File>)> {
    if path.as_os_str().len() <= PATH_AT_MOST {
        return Ok((path.to_owned(), None));
    }
    let folder = File::open(super::files::folder_of(path))?;
    let name = path.file_name().unwrap_or_default();
    let through = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
    Ok((through, Some(folder)))
}

/// Whether the process at the other end is one of this user, or of root.
pub(crate) fn is_of_this_user(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid();
    let other = rustix::net::sockopt::socket_peercred(stream).map(|other| other.uid);
    other.is_ok_and(|uid| uid == own || uid.is_root())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_be_longer_than_the_kernel_takes() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("x".repeat(200));
        fs::create_dir(&folder).expect("new");
        let path = folder.join(CONTROL);
        for _ in 0..2 {
            // The second time after a process that was killed.
            let listener = listen(&path).expect("bound");
            let mode = fs::metadata(&path).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, OWN);
            connect(&path).expect("it listens");
            let (other, _) = listener.accept().expect("connected");
            assert!(is_of_this_user(&other));
        }
    }
}
