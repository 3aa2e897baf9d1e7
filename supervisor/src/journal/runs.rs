//! All runs of this user that keep their journals in the default place: naming, listing and
//! choosing them.

use std::ffi::OsStr;
use std::fs::{self, DirEntry};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use msup_protocol::env as names;
use rustix::fs::OFlags;

use super::error::JournalError;
use super::folder::Folder;
use super::glance::Glance;
use super::locks::LET_GO_WITHIN;
use super::registry;
use crate::os::files;

/// The number of runs that are kept; unfinished ones are always kept. Looking at all of them takes
/// some milliseconds: it is done when there are `SPARE` more.
const KEPT: usize = 500;
const SPARE: usize = 50;

/// Digits of the milliseconds in a run's id: enough until the year 2286.
const DIGITS: usize = 13;

/// The variables that say where runs are kept.
const STATE_HOME: &str = "XDG_STATE_HOME";
const HOME: &str = "HOME";

/// Which run is wanted when none is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// One that is neither over nor running.
    Unfinished,
    Any,
}

/// A run that was chosen, not named.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) folder: Folder,
    /// It was not begun in this folder.
    pub(crate) is_elsewhere: bool,
    /// Why newer runs cannot be judged.
    pub(crate) passed_over: Vec<JournalError>,
}

/// The default place of runs, and the variable that determines it.
struct Place {
    path: PathBuf,
    variable: &'static str,
}

impl Place {
    /// `$XDG_STATE_HOME/msup`, by default `~/.local/state/msup`.
    fn usual() -> Option<Place> {
        let of = |variable, below: &str| {
            let path = PathBuf::from(std::env::var_os(variable)?);
            path.is_absolute().then(|| Place { path: path.join(below), variable })
        };
        of(STATE_HOME, "msup").or_else(|| of(HOME, ".local/state/msup"))
    }
}

/// The default place of runs, if known.
pub(super) fn usual_path() -> PathBuf {
    Place::usual().map(|place| place.path).unwrap_or_default()
}

/// The folder for results of queues that could not be delivered, if known.
#[cfg(feature = "nats")]
pub(crate) fn queue_folder() -> Option<PathBuf> {
    Place::usual().map(|place| place.path.join("queue"))
}

/// The run with this id, or in this folder: a name with a `/` is a folder, any other name is an id.
///
/// # Errors
/// There is no such run, or its folder or journal cannot be used.
pub(crate) fn named(run: &Path) -> Result<Folder, JournalError> {
    let word = run.as_os_str().as_bytes();
    let path = if word.contains(&b'/') {
        run.to_owned()
    } else if matches!(word, b"" | b"." | b"..") {
        return Err(JournalError::NoId(run.to_owned()));
    } else {
        usual_path().join(run)
    };
    match files::check_folder(&path) {
        Ok(()) if Folder::at(path.clone()).has_journal() => {
            let folder = Folder::at(path);
            folder.open_journal(OFlags::RDONLY).map(|_| folder)
        }
        Err(why) if path.is_dir() => Err(JournalError::File { path, why }),
        _ if path == run => Err(JournalError::NoSuchFolder(path)),
        _ => Err(JournalError::NoSuchRun { id: run.to_owned(), place: usual_path() }),
    }
}

/// The newest run of this folder, or else of another one. Within a run, only runs that the same run
/// has started; outside, only runs that no run has started.
///
/// # Errors
/// There is none, the only ones are running ([`JournalError::StillRunning`]), or none can be
/// judged.
pub(crate) fn newest(wanted: Wanted) -> Result<Choice, JournalError> {
    check_place()?;
    choose(wanted, &std::env::current_dir().unwrap_or_default(), None, LET_GO_WITHIN)
}

/// How a command typed in the folder `here` must name this run, whose process is about to exit: not
/// at all, if the command chooses it by itself; else by its id, or by its folder if it is
/// elsewhere.
pub(crate) fn name_for_commands(run: &Folder, wanted: Wanted, here: &Path) -> PathBuf {
    let is_chosen = |choice: Choice| choice.folder == *run && !choice.is_elsewhere;
    if choose(wanted, here, Some(run), Duration::ZERO).is_ok_and(is_chosen) {
        return PathBuf::new();
    }
    let path = run.path();
    match path.file_name() {
        Some(id) if path.parent() == Some(&usual_path()) => id.into(),
        _ => path.to_owned(),
    }
}

