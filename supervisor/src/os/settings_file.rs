//! Files with settings: they are read only if no other user could have written them.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// Write permission for all users.
const WORLD_WRITABLE: u32 = 0o002;

/// No file of settings is larger; a device would never end.
const BYTES_AT_MOST: u64 = 1 << 20;

const ROOT: u32 = 0;

/// What is there under a name.
#[derive(Debug)]
pub(crate) enum SettingsFile {
    NotThere,
    Text(Vec<u8>),
    /// Another user could have written it; why.
    Untrusted(String),
}

/// Reads a file of settings.
///
/// # Errors
/// It is there, could not have been written by another user, and cannot be read.
pub(crate) fn read(path: &Path) -> io::Result<SettingsFile> {
    // Looked at before it is opened: what another user has put here may be a pipe or a device.
    let link = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(why) if is_absent(&why) => return Ok(SettingsFile::NotThere),
        Err(why) => return Err(why),
    };
    if let Some(owner) = stranger(&link) {
        return Ok(SettingsFile::Untrusted(owner));
    }
    let how = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = match rustix::fs::open(path, how, Mode::empty()).map_err(io::Error::from) {
        Ok(file) => File::from(file),
        Err(why) if is_absent(&why) => return Ok(SettingsFile::NotThere),
        Err(why) => return Err(why),
    };
    let meta = file.metadata()?;
    if let Some(owner) = stranger(&meta) {
        return Ok(SettingsFile::Untrusted(owner));
    }
    if !meta.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if meta.mode() & WORLD_WRITABLE != 0 {
        return Ok(SettingsFile::Untrusted("every user can write to it (chmod o-w)".into()));
    }
    let mut text = Vec::new();
    file.take(BYTES_AT_MOST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > BYTES_AT_MOST {
        return Err(io::Error::other("it has more than 1 MiB"));
    }
    Ok(SettingsFile::Text(text))
}

fn is_absent(why: &io::Error) -> bool {
    matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The owner, if that is neither this user nor root.
fn stranger(meta: &fs::Metadata) -> Option<String> {
    let (owner, own) = (meta.uid(), rustix::process::geteuid().as_raw());
    let is_strange = owner != own && owner != ROOT;
    is_strange.then(|| format!("it belongs to user {owner}, not to you (user {own})"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn only_what_no_other_user_could_write_is_read() {
        let place = tempfile::tempdir().expect("a folder");
        let [path, link, pipe] = ["file", "link", "pipe"].map(|name| place.path().join(name));
        let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode));
        assert!(matches!(read(&path), Ok(SettingsFile::NotThere)));
        assert!(matches!(read(&path.join("below")), Ok(SettingsFile::NotThere)));
        fs::write(&path, b"a").expect("writable");
        symlink(&path, &link).expect("writable");
        mode(0o664).expect("ours");
        for readable in [&path, &link] {
            assert!(matches!(read(readable), Ok(SettingsFile::Text(text)) if text == b"a"));
        }
        mode(0o666).expect("ours");
        for open in [&path, &link] {
            assert!(matches!(read(open), Ok(SettingsFile::Untrusted(_))));
        }
        let (kind, cwd) = (rustix::fs::FileType::Fifo, rustix::fs::CWD);
        rustix::fs::mknodat(cwd, &pipe, kind, Mode::RUSR | Mode::WUSR, 0).expect("writable");
        for strange in [&pipe, &place.path().to_owned()] {
            assert!(read(strange).is_err(), "{}", strange.display());
        }
        mode(0o600).expect("ours");
        fs::write(&path, vec![b'#'; BYTES_AT_MOST as usize + 1]).expect("writable");
        assert!(read(&path).is_err());
    }
}
