//! Runs that go on, for commands that talk to them.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::log;
use crate::cli::{Refusal, UsageError};
use crate::journal::{Folder, runs, unkept};
use crate::os::local_socket;

/// A run that goes on.
struct Live {
    /// The folder of its socket.
    place: PathBuf,
    /// How commands name it.
    name: String,
    /// Ids sort by time.
    id: String,
    /// Where it was begun, if no other run has started it.
    began_in: Option<PathBuf>,
}

/// A connection to the run as typed, or to the one that is meant if none is, and how to name it.
///
/// # Errors
/// There is none, or it does not go on.
pub(super) fn connect(run: Option<&Path>) -> Result<(String, UnixStream), Refusal> {
    let (place, name) = match run {
        Some(run) => (place_of(run)?, run.display().to_string()),
        None => meant().map(|live| (live.place, live.name))?,
    };
    match local_socket::connect(&place.join(local_socket::CONTROL)) {
        Ok(stream) => Ok((name, stream)),
        Err(_) => Err(UsageError::NotLive(name).into()),
    }
}

fn place_of(run: &Path) -> Result<PathBuf, Refusal> {
    // A run without a journal has a folder all the same.
    let is_folder = run.as_os_str().as_encoded_bytes().contains(&b'/');
    if is_folder && run.join(local_socket::CONTROL).exists() {
        return Ok(run.to_owned());
    }
    let unkept = || unkept::live().into_iter().find(|live| Path::new(&live.id) == run);
    match (!is_folder).then(unkept).flatten() {
        Some(unkept) => Ok(unkept.place),
        None => Ok(log::folder_of(Some(run))?.path().to_owned()),
    }
}

/// The newest run that goes on and was begun in this folder, else the only one of this user.
///
/// # Errors
/// There is none, or there are several.
fn meant() -> Result<Live, Refusal> {
    let here = std::env::current_dir().unwrap_or_default();
    let mut live = all();
    let is_here = |live: &Live| live.began_in.as_ref() == Some(&here);
    if let Some(newest) = live.iter().rposition(is_here) {
        return Ok(live.swap_remove(newest));
    }
    if live.len() > 1 {
        let names = live.iter().map(|live| match &live.began_in {
            Some(folder) => format!("{} (in {})", live.name, folder.display()),
            None => live.name.clone(),
        });
        let names = names.collect::<Vec<_>>().join(", ");
        return Err(UsageError::SeveralLiveRuns(names).into());
    }
    live.pop().ok_or_else(|| UsageError::NoLiveRun.into())
}

/// All runs of this user that go on, the oldest first.
fn all() -> Vec<Live> {
    let kept = runs::list_everywhere().into_iter().filter(Folder::is_running).map(|folder| Live {
        name: runs::name_of(folder.path()),
        id: runs::id_of(&folder),
        began_in: runs::began_in(&folder),
        place: folder.path().to_owned(),
    });
    let unkept = unkept::live().into_iter().map(|live| Live {
        name: live.id.clone(),
        id: live.id,
        began_in: live.began_in,
        place: live.place,
    });
    let mut all: Vec<Live> = kept.chain(unkept).collect();
    all.sort_by(|one, other| one.id.cmp(&other.id));
    all
}