/// How commands name the run in this folder: by its id, or by the folder if it is elsewhere.
pub(crate) fn name_of(folder: &Path) -> String {
    match folder.file_name() {
        Some(id) if folder.parent() == Some(&usual_path()) => id.display().to_string(),
        _ => folder.display().to_string(),
    }
}

/// The same as `newest`, in the folder `here`, as if the run `left` had exited. A run is running if
/// its lock is still held after `patience`.
fn choose(
    wanted: Wanted,
    here: &Path,
    left: Option<&Folder>,
    patience: Duration,
) -> Result<Choice, JournalError> {
    let (within, began) = (within(), Instant::now());
    let goes_on = |folder: &Folder| {
        while folder.is_running() {
            if began.elapsed() >= patience {
                return true;
            }
            thread::sleep(Duration::from_millis(10));
        }
        false
    };
    let (mut elsewhere, mut going_on, mut passed_over) = (None, None, Vec::new());
    for folder in list().into_iter().rev() {
        let glance = match folder.glance() {
            Ok(Some(glance)) => glance,
            Ok(None) => continue,
            Err(why) => {
                passed_over.push(JournalError::PassedOver(Box::new(why)));
                continue;
            }
        };
        if glance.run.within != within || wanted == Wanted::Unfinished && folder.is_over() {
            continue;
        }
        if wanted == Wanted::Unfinished && left != Some(&folder) && goes_on(&folder) {
            going_on.get_or_insert(folder);
        } else if Path::new(OsStr::from_bytes(&glance.run.folder.0)) == here {
            return Ok(Choice { folder, is_elsewhere: false, passed_over });
        } else {
            elsewhere.get_or_insert(folder);
        }
    }
    if let Some(folder) = elsewhere {
        return Ok(Choice { folder, is_elsewhere: true, passed_over });
    }
    Err(match (going_on, passed_over.into_iter().next()) {
        (Some(folder), _) => JournalError::StillRunning(folder.path().to_owned()),
        (None, Some(why)) => why,
        (None, None) => JournalError::NoRuns(usual_path()),
    })
}

/// Checks that the folder of all runs can be read, or does not exist yet.
///
/// # Errors
/// [`JournalError::Place`].
pub(crate) fn check_place() -> Result<(), JournalError> {
    let Some(Place { path, variable }) = Place::usual() else { return Ok(()) };
    match fs::read_dir(&path) {
        Err(why) if why.kind() != ErrorKind::NotFound => {
            Err(JournalError::Place { path, why, variable })
        }
        _ => Ok(()),
    }
}

/// The run that has started this process, if one has.
pub(crate) fn within() -> Option<String> {
    std::env::var(names::RUN).ok()
}

/// All runs of this user, the oldest first.
pub(crate) fn list() -> Vec<Folder> {
    in_order(entries().map(|entry| Folder::at(entry.path())).filter(Folder::has_journal))
}

/// The same, with the runs whose journals the user keeps elsewhere (`--journal FOLDER`).
pub(crate) fn list_everywhere() -> Vec<Folder> {
    in_order(list().into_iter().chain(registry::runs()))
}

fn in_order(folders: impl Iterator<Item = Folder>) -> Vec<Folder> {
    let mut ordered: Vec<(u64, Folder)> =
        folders.map(|folder| (order_of(&folder), folder)).collect();
    ordered.sort_by(|one, other| (one.0, one.1.path()).cmp(&(other.0, other.1.path())));
    ordered.into_iter().map(|(_, folder)| folder).collect()
}

/// Folders among the runs that belong to this user and that no other user may write to.
fn entries() -> impl Iterator<Item = DirEntry> {
    let entries = Place::usual().and_then(|place| fs::read_dir(place.path).ok());
    entries.into_iter().flatten().flatten().filter(|entry| {
        entry.file_type().is_ok_and(|kind| kind.is_dir())
            && files::check_folder(&entry.path()).is_ok()
    })
}

/// When a run's last generation began, in milliseconds since 1970: from its lock, its id or its
/// journal.
fn order_of(folder: &Folder) -> u64 {
    let began = |Glance { began, .. }| (began * 1000.0) as u64;
    folder
        .order()
        .or_else(|| order_in(folder.path().file_name()?))
        .or_else(|| folder.glance().ok().flatten().map(began))
        .unwrap_or(0)
}

/// The time that an id begins with.
fn order_in(id: &OsStr) -> Option<u64> {
    let (time, _) = id.to_str()?.split_once('-')?;
    (time.len() == DIGITS).then(|| time.parse().ok())?
}

