//! `msup clean`: removing journals.

use std::io::{Write, stdout};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::Parser;

use super::printed;
use crate::cli::Refusal;
use crate::journal::{Folder, JournalError, registry, runs};
use crate::report::escape;

/// Remove the journals of finished runs, or of the given RUNs. Journals of running runs are never
/// removed.
#[derive(Debug, Parser)]
#[command(name = "msup clean", override_usage = "msup clean [OPTIONS] [RUN]...")]
pub(crate) struct Clean {
    /// The runs: their ids, or their folders with a '/' (./FOLDER) [default: all that are finished
    /// or empty]
    runs: Vec<PathBuf>,

    /// Also remove the journals of interrupted and halted runs
    #[arg(long, conflicts_with = "runs")]
    all: bool,

    /// Only print what would be removed
    #[arg(short = 'n', long)]
    dry_run: bool,
}

impl Clean {
    /// Removes what was asked for, and prints the folder of each run.
    ///
    /// # Errors
    /// Something could not be removed or printed.
    pub(crate) fn run(&self) -> Result<(), Refusal> {
        let folders: Vec<Folder> = if self.runs.is_empty() {
            runs::check_place()?;
            if !self.dry_run {
                runs::remove_remains();
            }
            let all = runs::list().into_iter();
            let is_over = |folder: &Folder| folder.is_finished() || folder.is_empty_run();
            all.filter(|folder| self.all || is_over(folder)).collect()
        } else {
            self.runs.iter().map(|run| named(run)).collect::<Result<_, _>>()?
        };
        let (mut out, mut printing) = (stdout().lock(), Ok(()));
        for folder in folders {
            if folder.is_running() {
                if !self.runs.is_empty() {
                    return Err(JournalError::StillRunning(folder.path().to_owned()).into());
                }
                continue;
            }
            if !self.dry_run {
                folder.remove().map_err(JournalError::at(folder.path()))?;
            }
            // The next folders are removed even if this cannot be printed.
            let shown = escape::message(folder.path().as_os_str().as_bytes());
            printing = printing.and(writeln!(out, "{shown}"));
        }
        if !self.dry_run {
            registry::remove_dangling();
        }
        printed(printing)
    }
}

/// The folder of this run. What is no run is not removed.
fn named(run: &Path) -> Result<Folder, JournalError> {
    let folder = runs::named(run)?;
    folder.check_journal()?;
    Ok(folder)
}
