//! The streams of a job, and how it is doing.

use serde_json::{Value, json};

use crate::error::ClusterError;
use crate::names::{CONSUMER, number_in};
use crate::on_this_thread;
use crate::records::{Meta, TaskState};
use crate::server::{Login, NO_CONSUMER, NO_STREAM, Server, Storing};

/// Nodes that wait for tasks at once, each with a few requests.
const WAITING_AT_MOST: u64 = 64 << 10;

const NS_PER_MS: u64 = 1_000_000;
const NS_PER_S: u64 = 1_000_000_000;

/// What is known of tasks that have finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Tasks that did what they should.
    pub succeeded: u64,
    /// Tasks that did not.
    pub failed: u64,
    /// Tasks that crashed, or were lost with their nodes, too often.
    pub quarantined: u64,
}

impl Count {
    /// Counts one more task.
    pub fn add(&mut self, state: TaskState) {
        match state {
            TaskState::Succeeded => self.succeeded += 1,
            TaskState::Failed => self.failed += 1,
            TaskState::Quarantined => self.quarantined += 1,
        }
    }

    /// All of them.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.succeeded + self.failed + self.quarantined
    }
}

/// Whether a job is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doneness {
    /// Tasks have no results.
    Open,
    /// All have, and some are not acknowledged: their files may not be in their places.
    Unacknowledged,
    Done,
}

/// How a job is doing.
#[derive(Clone, Debug, PartialEq)]
pub struct JobState {
    /// What it is.
    pub meta: Meta,
    /// The number of results.
    pub finished: u64,
    /// Tasks that no node has.
    pub waiting: u64,
    /// Tasks that a node has.
    pub running: u64,
    /// It is cancelled.
    pub is_cancelled: bool,
}

impl JobState {
    /// Whether all tasks have results, and no node has anything to do.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.finished == self.meta.total && self.waiting == 0 && self.running == 0
    }

    /// Tasks that were not submitted: `msup submit` was stopped.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.meta.total.saturating_sub(self.finished + self.waiting + self.running)
    }
}

/// How the job of this address is doing.
///
/// # Errors
/// The server cannot be asked, or there is no such job.
pub fn status(login: &Login) -> Result<JobState, ClusterError> {
    on_this_thread(async {
        let server = Server::connect(login, None).await?;
        let meta = server.meta().await?;
        let Some((_, meta)) = meta else {
            return Err(ClusterError::NoJob(login.address.job().clone()));
        };
        server.state(meta).await
    })
}

/// The description of the job of this address.
///
/// # Errors
/// As for [`status`].
pub fn described(login: &Login) -> Result<Meta, ClusterError> {
    on_this_thread(async {
        let meta = Server::connect(login, None).await?.meta().await?;
        meta.map(|(_, meta)| meta).ok_or_else(|| ClusterError::NoJob(login.address.job().clone()))
    })
}

/// Stops what runs, and takes away all tasks that wait. Their results stay, unless the whole job is
/// removed (`deletes`). Returns how the job was doing.
///
/// # Errors
/// As for [`status`].
pub fn cancel(login: &Login, deletes: bool) -> Result<JobState, ClusterError> {
    on_this_thread(async {
        let server = Server::connect(login, None).await?;
        let job = login.address.job();
        let (_, meta) = server.meta().await?.ok_or_else(|| ClusterError::NoJob(job.clone()))?;
        let before = server.state(meta).await?;
        if !before.is_done() {
            // First of all, so that nodes that take a task before the next step learn of it.
            let said = server.store(server.names.cancel(), Vec::new(), Storing::default()).await?;
            said.map_err(|denial| server.trouble("cancel", denial.description))?;
        }
        let purge = format!("STREAM.PURGE.{}", server.names.tasks());
        match server.api(&purge, &Value::Null).await? {
            Err(denial) if denial.err_code != NO_STREAM => {
                return Err(server.trouble(&purge, denial.description));
            }
            _ => {}
        }
        if deletes {
            // The description goes last: until then the job is known, and this can be repeated.
            for stream in [server.names.tasks(), server.names.results()] {
                let delete = format!("STREAM.DELETE.{stream}");
                match server.api(&delete, &Value::Null).await? {
                    Err(denial) if denial.err_code != NO_STREAM => {
                        return Err(server.trouble(&delete, denial.description));
                    }
                    _ => {}
                }
            }
        }
        Ok(before)
    })
}

