//! What the journal of a run says of the tasks of a pipeline.

use serde::{Deserialize, Serialize};

use super::history::{History, Success, TaskPast, Unfinished};
use super::keys::{Made, TaskKey};
use super::task::TaskOrder;

/// A task that has got a number in a generation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TaskStep {
    name: TaskKey,
    key: TaskKey,
    command: TaskKey,
    inputs: TaskKey,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<TaskKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keeps: Option<Made>,
    /// In place of an output, of a task that has none: it tells its readers that it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ran: Option<Made>,
}

/// What has become of it.
#[derive(Clone, Debug)]
pub(crate) enum StepFate {
    Succeeded {
        /// Its output.
        made: Option<Made>,
        values: Vec<Vec<u8>>,
        seconds: f64,
    },
    Failed,
    Unfinished(Unfinished),
}

impl TaskStep {
    /// `now`: in nanoseconds since 1970.
    pub(crate) fn of(order: &TaskOrder, now: i64) -> TaskStep {
        let TaskOrder { name, key, command, inputs, content, keeps, has_out, .. } = *order;
        let ran = (!has_out).then_some(Made { size: 0, mtime: now });
        TaskStep { name, key, command, inputs, content, keeps, ran }
    }

    /// What stands for the output of a task that has none.
    pub(crate) fn ran(&self) -> Option<Made> {
        self.ran
    }

    /// Takes this into the history.
    pub(crate) fn note(&self, fate: StepFate, history: &mut History) {
        let TaskStep { name, key, command, inputs, content, keeps, ran } = *self;
        // An earlier success with this key counts until the next one.
        let success = history.of(name).filter(|past| past.key == key);
        let success = success.and_then(|past| past.success.clone());
        let content = content.map(Box::new);
        let past = TaskPast { key, command, inputs, content, success, ..TaskPast::default() };
        let recovers = history.of(name).is_some_and(|past| past.failed || past.was_cut_off());
        history.insert(
            name,
            match fate {
                StepFate::Succeeded { made, values, seconds } => {
                    let identity = keeps.or(made).or(ran);
                    let again = made.filter(|made| Some(*made) != identity).map(Box::new);
                    let (values, seconds) = (values.into(), seconds as f32);
                    let success = Success { identity, again, hash: None, values, seconds };
                    TaskPast { success: Some(success), recovered: recovers, ..past }
                }
                StepFate::Failed => TaskPast { failed: true, ..past },
                StepFate::Unfinished(unfinished) => {
                    TaskPast { unfinished: Some(Box::new(unfinished)), ..past }
                }
            },
        );
    }
}
