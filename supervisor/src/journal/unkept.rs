//! Runs without a journal that go on. What others have to know of each is a file in its folder in
//! `$TMPDIR`, which is removed with it.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::record::Bytes;
use super::runs;
use crate::os::{local_socket, run_folder};

/// The name of the file.
const KNOWN: &str = "run";

/// Its content.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    run: String,
    /// Where it was begun.
    folder: Bytes,
    /// The run whose task has started this one, if one has.
    within: Option<String>,
}

/// A run without a journal that goes on.
#[derive(Debug)]
pub(crate) struct Unkept {
    /// Its folder in `$TMPDIR`, with its control socket.
    pub(crate) place: PathBuf,
    pub(crate) id: String,
    /// Where it was begun, if no other run has started it.
    pub(crate) began_in: Option<PathBuf>,
}

/// Makes the run in this folder known.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn announce(place: &Path, id: &str) -> io::Result<()> {
    let folder = Bytes(std::env::current_dir()?.into_os_string().into_vec());
    let known = Known { run: id.to_owned(), folder, within: runs::within() };
    // If msup is killed here, its folder is that of a dead run: the next start removes it.
    let mut file = run_folder::create_file(&place.join(KNOWN))?;
    file.write_all(&serde_json::to_vec(&known)?)
}

/// Those that can be reached, the oldest first.
pub(crate) fn live() -> Vec<Unkept> {
    let places = run_folder::with(OsStr::new(KNOWN)).into_iter();
    let mut live: Vec<Unkept> = places.filter_map(read).collect();
    live.sort_by(|one, other| one.id.cmp(&other.id));
    live
}

fn read(place: PathBuf) -> Option<Unkept> {
    let known: Known = serde_json::from_slice(&fs::read(place.join(KNOWN)).ok()?).ok()?;
    // The folder of a killed run stays until the next one starts.
    local_socket::connect(&place.join(local_socket::CONTROL)).ok()?;
    let began_in = || PathBuf::from(OsStr::from_bytes(&known.folder.0));
    Some(Unkept { place, began_in: known.within.is_none().then(began_in), id: known.run })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_known_once_its_record_is_whole_and_its_socket_is_there() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().to_owned();
        announce(&folder, "id").expect("writable");
        let found = || read(folder.clone()).map(|live| (live.id, live.began_in));
        assert_eq!(found(), None, "nothing listens");
        let _socket =
            local_socket::listen(&folder.join(local_socket::CONTROL)).expect("a new socket");
        let known = found().expect("it listens");
        assert_eq!(known.0, "id");
        let whole = fs::read(folder.join(KNOWN)).expect("there");
        for len in 0..whole.len() {
            fs::write(folder.join(KNOWN), &whole[..len]).expect("writable");
            assert_eq!(found(), None, "killed after {len} bytes");
        }
    }
}
