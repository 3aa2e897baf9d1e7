//! Finds programs.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// Where programs are looked for if `PATH` is not set.
const USUAL_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Why a program cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProgramError {
    #[error("{}: command not found in PATH", .0.display())]
    NotInPath(PathBuf),
    #[error("{}: no such file", .0.display())]
    Missing(PathBuf),
    #[error("{}: {why}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        why: io::Error,
    },
    #[error("{}: is a directory, not a program", .0.display())]
    Folder(PathBuf),
    #[error("{}: is not executable (chmod +x it)", .0.display())]
    NotExecutable(PathBuf),
}

/// Finds a program as a shell would: by its path when there is a `/` in it, else along `PATH`.
///
/// # Errors
/// [`ProgramError`].
pub(crate) fn find(program: &Path) -> Result<PathBuf, ProgramError> {
    if program.as_os_str().as_bytes().contains(&b'/') {
        return check(program).map(|()| program.to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| OsStr::new(USUAL_PATH).to_owned());
    let mut refused = None;
    for folder in std::env::split_paths(&path) {
        let candidate = folder.join(program);
        match check(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(why) if candidate.is_file() => refused = Some(why),
            Err(_) => {}
        }
    }
    Err(refused.unwrap_or_else(|| ProgramError::NotInPath(program.to_owned())))
}

fn check(path: &Path) -> Result<(), ProgramError> {
    let name = || path.to_owned();
    match std::fs::metadata(path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Err(ProgramError::Missing(name())),
        Err(why) => Err(ProgramError::Unreadable { path: name(), why }),
        Ok(meta) if meta.is_dir() => Err(ProgramError::Folder(name())),
        Ok(_) if access(path, Access::EXEC_OK).is_err() => Err(ProgramError::NotExecutable(name())),
        Ok(_) => Ok(()),
    }
}