/// The order of the next generation: the time in milliseconds since 1970, but more than that of any
/// other one, even if the clock was set back.
pub(crate) fn next_order() -> u64 {
    let entries = Place::usual().and_then(|place| fs::read_dir(place.path).ok());
    let folders = entries.into_iter().flatten().flatten();
    let folders = folders.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    // Only a lock of this user is read.
    let others = folders.map(|entry| {
        let folder = Folder::at(entry.path());
        folder.order().max(order_in(&entry.file_name())).unwrap_or(0)
    });
    after(now(), others)
}

/// The time in milliseconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

/// The folder in which a run was begun, if no other run has started it.
pub(crate) fn began_in(folder: &Folder) -> Option<PathBuf> {
    let run = folder.glance().ok()??.run;
    run.within.is_none().then(|| OsStr::from_bytes(&run.folder.0).into())
}

/// The id of a run. Nothing for one whose journal does not say it.
pub(crate) fn id_of(folder: &Folder) -> String {
    let glance = folder.glance().ok().flatten();
    glance.map_or(String::new(), |glance| glance.run.run.to_string())
}

/// The time in nanoseconds since 1970.
pub(crate) fn now_ns() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

/// The time in seconds since 1970.
pub(crate) fn seconds() -> f64 {
    now() as f64 / 1000.0
}

fn after(now: u64, others: impl Iterator<Item = u64>) -> u64 {
    // An impossible time is ignored.
    let possible = 10_u64.pow(DIGITS as u32) - 1;
    others.filter(|other| *other < possible).map(|other| other + 1).fold(now, u64::max)
}

/// A new run's id: ids sort by time, and no two runs have the same one, wherever they begin.
pub(crate) fn new_id(order: u64) -> String {
    format!("{order:0DIGITS$}-{}", files::unguessable())
}

/// The folder of a new run, in the default place.
///
/// # Errors
/// There is no default place.
pub(crate) fn new_folder(id: &str) -> Result<Folder, JournalError> {
    let place = Place::usual().ok_or(JournalError::NoPlace)?;
    // A missing home directory is not created.
    if let Some(home) = std::env::var_os(HOME).map(PathBuf::from)
        && place.path.starts_with(&home)
        && !home.is_dir()
    {
        return Err(JournalError::NoHome(home));
    }
    Ok(Folder::at(place.path.join(id)))
}

/// Adds the variable that determined the default place to a message.
pub(crate) fn explain(why: &JournalError) -> String {
    match Place::usual() {
        Some(place) => format!("{why} ({})", place.variable),
        None => why.to_string(),
    }
}

/// Removes the oldest finished runs, and the remains of starts that were killed, where there are
/// many more than `KEPT`.
pub(crate) fn prune() {
    let count = Place::usual().and_then(|place| fs::read_dir(place.path).ok()).map(Iterator::count);
    if count.unwrap_or(0) < KEPT + SPARE {
        return;
    }
    remove_remains();
    let superfluous = entries().count().saturating_sub(KEPT);
    let is_over = |folder: &Folder| folder.is_finished() || folder.is_empty_run();
    for folder in list().iter().filter(|folder| is_over(folder)).take(superfluous) {
        if !folder.is_running() {
            let _ = folder.remove();
        }
    }
    registry::keep_newest(KEPT);
}

/// Removes what starts that were killed have left.
pub(crate) fn remove_remains() {
    for entry in entries().filter(|entry| !Folder::at(entry.path()).has_journal()) {
        // Only if it is empty; a run that is about to use it makes it again.
        let _ = fs::remove_dir(entry.path());
    }
    registry::remove_dangling();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_differ() {
        let ids = [999, 1_000, 9_999_999_999].map(new_id);
        assert!(ids.is_sorted(), "{ids:?}");
        assert_ne!(new_id(7), new_id(7));
        assert_eq!(
            ids.map(|id| order_in(OsStr::new(&id))),
            [Some(999), Some(1_000), Some(9_999_999_999)]
        );
        for other in ["1795493826-11282", "mine", "", "12345678901234-0"] {
            assert_eq!(order_in(OsStr::new(other)), None, "{other}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_changes_no_order() {
        assert_eq!(after(1_000, [10, 999].into_iter()), 1_000);
        assert_eq!(after(1_000, [10, 5_000].into_iter()), 5_001);
        assert_eq!(after(1_000, [1_000].into_iter()), 1_001, "within one millisecond");
        assert_eq!(
            after(1_000, [u64::MAX, 9_999_999_999_999].into_iter()),
            1_000,
            "no clock's time"
        );
    }
}
