//! Temporary files that nobody needs any more.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Removes a temporary file, whatever it is: it is not needed any more.
pub(crate) fn remove(temporary: &Path) {
    let removed = fs::remove_file(temporary);
    if removed.is_err_and(|why| why.kind() == io::ErrorKind::IsADirectory) {
        let _ = fs::remove_dir_all(temporary);
    }
}

/// Removes what belongs to this user in the folder and has a name that begins with one of these.
///
/// # Errors
/// The folder cannot be read.
pub(crate) fn sweep(folder: &Path, beginnings: &[String]) -> io::Result<()> {
    if beginnings.is_empty() {
        return Ok(());
    }
    let own = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(folder)?.flatten() {
        let name = entry.file_name();
        let begins = |with: &String| name.as_encoded_bytes().starts_with(with.as_bytes());
        let is_left = beginnings.iter().any(begins);
        if is_left && entry.metadata().is_ok_and(|meta| meta.uid() == own) {
            remove(&entry.path());
        }
    }
    Ok(())
}
