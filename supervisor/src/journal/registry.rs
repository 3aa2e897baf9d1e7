//! Runs whose journals the user keeps elsewhere (`--journal FOLDER`): a link in the default place
//! of runs, named by the run's id, leads to each, so that `msup log`, `ctl` and `top` find it.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use super::folder::Folder;
use super::runs;
use crate::os::files;

/// Makes a run known. Without a default place it is found by its folder only.
pub(crate) fn register(folder: &Folder, id: &str) {
    // A journal that was copied may say anything.
    if id.contains('/') || id.starts_with('.') {
        return;
    }
    // That there is such a place, and that it may be made.
    let Ok(known) = runs::new_folder(id) else { return };
    if folder.path().parent() == known.path().parent() {
        return;
    }
    let Ok(target) = std::path::absolute(folder.path()) else { return };
    // A run that cannot be made known goes on. A link is made at once or not at all.
    let _ = link(&target, known.path());
}

/// It may be there from an earlier generation.
fn link(target: &Path, link: &Path) -> io::Result<()> {
    match symlink(target, link) {
        Err(why) if why.kind() == ErrorKind::NotFound => {
            let place = link.parent().unwrap_or(link);
            DirBuilder::new().recursive(true).mode(0o700).create(place)?;
            symlink(target, link)
        }
        made => made,
    }
}

/// The runs that are still where their links lead.
pub(super) fn runs() -> impl Iterator<Item = Folder> {
    links().into_iter().filter_map(|link| run_at(&link))
}

/// Removes the links to runs that are not there any more.
pub(crate) fn remove_dangling() {
    for link in links().iter().filter(|link| run_at(link).is_none()) {
        let _ = fs::remove_file(link);
    }
}

/// Removes all links but the newest ones: the runs stay.
pub(super) fn keep_newest(count: usize) {
    let links = links();
    for link in links.iter().take(links.len().saturating_sub(count)) {
        let _ = fs::remove_file(link);
    }
}

/// The links, the oldest first: ids sort by time.
fn links() -> Vec<PathBuf> {
    let entries = fs::read_dir(runs::usual_path()).into_iter().flatten().flatten();
    let links = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()));
    let mut links: Vec<PathBuf> = links.map(|link| link.path()).collect();
    links.sort_unstable();
    links
}

/// The run to which a link leads. Another one may have taken its folder.
fn run_at(link: &Path) -> Option<Folder> {
    let folder = Folder::at(fs::read_link(link).ok()?);
    files::check_folder(folder.path()).ok()?;
    let run = folder.glance().ok()??.run.run.to_string();
    (link.file_name()?.to_str()? == run).then_some(folder)
}
