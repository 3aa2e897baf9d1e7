//! The journal and the joblog of a run, and the run that it continues.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::args::Args;
use super::resuming::ResumingPlan;
use super::usage::UsageError;
use crate::journal::{Durability, Folder, Locks, Past, runs};
use crate::shard::Shard;

/// What is written down about the run.
#[derive(Debug)]
pub(crate) struct Logs {
    pub(crate) keeping: Keeping,
    /// Outputs of any size are kept with the journal.
    pub(crate) keeps_all_output: bool,
    pub(crate) joblog: Option<PathBuf>,
    /// Which tasks an earlier run has done.
    pub(crate) resuming: Option<ResumingPlan>,
}

/// Where the run's journal is kept.
#[derive(Debug)]
pub(crate) enum Keeping {
    Nowhere,
    /// In a folder of its own, here or among all others.
    New {
        place: Option<PathBuf>,
        /// Which share of the tasks it has, if not all. The named place is shared by all shards.
        shard: Option<Shard>,
        /// When it begins, among all runs.
        order: u64,
        /// The command line, without the program.
        arguments: Vec<Vec<u8>>,
        /// Values must be kept: they cannot be read again.
        spools: bool,
        durability: Durability,
    },
    /// Where it was begun.
    Continued {
        continued: Box<Continued>,
        durability: Durability,
    },
}

/// A run that is taken up again.
#[derive(Debug)]
pub(crate) struct Continued {
    pub(crate) folder: Folder,
    pub(crate) locks: Locks,
    pub(crate) past: Past,
    /// Only finished tasks are run, those of these kinds.
    pub(crate) retried: Option<Retried>,
    /// What finished tasks have shown is shown again.
    pub(crate) replays: bool,
    /// The number of its processes that were still alive, and were killed.
    pub(crate) ended: usize,
    /// Where to read all values again.
    pub(crate) arg_file: Option<PathBuf>,
    /// Not all values are known; `missing` of them were kept, and are damaged.
    pub(crate) cut_off: bool,
    pub(crate) missing: u64,
    /// The folder in which this was asked for.
    pub(crate) here: PathBuf,
}

/// Which finished tasks are run again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retried {
    pub(crate) failed: bool,
    pub(crate) quarantined: bool,
}

impl Retried {
    /// The subcommand that runs them again.
    pub(crate) fn command(self) -> &'static str {
        match (self.failed, self.quarantined) {
            (true, false) => "retry --failed",
            (false, true) => "retry --quarantined",
            _ => "retry",
        }
    }
}

impl Keeping {
    /// Where a run that begins keeps its journal. `shell`: the shell that was chosen for scripts:
    /// a resume in another environment must not choose another one. `flags`: what else must be the
    /// same then. `shard`: which share of the tasks it has; `spools`: values must be kept.
    ///
    /// # Errors
    /// The folder of `--journal` has no absolute path.
    pub(super) fn new(
        args: &Args,
        shell: Option<Vec<u8>>,
        flags: Vec<Vec<u8>>,
        (shard, spools): (Option<Shard>, bool),
    ) -> Result<Keeping, UsageError> {
        if args.no_journal {
            return Ok(Keeping::Nowhere);
        }
        let place = args.journal.as_ref().map(std::path::absolute).transpose();
        let place = place.map_err(UsageError::Journal)?;
        let shell = shell.into_iter().flat_map(|shell| [b"--shell".to_vec(), shell]);
        let words =
            shell.chain(flags).chain(args.reading.typed.iter().cloned().map(OsString::into_vec));
        Ok(Keeping::New {
            place,
            shard,
            order: runs::next_order(),
            arguments: words.collect(),
            spools,
            durability: args.durability,
        })
    }

    /// The id of the run.
    pub(super) fn run_id(&self) -> String {
        match self {
            Keeping::Continued { continued, .. } => continued.past.run.run.clone(),
            Keeping::New { order, .. } => runs::new_id(*order),
            Keeping::Nowhere => runs::new_id(runs::now()),
        }
    }

    /// The folder in which this was asked for.
    pub(super) fn here(&self) -> PathBuf {
        match self {
            Keeping::Continued { continued, .. } => continued.here.clone(),
            Keeping::New { .. } | Keeping::Nowhere => std::env::current_dir().unwrap_or_default(),
        }
    }
}
