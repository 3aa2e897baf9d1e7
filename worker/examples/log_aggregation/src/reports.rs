//! Where reports are, and how they get there.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The file for the report about a log: `FOLDER/NAME.json`, with the log's own name.
#[must_use]
pub fn report_path(folder: &Path, log: &Path) -> PathBuf {
    let mut name = log.file_name().unwrap_or_default().to_owned();
    name.push(".json");
    folder.join(name)
}

/// Writes a file that is there with all of its content, or not at all. The temporary file,
/// `.NAME.tmp`, has the same name at each attempt: so an attempt that was killed leaves nothing
/// when the next one has succeeded. Two attempts for one file must not run at once. (msup never
/// runs two attempts of one task at once.)
///
/// # Errors
/// The file cannot be written, synced or renamed. A temporary file may be left.
pub fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_attempt_has_left_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = report_path(folder.path(), Path::new("logs/a.log.gz"));
        assert_eq!(path, folder.path().join("a.log.gz.json"));
        fs::write(folder.path().join(".a.log.gz.json.tmp"), "half of a longer text").expect("room");
        fs::write(&path, "old").expect("room");
        write_atomically(&path, b"new\n").expect("room");
        assert_eq!(fs::read(&path).expect("there"), b"new\n");
        let files = fs::read_dir(folder.path()).expect("there").count();
        assert_eq!(files, 1, "the temporary file has become the report");
    }
}
