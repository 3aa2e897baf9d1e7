//! What is said of a task: its command, its key in logs, how its output looks.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use super::Queue;
use crate::template::{Job, Looks};

impl Queue {
    /// How the lines of this task's output look.
    pub(crate) fn looks(&self, value: &[u8], seq: u64, has_failed: bool) -> Looks {
        let value = if self.work.job.hides_values() { b"" } else { value };
        self.looks.of(value, (seq, self.totals), has_failed)
    }

    /// The same, unless all lines are shown as they are.
    pub(crate) fn special_looks(&self, value: &[u8], seq: u64) -> Option<Looks> {
        (!self.looks.is_plain()).then(|| self.looks(value, seq, false))
    }

    /// A task as the user could run it again: its command, or else its value.
    pub(crate) fn describe(&self, value: &[u8], seq: u64) -> Vec<u8> {
        self.work.job.describe(value, seq, self.out.as_ref(), self.totals)
    }

    /// The key by which logs of other runs identify a task.
    pub(crate) fn outline_key(&self, value: &[u8], seq: u64) -> Vec<u8> {
        match &self.work.job {
            Job::Commands(template) => {
                template.outline().key(value, self.made_by(value, seq).as_os_str().as_bytes())
            }
            Job::Values | Job::Lines(_) => value.to_vec(),
            Job::Stages(_) => self.describe(value, seq),
        }
    }

    /// The time limit of the stage of this task, if it has one.
    pub(crate) fn time_limit_of(&self, seq: u64) -> Option<Duration> {
        let Job::Stages(stages) = &self.work.job else { return None };
        stages.of(seq)?.0.timeout
    }

    /// The shortest time limit that a stage has.
    pub(crate) fn shortest_time_limit(&self) -> Option<Duration> {
        let Job::Stages(stages) = &self.work.job else { return None };
        stages.shortest_time_limit()
    }

    /// The file that a task makes when it is run by hand: at its final place.
    fn made_by(&self, value: &[u8], seq: u64) -> PathBuf {
        let file = self.out.as_ref().and_then(|out| out.file(value, seq).ok().flatten());
        file.map(|file| file.path()).unwrap_or_default()
    }
}
