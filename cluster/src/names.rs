//! The names of a job on the server: its two streams, their subjects, and the consumer that all
//! nodes share.

use crate::address::JobName;

/// The durable consumer from which all nodes take tasks.
pub(crate) const CONSUMER: &str = "msup";

/// The names of one job.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    job: JobName,
}

impl Names {
    pub(crate) fn of(job: &JobName) -> Names {
        Names { job: job.clone() }
    }

    /// The stream of tasks that are not done.
    pub(crate) fn tasks(&self) -> String {
        format!("MSUP_{}_TASK", self.job)
    }

    /// The stream of results, and of all else that stays.
    pub(crate) fn results(&self) -> String {
        format!("MSUP_{}_RES", self.job)
    }

    pub(crate) fn task(&self, seq: u64) -> String {
        format!("msup.{}.task.{seq}", self.job)
    }

    /// All tasks.
    pub(crate) fn any_task(&self) -> String {
        format!("msup.{}.task.*", self.job)
    }

    pub(crate) fn result(&self, seq: u64) -> String {
        format!("msup.{}.res.{seq}", self.job)
    }

    /// All results.
    pub(crate) fn any_result(&self) -> String {
        format!("msup.{}.res.*", self.job)
    }

    /// How often a task was tried.
    pub(crate) fn tries(&self, seq: u64) -> String {
        format!("msup.{}.try.{seq}", self.job)
    }

    pub(crate) fn any_tries(&self) -> String {
        format!("msup.{}.try.*", self.job)
    }

    /// A part of an output that is too large for its result, by the execution that has made it.
    pub(crate) fn output(&self, seq: u64, execution: &str, part: u32) -> String {
        format!("msup.{}.out.{seq}.{execution}-{part}", self.job)
    }

    pub(crate) fn any_output(&self) -> String {
        format!("msup.{}.out.*.*", self.job)
    }

    /// The description of the job.
    pub(crate) fn meta(&self) -> String {
        format!("msup.{}.meta", self.job)
    }

    /// Says that the job is cancelled.
    pub(crate) fn cancel(&self) -> String {
        format!("msup.{}.cancel", self.job)
    }

    /// Says that all results are there: nodes need not count them again.
    pub(crate) fn done(&self) -> String {
        format!("msup.{}.done", self.job)
    }
}

/// The number of a task in one of these subjects: their last part.
pub(crate) fn number_in(subject: &str) -> Option<u64> {
    subject.rsplit('.').next()?.parse().ok()
}
