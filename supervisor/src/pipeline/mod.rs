//! Pipelines (`msup run FILE.toml`): which task of which stage runs when, and which need not run.
//!
//! No clock, no I/O: files are looked at through [`Files`]. `file.rs` reads a pipeline file,
//! `graph.rs` and `checking.rs` check it, `jobs.rs` makes commands of it. A [`Pipeline`] has a task
//! for each stage and item: `deciding.rs` decides what becomes of a task when those that it waits
//! for have finished, by `keys.rs` and `history.rs`; `settling.rs` what follows for its readers,
//! `outputs.rs` and `pattern.rs` that no two tasks make one file, `given.rs` what a task gets,
//! `queue.rs` which task runs next, `temporaries.rs` which outputs are removed and which are made
//! again.

mod checking;
mod contents;
mod deciding;
mod error;
mod file;
mod given;
mod graph;
mod history;
mod items;
mod jobs;
mod keys;
mod min;
mod outlook;
mod outputs;
mod pattern;
mod place;
mod queue;
mod references;
mod settling;
mod state;
mod step;
mod targets;
mod task;
mod temporaries;
#[cfg(test)]
mod tests;
mod texts;

pub(crate) use error::{BadPipeline, Wrong};
pub(crate) use file::{Action, PipelineFile, Scalar, Separator, SourceTable};
#[cfg(test)]
pub(crate) use graph::Feed;
pub(crate) use graph::{Graph, StageId};
#[cfg(test)]
pub(crate) use history::Success;
pub(crate) use history::{History, TaskPast, Unfinished};
pub(crate) use jobs::{StageLimits, of as jobs_of};
pub(crate) use keys::{Digester, Made, TaskKey};
pub(crate) use outlook::StageCounts;
pub(crate) use outputs::{SourceKind, SourceValues};
pub(crate) use pattern::FilePattern;
pub(crate) use state::{Pipeline, Scope, StageKind};
pub(crate) use step::{StepFate, TaskStep};
pub(crate) use task::{GatheredLists, Removal, TaskEnd, TaskId, TaskOrder};

/// The files of the world, looked at from outside.
pub(crate) trait Files {
    /// The regular file with this path, if there is one.
    fn look(&mut self, path: &[u8]) -> Option<Made>;

    /// The folder to which this path leads, an absolute path: links are followed as far as it is
    /// there.
    fn real_folder(&mut self, path: &[u8]) -> Option<Vec<u8>>;

    /// The content of the regular file with this path, if there is one.
    fn hash(&mut self, path: &[u8]) -> Option<TaskKey>;
}
