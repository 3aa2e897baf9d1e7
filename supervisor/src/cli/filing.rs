//! The flags about files for outputs, and what they ask for.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::gnu::GnuFlags;
use super::usage::UsageError;
use crate::os::files;
use crate::report::table::TableFormat;
use crate::template::{ResultsTemplate, Strings};

/// What a table on standard output is called, before the dot.
const STDOUT: &[u8] = b"-";

#[derive(Debug, clap::Args)]
pub(super) struct FilingFlags {
    /// Do not show outputs but write them to files: below a folder (NAME), where replacement
    /// strings say ('NAME/{1}-{2}'), or as rows of a table (NAME.csv, NAME.tsv, NAME.json)
    #[arg(
        long,
        aliases = ["result", "res"],
        value_name = "NAME",
        allow_hyphen_values = true,
        conflicts_with_all = ["worker", "worker_stdio"]
    )]
    results: Option<OsString>,

    /// Write each output to a file in $TMPDIR, and show the name of this file instead
    #[arg(long, aliases = ["output-as-files", "outputasfiles"])]
    files: bool,

    /// Write temporary files and those of --files to FOLDER instead of $TMPDIR
    #[arg(long, alias = "tempdir", value_name = "FOLDER")]
    pub(super) tmpdir: Option<PathBuf>,
}

/// How outputs are filed, where they are not shown.
#[derive(Debug)]
pub(crate) struct FilingPlan {
    pub(crate) results: FiledTo,
    /// The names of the files are shown.
    pub(crate) shows_names: bool,
    /// What is written to standard error is lost.
    pub(crate) drops_errors: bool,
    /// Tasks with different values may overwrite each other's files.
    pub(crate) may_share: bool,
}

/// Where outputs are filed.
#[derive(Debug)]
pub(crate) enum FiledTo {
    /// In files of these names.
    Places(ResultsTemplate),
    /// In files of their own among temporary files.
    Temporary,
    /// As rows of a table, in this file or on standard output.
    Table { format: TableFormat, path: Option<PathBuf> },
}

impl FilingPlan {
    /// A file or folder on the file system of results, if they have a place.
    pub(crate) fn on(&self) -> Option<File> {
        let place = match &self.results {
            FiledTo::Places(template) => template.folder(),
            FiledTo::Table { path, .. } => path.clone()?,
            FiledTo::Temporary => return None,
        };
        let absolute = std::path::absolute(place).ok()?;
        absolute.ancestors().find_map(|folder| files::open_at_once(folder).ok())
    }

    /// The file of a table.
    pub(super) fn table(&self) -> Option<&Path> {
        match &self.results {
            FiledTo::Table { path, .. } => path.as_deref(),
            FiledTo::Places(_) | FiledTo::Temporary => None,
        }
    }

    /// Makes sure that files can be made where results have their places.
    ///
    /// # Errors
    /// What is there is no folder.
    pub(crate) fn check(&self) -> Result<(), (PathBuf, io::Error)> {
        let FiledTo::Places(template) = &self.results else { return Ok(()) };
        let folder = template.folder();
        files::check_may_be_folder(&folder).map_err(|why| (folder, why))
    }
}

impl FilingFlags {
    /// Whether outputs are filed.
    pub(super) fn is_asked(&self) -> bool {
        self.results.is_some() || self.files
    }

    /// What the flags ask for. `counted_to`: after this number of arguments of a value they are
    /// counted anew.
    ///
    /// # Errors
    /// The name of --results cannot be used.
    pub(super) fn plan(
        &self,
        strings: &Strings,
        counted_to: usize,
        reading: &GnuFlags,
    ) -> Result<Option<FilingPlan>, UsageError> {
        let results = match self.results.as_deref() {
            None if !self.files => return Ok(None),
            None => FiledTo::Temporary,
            Some(typed) => self.results(typed, strings, counted_to)?,
        };
        // As there.
        let drops_errors = reading.gnu && matches!(results, FiledTo::Temporary);
        let (shows_names, may_share) = (self.files, reading.gnu);
        Ok(Some(FilingPlan { results, shows_names, drops_errors, may_share }))
    }

    fn results(
        &self,
        typed: &OsStr,
        strings: &Strings,
        counted_to: usize,
    ) -> Result<FiledTo, UsageError> {
        let bytes = typed.as_bytes();
        let Some(format) = TableFormat::of(bytes) else {
            let template = ResultsTemplate::parse(bytes, strings, counted_to);
            return template
                .map(FiledTo::Places)
                .map_err(|why| UsageError::Results { typed: typed.to_owned(), why });
        };
        if self.files {
            return Err(UsageError::FilesInTable(typed.to_owned()));
        }
        let is_stdout = bytes.rsplitn(2, |byte| *byte == b'.').last() == Some(STDOUT);
        Ok(FiledTo::Table { format, path: (!is_stdout).then(|| typed.into()) })
    }
}
