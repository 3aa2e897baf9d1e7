//! `msup clean`: removing journals.

use std::ffi::OsString;
use std::io::{Write, stdout};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::Parser;

use crate::cli::Refusal;
use crate::cli::args::refusal;
use crate::journal::{Folder, runs};
use crate::report::escape;

/// Remove the journals of finished runs, or those of the RUNs given. Running runs are never removed.
#[derive(Debug, Parser)]
#[command(name = "msup clean", override_usage = "msup clean [OPTIONS] [RUN]...")]
struct Clean {
    /// The runs: their ids, or their folders with a '/' [default: all that are finished or empty]
    runs: Vec<PathBuf>,

    /// Also remove interrupted runs
    #[arg(long, conflicts_with = "runs")]
    all: bool,

    /// Only print what would be removed
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// `msup clean` with these words after it.
pub(in crate::cli) fn run(words: impl IntoIterator<Item = OsString>) -> Refusal {
    let words = std::iter::once("msup clean".into()).chain(words);
    let clean = match Clean::try_parse_from(words) {
        Ok(clean) => clean,
        Err(why) => return refusal::<Clean>(&why),
    };
    match clean.remove() {
        Ok(()) => Refusal::Done,
        Err(why) => Refusal::Wrong(why),
    }
}

impl Clean {
    fn remove(&self) -> Result<(), String> {
        let folders: Vec<Folder> = if self.runs.is_empty() {
            runs::check_place()?;
            let all = runs::list().into_iter();
            let is_over = |folder: &Folder| folder.is_finished() || folder.is_empty_run();
            all.filter(|folder| self.all || is_over(folder)).collect()
        } else {
            self.runs.iter().map(|run| runs::named(run)).collect::<Result<_, _>>()?
        };
        let mut out = stdout().lock();
        for folder in folders {
            let name = folder.path().display();
            if folder.is_running() {
                if !self.runs.is_empty() {
                    return Err(format!("{name}: this run is still running"));
                }
                continue;
            }
            if !self.dry_run {
                folder.remove().map_err(|why| format!("{name}: {why}"))?;
            }
            // When nobody reads it, it is done all the same.
            let shown = escape::message(folder.path().as_os_str().as_bytes());
            let _ = writeln!(out, "{shown}");
        }
        Ok(())
    }
}
