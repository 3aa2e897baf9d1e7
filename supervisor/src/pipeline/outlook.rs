//! What would run and why, and what has become of the tasks of each stage.

use super::Files;
use super::graph::{Domain, StageId};
use super::state::Pipeline;
use super::task::{TaskId, TaskState};

/// A stage in figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StageCounts {
    pub(crate) name: String,
    /// Tasks that are known.
    pub(crate) tasks: usize,
    pub(crate) up_to_date: usize,
    pub(crate) succeeded: usize,
    pub(crate) would_run: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    /// Those that were not asked for, or have not finished.
    pub(crate) left: usize,
    /// Temporary outputs that are kept for tasks that have not succeeded.
    pub(crate) kept_temporary: usize,
    /// There may be more: tasks that emit their items have not run.
    pub(crate) has_more: bool,
    /// Why tasks run: how many, and the first ones.
    pub(crate) reasons: Vec<(&'static str, usize, Vec<Vec<u8>>)>,
}

impl Pipeline {
    /// Decides about all tasks of a dry run.
    pub(crate) fn look_ahead(&mut self, files: &mut dyn Files) {
        self.advance(usize::MAX, files);
    }

    /// The number of tasks that are known and not up to date; of how many of them it is known what
    /// has become of them; and whether there may be more.
    pub(crate) fn so_far(&self) -> (u64, u64, bool) {
        let (mut known, mut settled, mut has_more) = (0, 0, !self.undecided.is_empty());
        for (tasks, progress) in self.tasks.iter().zip(&self.progress) {
            if progress.is_active {
                known += tasks.len() - progress.up_to_date;
                settled += progress.settled - progress.up_to_date;
            }
        }
        for (stage, of) in self.graph.stages.iter().enumerate() {
            has_more |= of.emits.is_some() && !self.progress[stage].is_finished;
        }
        (known as u64, settled as u64, has_more)
    }

    /// The stages that run, in the order of the file.
    pub(crate) fn counts(&self) -> Vec<StageCounts> {
        let stages = 0..self.graph.stages.len();
        stages
            .filter(|stage| self.progress[*stage].is_active)
            .map(|stage| self.counts_of(stage))
            .collect()
    }

    fn counts_of(&self, stage: StageId) -> StageCounts {
        let of = &self.graph.stages[stage];
        let mut counts = StageCounts {
            name: of.name.clone(),
            tasks: self.tasks[stage].len(),
            has_more: match of.domain {
                Domain::Emitted(emitter) => {
                    let state = |task: &super::task::Task| task.state == TaskState::WouldRun;
                    self.tasks[emitter].iter().any(state) || !self.progress[emitter].is_finished
                }
                Domain::Single | Domain::Source(_) => false,
            },
            ..StageCounts::default()
        };
        if of.temporary && !self.asked.keep_temporary {
            let is_kept = |task: &&super::task::Task| task.is_there && task.state.is_good();
            counts.kept_temporary = self.tasks[stage].iter().filter(is_kept).count();
        }
        for task in &self.tasks[stage] {
            *match task.state {
                TaskState::Succeeded => &mut counts.succeeded,
                TaskState::UpToDate => &mut counts.up_to_date,
                TaskState::WouldRun => &mut counts.would_run,
                TaskState::Failed => &mut counts.failed,
                TaskState::Skipped => &mut counts.skipped,
                _ => &mut counts.left,
            } += 1;
        }
        let reasons = self.progress[stage].reasons.iter();
        let named = reasons.map(|(reason, (count, items))| {
            let item = |item: &u32| self.item_of(TaskId { stage, item: *item }).to_vec();
            (reason.text(), *count, items.iter().map(item).collect())
        });
        counts.reasons = named.collect();
        counts
    }
}
