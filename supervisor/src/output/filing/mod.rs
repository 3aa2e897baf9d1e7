//! Outputs that are not shown but filed: in files (`--results`, `--files`), or as rows of a table.
//!
//! A file has its name only once it is complete. This happens before its task counts as shown, so a
//! task whose files are missing runs again.

mod table;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use msup_protocol::crash;

use super::capture::Broken;
use super::{Delivery, Piece};
use crate::os::files::{self, folder_of};
use crate::os::run_folder;
use crate::report::table::Row;
use crate::template::ResultsPlace;
pub(crate) use table::Table;

/// What becomes of an output that is not shown.
#[derive(Debug)]
pub(crate) enum Filed {
    /// It is written to the files of this place.
    Place(ResultsPlace),
    /// It is written to a file of its own among temporary files.
    Temporary,
    /// It is written to a table.
    Row(Box<Row>),
}

/// How outputs are filed.
#[derive(Debug)]
pub(crate) struct Filing {
    /// The table, if they become its rows.
    pub(super) table: Option<Table>,
    /// The folder of files without places of their own.
    tmpdir: PathBuf,
    /// The names of their files are shown.
    shows_names: bool,
    /// What tasks write to standard error is not shown, though it is not in a file either.
    drops_errors: bool,
    /// The folders whose names are shorter than the values of their tasks.
    cut: HashMap<PathBuf, u64>,
}

/// An output that could not be filed, and the file.
#[derive(Debug)]
pub(super) struct Unfiled {
    pub(super) place: String,
    pub(super) why: Broken,
}

impl Unfiled {
    fn at(path: &Path, why: Broken) -> Unfiled {
        Unfiled { place: format!("--results {}", path.display()), why }
    }
}

impl Filing {
    pub(crate) fn new(
        table: Option<Table>,
        tmpdir: PathBuf,
        shows_names: bool,
        drops_errors: bool,
    ) -> Filing {
        Filing { table, tmpdir, shows_names, drops_errors, cut: HashMap::new() }
    }

    /// Writes the files of an output. What is left of the delivery is to be shown, in its turn.
    /// `folder`: where temporary files are written, in the folder for them.
    pub(super) fn file(
        &mut self,
        mut delivery: Delivery,
        folder: &Path,
    ) -> Result<Delivery, Unfiled> {
        let names = match delivery.filed.take() {
            None => return Ok(delivery),
            Some(Filed::Row(row)) => {
                delivery.filed = Some(Filed::Row(row));
                return Ok(delivery);
            }
            Some(Filed::Place(place)) => {
                self.refuse_shared(&place, delivery.seq)?;
                let names = place.names();
                let streams = [&mut delivery.stdout, &mut delivery.stderr];
                let [stdout, stderr] = streams.map(Piece::take);
                let seq = Piece::Bytes(delivery.seq.to_string().into_bytes());
                write_all(&names, [stdout, stderr, seq], delivery.seq)?;
                let [stdout, ..] = names;
                stdout
            }
            Some(Filed::Temporary) => {
                if self.drops_errors {
                    delivery.stderr.take().discard();
                }
                write_temporary(delivery.stdout.take(), folder, &self.tmpdir)?
            }
        };
        if self.shows_names {
            let line = [names.as_os_str().as_bytes(), b"\n"].concat();
            delivery.stdout = Piece::Bytes(line);
        }
        Ok(delivery)
    }

    /// Makes sure that no other task has this folder because the end of its value was cut off.
    fn refuse_shared(&mut self, place: &ResultsPlace, seq: u64) -> Result<(), Unfiled> {
        let ResultsPlace::Folder { path, is_cut: true } = place else { return Ok(()) };
        let first = *self.cut.entry(path.clone()).or_insert(seq);
        if first == seq {
            return Ok(());
        }
        let why = io::Error::other(format!(
            "it would be the folder of tasks {first} and {seq}, whose values are too long: \
             --results 'FOLDER/{{#}}' has room for both"
        ));
        Err(Unfiled::at(path, Broken::Target(why)))
    }
}

/// Writes files beside their places, then gives them their names. The last name is that of standard
/// output: where it is, all are.
fn write_all(names: &[PathBuf; 3], content: [Piece; 3], task: u64) -> Result<(), Unfiled> {
    let folder = folder_of(&names[0]);
    let fail = |path: &Path, why| Unfiled::at(path, Broken::Target(why));
    fs::create_dir_all(folder).map_err(|why| fail(folder, why))?;
    let beside = ["stdout", "stderr", "seq"].map(|of| folder.join(format!(".msup-{task}-{of}")));
    let mut written = Ok(());
    for (path, piece) in beside.iter().zip(content) {
        written = match written {
            Ok(()) => write(path, piece).map_err(|why| Unfiled::at(path, why)),
            failed => {
                piece.discard();
                failed
            }
        };
    }
    // CRASH: filed_before_names. Hidden files beside the results: their task runs again, and
    // replaces them.
    crash::point("filed_before_names");
    for (path, name) in beside.iter().zip(names).rev() {
        written = written.and_then(|()| fs::rename(path, name).map_err(|why| fail(name, why)));
    }
    if written.is_err() {
        beside.iter().for_each(|path| drop(fs::remove_file(path)));
    }
    written
}

/// Writes a file of this name. One that a killed run has left there is replaced.
fn write(path: &Path, piece: Piece) -> Result<(), Broken> {
    let create = || File::options().write(true).create_new(true).open(path);
    let created = match create() {
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path).and_then(|()| create())
        }
        created => created,
    };
    match created {
        Ok(mut file) => piece.copy(&mut file),
        Err(why) => {
            piece.discard();
            Err(Broken::Target(why))
        }
    }
}

/// Writes a file for the user of this run alone into the folder for temporary files. A run that is
/// killed meanwhile leaves it in its own folder, which the next start removes.
fn write_temporary(piece: Piece, folder: &Path, tmpdir: &Path) -> Result<PathBuf, Unfiled> {
    let name = tmpdir.join(format!("par{}.par", files::unguessable()));
    let beside = folder.join("filed");
    let written = run_folder::create_file(&beside).map_err(Broken::Target);
    let written = written.and_then(|mut file| piece.copy(&mut file));
    let renamed = |()| fs::rename(&beside, &name).map_err(Broken::Target);
    match written.and_then(renamed) {
        Ok(()) => Ok(name),
        Err(why) => Err(Unfiled { place: format!("--files {}", name.display()), why }),
    }
}