impl Server {
    /// The description of the job, with the number of its message; `None` if there is no job.
    ///
    /// # Errors
    /// The server cannot be asked, or a later release has made the job.
    pub(crate) async fn meta(&self) -> Result<Option<(u64, Meta)>, ClusterError> {
        let Some(kept) = self.last(&self.names.meta()).await? else { return Ok(None) };
        let job = self.login.address.job().clone();
        let data = kept.data();
        let version = || {
            let any: Value = serde_json::from_slice(&data).unwrap_or_default();
            any["version"].as_str().unwrap_or("of a later release").to_owned()
        };
        match serde_json::from_slice::<Meta>(&data) {
            Ok(meta) if meta.is_known() => Ok(Some((kept.seq, meta))),
            _ => Err(ClusterError::Newer { job, version: version() }),
        }
    }

    /// How the job is doing.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub(crate) async fn state(&self, meta: Meta) -> Result<JobState, ClusterError> {
        let is_cancelled = self.is_cancelled().await?;
        // A server that was killed may have forgotten acknowledgements, also of a job that was
        // done.
        let was_done = self.last(&self.names.done()).await?.is_some();
        let (waiting, running) = if was_done { (0, 0) } else { self.unfinished().await? };
        let finished = self.results().await?;
        Ok(JobState { meta, finished, waiting, running, is_cancelled })
    }

    pub(crate) async fn is_cancelled(&self) -> Result<bool, ClusterError> {
        Ok(self.last(&self.names.cancel()).await?.is_some())
    }

    /// How many tasks no node has, and how many one has.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub(crate) async fn unfinished(&self) -> Result<(u64, u64), ClusterError> {
        let what = format!("CONSUMER.INFO.{}.{CONSUMER}", self.names.tasks());
        match self.api(&what, &Value::Null).await? {
            Ok(info) => {
                let number = |name: &str| info[name].as_u64().unwrap_or(0);
                Ok((number("num_pending"), number("num_ack_pending")))
            }
            Err(denial) if [NO_STREAM, NO_CONSUMER].contains(&denial.err_code) => Ok((0, 0)),
            Err(denial) => Err(self.trouble(&what, denial.description)),
        }
    }

    /// The number of results: of their subjects, since a stream may count wrongly after a crash of
    /// its server.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub(crate) async fn results(&self) -> Result<u64, ClusterError> {
        let mut count = 0;
        let place = (self.names.results(), self.names.any_result());
        self.each_subject(place, |_| count += 1).await?;
        Ok(count)
    }

    /// Calls `each` with every subject of this stream that matches.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub(crate) async fn each_subject(
        &self,
        (stream, filter): (String, String),
        mut each: impl FnMut(&str),
    ) -> Result<(), ClusterError> {
        let what = format!("STREAM.INFO.{stream}");
        let mut seen = 0;
        loop {
            let question = json!({ "subjects_filter": filter, "offset": seen });
            let info = match self.api(&what, &question).await? {
                Ok(info) => info,
                Err(denial) if denial.err_code == NO_STREAM => return Ok(()),
                Err(denial) => return Err(self.trouble(&what, denial.description)),
            };
            let subjects = info["state"]["subjects"].as_object();
            let page = subjects.map_or(0, |subjects| {
                subjects.keys().for_each(|subject| each(subject));
                subjects.len() as u64
            });
            seen += page;
            // Servers say how many there are where these are not all.
            if page == 0 || info["total"].as_u64().is_none_or(|total| seen >= total) {
                return Ok(());
            }
        }
    }

    /// Whether the job is done, as some node has found out, or as is found out now.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub(crate) async fn is_done(&self, meta: &Meta) -> Result<bool, ClusterError> {
        Ok(self.doneness(meta).await? == Doneness::Done)
    }

    /// The same, and whether it is done but for acknowledgements.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub(crate) async fn doneness(&self, meta: &Meta) -> Result<Doneness, ClusterError> {
        if self.last(&self.names.done()).await?.is_some() {
            return Ok(Doneness::Done);
        }
        let (waiting, running) = self.unfinished().await?;
        if waiting > 0 || self.results().await? != meta.total {
            return Ok(Doneness::Open);
        }
        if running > 0 {
            return Ok(Doneness::Unacknowledged);
        }
        self.close(meta).await?;
        Ok(Doneness::Done)
    }

    /// The numbers of the tasks that the server still has.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub(crate) async fn tasks_left(&self) -> Result<Vec<u64>, ClusterError> {
        let mut left = Vec::new();
        let place = (self.names.tasks(), self.names.any_task());
        self.each_subject(place, |subject| left.extend(number_in(subject))).await?;
        Ok(left)
    }

    /// All results are there, and all files in their places: from now on they are kept for as long
    /// as was asked for.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub(crate) async fn close(&self, meta: &Meta) -> Result<(), ClusterError> {
        let what = format!("STREAM.INFO.{}", self.names.results());
        let info: Value = self.demand(&what, &Value::Null).await?;
        let mut config = info["config"].clone();
        // Ages count from the time of each message, and the first one is as old as the job.
        let kept_s = meta.keep_s.saturating_add(meta.age_s());
        config["max_age"] = json!(kept_s.saturating_mul(NS_PER_S));
        let update = format!("STREAM.UPDATE.{}", self.names.results());
        let _: Value = self.demand(&update, &config).await?;
        // Last: if this process dies before, the next one that looks does all of it again.
        let said = self.store(self.names.done(), Vec::new(), Storing::default()).await?;
        said.map(drop).map_err(|denial| self.trouble("done", denial.description))
    }

    /// Makes a stream, unless it is there as it should be.
    ///
    /// # Errors
    /// Something else made one of this name.
    pub(crate) async fn make_stream(&self, config: &Value) -> Result<(), ClusterError> {
        let stream = config["name"].as_str().unwrap_or_default().to_owned();
        let info = self.api(&format!("STREAM.INFO.{stream}"), &Value::Null).await?;
        let found = match info {
            Ok(info) => info,
            Err(denial) if denial.err_code == NO_STREAM => {
                self.demand(&format!("STREAM.CREATE.{stream}"), config).await?
            }
            Err(denial) => return Err(self.trouble(&stream, denial.description)),
        };
        match difference(config, &found["config"]) {
            None => Ok(()),
            Some(field) => Err(ClusterError::ForeignStream { stream, field }),
        }
    }

    /// The stream of results, and of all that stays.
    pub(crate) fn results_config(&self) -> Value {
        let names = &self.names;
        json!({
            "name": names.results(),
            "subjects": [
                names.any_result(), names.any_tries(), names.any_output(),
                names.meta(), names.cancel(), names.done(),
            ],
            "retention": "limits",
            "max_msgs_per_subject": 1,
            "discard": "old",
            "storage": "file",
            "num_replicas": 1,
        })
    }

    /// The stream of tasks: each is there until it is acknowledged.
    pub(crate) fn tasks_config(&self) -> Value {
        json!({
            "name": self.names.tasks(),
            "subjects": [self.names.any_task()],
            "retention": "workqueue",
            "max_msgs_per_subject": -1,
            "discard": "old",
            "storage": "file",
            "num_replicas": 1,
        })
    }

    /// Makes the consumer that all nodes share.
    ///
    /// # Errors
    /// It cannot be made, or is there and differs.
    pub(crate) async fn make_consumer(&self, meta: &Meta) -> Result<(), ClusterError> {
        let stream = self.names.tasks();
        let config = json!({
            "durable_name": CONSUMER,
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "ack_wait": meta.lease_ms.saturating_mul(NS_PER_MS),
            // A task is handed out as often as it is lost: how often that may be is decided here.
            "max_deliver": -1,
            // The server would hand out 1,000 tasks to all nodes together, and no more.
            "max_ack_pending": -1,
            "max_waiting": WAITING_AT_MOST,
            "replay_policy": "instant",
        });
        let what = format!("CONSUMER.DURABLE.CREATE.{stream}.{CONSUMER}");
        let question = json!({ "stream_name": stream, "config": config });
        let found: Value = self.demand(&what, &question).await?;
        match difference(&config, &found["config"]) {
            None => Ok(()),
            Some(field) => Err(ClusterError::ForeignStream { stream, field }),
        }
    }
}

/// The first field that is not as it should be.
fn difference(wanted: &Value, found: &Value) -> Option<String> {
    let fields = wanted.as_object()?;
    fields
        .iter()
        .find(|(name, value)| found[name.as_str()] != **value)
        .map(|(name, _)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_must_be_the_same() {
        let wanted = json!({ "a": 1, "b": ["x"] });
        assert_eq!(difference(&wanted, &json!({ "a": 1, "b": ["x"], "c": 0 })), None);
        assert_eq!(difference(&wanted, &json!({ "a": 1, "b": ["y"] })), Some("b".into()));
        assert_eq!(difference(&wanted, &json!({ "b": ["x"] })), Some("a".into()));
    }
}
