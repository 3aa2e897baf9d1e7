//! The pipeline that ran last in a folder.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::loaded::HISTORIES;
use crate::journal::Folder;
use crate::journal::runs::{self, Wanted};

/// The journal of the last run of this folder, if that is one of a pipeline.
pub(in crate::cli) fn folder() -> Option<Folder> {
    let folders = fs::read_dir(HISTORIES).ok()?.flatten().map(|entry| Folder::at(entry.path()));
    let begun = folders.filter_map(|folder| Some((folder.order()?, folder)));
    let (order, folder) = begun.max_by_key(|(order, _)| *order)?;
    let other = runs::newest(Wanted::Any).ok().filter(|choice| !choice.is_elsewhere);
    if other.and_then(|choice| choice.folder.order()).is_some_and(|other| other > order) {
        return None;
    }
    Some(folder)
}

/// The file of the pipeline whose run is the last one of this folder, if it is one of a pipeline.
pub(in crate::cli) fn file() -> Option<PathBuf> {
    let run = folder()?.glance().ok()??.run;
    let file = Path::new(OsStr::from_bytes(&run.arguments.get(1)?.0)).file_name()?.to_owned();
    Some(file.into())
}
