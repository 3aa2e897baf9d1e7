//! One task of a pipeline, and what becomes of it.

use std::time::Duration;

use super::graph::StageId;
use super::history::Unfinished;
use super::items::ItemId;
use super::keys::{Made, TaskKey};

/// Which task: a stage, and an item of its domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TaskId {
    pub(crate) stage: StageId,
    pub(crate) item: ItemId,
}

/// How far a task is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum TaskState {
    /// Tasks that it waits for have not finished.
    #[default]
    Waiting,
    /// It is to run, and may still wait for temporary outputs that are made again.
    Ready,
    /// It has finished before; its temporary output is missing and is made again for a reader.
    Again,
    Running,
    /// The same as [`TaskState::Again`].
    RunningAgain,
    Succeeded,
    /// It has succeeded in an earlier run.
    UpToDate,
    /// In a dry run: it would run.
    WouldRun,
    Failed,
    /// A task that it waits for has failed.
    Skipped,
    /// It was not asked for.
    Left,
}

impl TaskState {
    /// Whether it is known what has become of it, and readers may look at its output.
    pub(super) fn is_settled(self) -> bool {
        !matches!(self, TaskState::Waiting | TaskState::Ready | TaskState::Running)
    }

    /// Whether there is a result, perhaps from an earlier run.
    pub(super) fn is_good(self) -> bool {
        matches!(self, TaskState::Succeeded | TaskState::UpToDate)
    }

    /// Whether there is none, and its readers cannot run.
    pub(super) fn is_bad(self) -> bool {
        matches!(self, TaskState::Failed | TaskState::Skipped | TaskState::Left)
    }

    pub(super) fn is_again(self) -> bool {
        matches!(self, TaskState::Again | TaskState::RunningAgain)
    }
}

/// A task.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Task {
    pub(super) state: TaskState,
    /// Its temporary output is on the disk.
    pub(super) is_there: bool,
    /// It counts for `ahead`: no reader of its output has finished.
    pub(super) is_ahead: bool,
    /// The number of tasks that have not finished, and it waits for them.
    pub(super) waits_for: u32,
    /// By this later runs know it.
    pub(super) name: TaskKey,
    /// What it does, and of that what it reads.
    pub(super) key: TaskKey,
    pub(super) inputs: TaskKey,
    /// What keys of its readers say of its output.
    pub(super) identity: Option<Made>,
}

/// Why a task runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RunReason {
    NeverRun,
    FailedBefore,
    /// Its last run was stopped or killed.
    CutOff,
    CommandChanged,
    InputChanged,
    OutputMissing,
    OutputChanged,
    MadeAgain,
    Forced,
    /// It fails before it starts.
    CannotRun,
}

impl RunReason {
    /// Whether the last run of the task has not succeeded.
    pub(super) fn is_of_failure(self) -> bool {
        matches!(self, RunReason::FailedBefore | RunReason::CutOff | RunReason::CannotRun)
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            RunReason::NeverRun => "never run",
            RunReason::FailedBefore => "failed before",
            RunReason::CutOff => "cut off",
            RunReason::CommandChanged => "command changed",
            RunReason::InputChanged => "input changed",
            RunReason::OutputMissing => "output missing",
            RunReason::OutputChanged => "output changed",
            RunReason::MadeAgain => "temporary, made again",
            RunReason::Forced => "forced",
            RunReason::CannotRun => "cannot run",
        }
    }
}

/// A task that is to run now.
#[derive(Clone, Debug)]
pub(crate) struct TaskOrder {
    pub(crate) task: TaskId,
    /// By this later runs know it.
    pub(crate) name: TaskKey,
    pub(crate) key: TaskKey,
    /// Of the key: the command, and what it reads.
    pub(crate) command: TaskKey,
    pub(crate) inputs: TaskKey,
    /// Like the key, by contents, if these count.
    pub(crate) content: Option<TaskKey>,
    pub(crate) has_out: bool,
    /// Its output keeps this identity.
    pub(crate) keeps: Option<Made>,
    /// Its stage and its item, for people.
    pub(crate) value: Vec<u8>,
    pub(crate) arguments: Option<Vec<u8>>,
    /// What it gathers, if that is to be written to lists.
    pub(crate) lists: Option<GatheredLists>,
    /// Why it cannot run.
    pub(crate) refused: Option<String>,
    /// Tasks of a higher rank start first.
    pub(crate) rank: u16,
    /// How long it took when it ran last.
    pub(crate) expected: Duration,
    pub(crate) unfinished: Option<Unfinished>,
}

/// What a task gathers, for two lists.
#[derive(Clone, Debug)]
pub(crate) struct GatheredLists {
    pub(crate) paths: Vec<Vec<u8>>,
    /// It reads the list with one path on each line.
    pub(crate) reads_lines: bool,
}

/// How a task has finished.
#[derive(Clone, Debug)]
pub(crate) enum TaskEnd {
    Succeeded {
        /// Its output, or what stands for it ([`TaskStep::ran`]).
        ///
        /// [`TaskStep::ran`]: super::step::TaskStep::ran
        made: Option<Made>,
        /// What it has emitted.
        values: Vec<Vec<u8>>,
    },
    Failed,
}

/// A temporary output that nothing needs any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Removal {
    pub(crate) path: Vec<u8>,
    /// It is removed only if it is still this file.
    pub(crate) made: Made,
}
