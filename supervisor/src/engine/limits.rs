//! What the engine needs to know of the plan.

use std::time::Duration;

use super::{AtCap, Policy, StartRules};

/// The settings of a run. They never change.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// A client submits the tasks (`msup serve`), perhaps after it has seen the outcomes of others.
    /// Tasks add no tasks.
    pub(crate) has_client: bool,
    /// What workers run, for messages.
    pub(crate) worker_program: String,
    pub(crate) procs: u32,
    pub(crate) max_workers: u16,
    pub(crate) task_slots: usize,
    /// The number of tasks that may be published and unfinished, where `admits` does not decide it.
    pub(crate) most_published: usize,
    pub(crate) idle_timeout: Duration,
    pub(crate) at_cap: AtCap,
    /// The number of commands in flight follows their resource use.
    pub(crate) admits: bool,
    /// Tasks are started longest first, once all of them are known.
    pub(crate) longest_first: bool,
    /// Commands depend on how many tasks there are.
    pub(crate) needs_total: bool,
    /// Bytes of memory that commands may use together.
    pub(crate) memory: Option<u64>,
    /// The conditions of each start.
    pub(crate) starts: StartRules,
    pub(crate) policy: Policy,
    /// For random choices.
    pub(crate) seed: u64,
}

impl Limits {
    /// Whether all tasks must be known to decide when the run is aborted.
    pub(super) fn halts_by_share(&self) -> bool {
        self.policy.halt.is_some_and(|halt| halt.needs_total())
    }

    /// Whether no task starts before all input was read.
    pub(super) fn starts_after_input(&self) -> bool {
        self.longest_first || self.needs_total
    }

    /// Whether all input is read as early as possible.
    pub(super) fn needs_all_input(&self) -> bool {
        self.longest_first || self.needs_total || self.halts_by_share()
    }
}
