//! Reads the results of a job: those that are there (`msup collect`), or all of them as they come
//! (`msup submit --wait`).

use std::collections::HashSet;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::error::ClusterError;
use crate::on_this_thread;
use crate::records::{Meta, ResultRecord};
use crate::server::{Login, Server};

/// Results that are asked for at once.
const AT_ONCE: u64 = 256;

/// A request for results waits for so long if there are none.
const WAITS: Duration = Duration::from_secs(2);

/// How much longer an answer may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(3);

/// A reader that asks for nothing for this time is forgotten by the server.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// How often the end of a job is looked for when all results are there.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A result, with all of its outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// What is known of the task.
    pub record: ResultRecord,
    /// What it has written to standard output and to standard error.
    pub outputs: [Vec<u8>; 2],
}

/// Which results were read.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// What the job is.
    pub meta: Meta,
    /// The number of results.
    pub finished: u64,
    /// All results are there, and all files are in their places.
    pub is_done: bool,
    /// The job was cancelled.
    pub is_cancelled: bool,
}

/// Calls `take` with each result that is there, in the order in which they came. A task may have
/// two: the second one counts.
///
/// # Errors
/// The server cannot be asked, there is no such job, or `take` fails.
pub fn collect(
    login: &Login,
    mut take: impl FnMut(Arrived) -> std::io::Result<()>,
) -> Result<Reading, ClusterError> {
    on_this_thread(async {
        let server = Server::connect(login, None).await?;
        let meta = job(&server).await?;
        let mut reader = Reader::new(&server);
        while let Some(arrived) = reader.next(true).await? {
            take(arrived).map_err(ClusterError::Shown)?;
        }
        reader.sum_up(meta).await
    })
}

/// The same, until all results are there.
///
/// # Errors
/// As for [`collect`].
pub fn follow(
    login: &Login,
    mut take: impl FnMut(Arrived) -> std::io::Result<()>,
) -> Result<Reading, ClusterError> {
    on_this_thread(async {
        let server = Server::connect(login, None).await?;
        let meta = job(&server).await?;
        let mut reader = Reader::new(&server);
        loop {
            let is_last = reader.finished.len() as u64 == meta.total;
            match reader.next(is_last).await? {
                Some(arrived) => take(arrived).map_err(ClusterError::Shown)?,
                None if server.is_cancelled().await? || server.is_done(&meta).await? => {
                    return reader.sum_up(meta).await;
                }
                // The last files are on their way to their places.
                None if is_last => tokio::time::sleep(LOOK_EVERY).await,
                None => {}
            }
        }
    })
}

async fn job(server: &Server) -> Result<Meta, ClusterError> {
    let meta = server.meta().await?;
    meta.map(|(_, meta)| meta)
        .ok_or_else(|| ClusterError::NoJob(server.login.address.job().clone()))
}

/// Where reading has come to.
struct Reader<'a> {
    server: &'a Server,
    /// The server's name for this reader, and where its answers go.
    consumer: Option<(String, async_nats::Subscriber)>,
    /// How many answers are still to come of what was asked for.
    awaited: u64,
    /// The number of the last message that was read.
    last: u64,
    /// How many messages the server has after that one, as it said last.
    behind: u64,
    finished: HashSet<u64>,
}

impl<'a> Reader<'a> {
    fn new(server: &'a Server) -> Reader<'a> {
        let finished = HashSet::new();
        Reader { server, consumer: None, awaited: 0, last: 0, behind: 0, finished }
    }

    /// The next result; `None` if there is none within a moment, or, with `at_once`, none now.
    async fn next(&mut self, at_once: bool) -> Result<Option<Arrived>, ClusterError> {
        loop {
            if self.consumer.is_none() {
                self.begin().await?;
            }
            if at_once && self.behind == 0 {
                return Ok(None);
            }
            let Some((name, answers)) = &mut self.consumer else { continue };
            if self.awaited == 0 {
                let batch = if at_once { AT_ONCE.min(self.behind) } else { AT_ONCE };
                let question = json!({ "batch": batch, "expires": WAITS.as_nanos() as u64 });
                let results = self.server.names.results();
                let what = format!("$JS.API.CONSUMER.MSG.NEXT.{results}.{name}");
                let inbox = answers_to(name);
                let asked = self.server.client.publish_with_reply(
                    what,
                    inbox,
                    question.to_string().into_bytes().into(),
                );
                let _ = tokio::time::timeout(PATIENCE, asked).await;
                self.awaited = batch;
            }
            let next = tokio::time::timeout(WAITS + PATIENCE, answers.next()).await;
            match next {
                Ok(Some(message)) if message.status.is_some() => {
                    self.awaited = 0;
                    let status = message.status.map_or(0, |status| status.as_u16());
                    match status {
                        // There is nothing now, or the request has waited long enough.
                        404 | 408 => {
                            self.behind = 0;
                            return Ok(None);
                        }
                        _ => self.consumer = None,
                    }
                }
                Ok(Some(message)) => {
                    self.awaited -= 1;
                    self.note(&message);
                    if let Some(arrived) = self.whole(&message.payload).await? {
                        self.finished.insert(arrived.record.seq);
                        return Ok(Some(arrived));
                    }
                }
                // The server was started again, or the connection is gone: what was asked is lost.
                Ok(None) | Err(_) => (self.consumer, self.awaited) = (None, 0),
            }
        }
    }

    /// Begins behind what was read: the server forgets readers when it is started again.
    async fn begin(&mut self) -> Result<(), ClusterError> {
        let results = self.server.names.results();
        let question = json!({
            "stream_name": results,
            "config": {
                "deliver_policy": "by_start_sequence",
                "opt_start_seq": self.last + 1,
                "ack_policy": "none",
                "filter_subject": self.server.names.any_result(),
                "replay_policy": "instant",
                "inactive_threshold": FORGOTTEN_AFTER.as_nanos() as u64,
                "mem_storage": true,
                "num_replicas": 1,
            },
        });
        let what = format!("CONSUMER.CREATE.{results}");
        let made: Value = self.server.demand(&what, &question).await?;
        let name = made["name"].as_str().unwrap_or_default().to_owned();
        self.behind = made["num_pending"].as_u64().unwrap_or(0);
        let answers = self.server.client.subscribe(answers_to(&name)).await;
        let answers = answers.map_err(|why| self.server.trouble(&what, why.to_string()))?;
        (self.consumer, self.awaited) = (Some((name, answers)), 0);
        Ok(())
    }

    /// Takes in where in the stream a message stands.
    fn note(&mut self, message: &async_nats::Message) {
        let Some(place) = message.reply.as_ref().and_then(|reply| Place::of(reply)) else { return };
        self.last = self.last.max(place.stream_seq);
        self.behind = place.pending;
    }

    /// A result with the parts of its outputs that are in messages of their own.
    async fn whole(&self, message: &[u8]) -> Result<Option<Arrived>, ClusterError> {
        let Some((record, rest)) = ResultRecord::of_message(message) else { return Ok(None) };
        let mut outputs = [Vec::new(), Vec::new()];
        let mut part = 0;
        for (at, rest) in rest.into_iter().enumerate() {
            for _ in 0..record.parts[at] {
                let subject = self.server.names.output(record.seq, &record.execution, part);
                part += 1;
                match self.server.last(&subject).await? {
                    Some(kept) => outputs[at].extend(kept.data()),
                    None => {
                        return Err(self.server.trouble(&subject, "a part of an output is gone"));
                    }
                }
            }
            outputs[at].extend(rest);
        }
        Ok(Some(Arrived { record, outputs }))
    }

    async fn sum_up(self, meta: Meta) -> Result<Reading, ClusterError> {
        let is_cancelled = self.server.is_cancelled().await?;
        let finished = self.finished.len() as u64;
        let is_done = finished == meta.total && self.server.is_done(&meta).await?;
        Ok(Reading { meta, finished, is_done, is_cancelled })
    }
}

fn answers_to(reader: &str) -> String {
    format!("_INBOX.msup.{reader}")
}

/// Where a message stands, as the subject for its acknowledgement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// How often it was handed out, this time included.
    pub(crate) deliveries: u64,
    /// Its number in the stream.
    pub(crate) stream_seq: u64,
    /// How many more wait for the same consumer.
    pub(crate) pending: u64,
}

impl Place {
    /// `$JS.ACK.[DOMAIN.ACCOUNT.]STREAM.CONSUMER.DELIVERED.SEQ.SEQ.TIME.PENDING[.TOKEN]`
    pub(crate) fn of(reply: &str) -> Option<Place> {
        const SHORT: usize = 9;
        let parts: Vec<&str> = reply.strip_prefix("$JS.ACK.")?.split('.').collect();
        let first = if parts.len() + 2 == SHORT { 2 } else { 4 };
        let number = |at: usize| parts.get(first + at)?.parse().ok();
        Some(Place { deliveries: number(0)?, stream_seq: number(1)?, pending: number(4)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_place_are_read() {
        let place = Some(Place { deliveries: 2, stream_seq: 30, pending: 7 });
        assert_eq!(Place::of("$JS.ACK.MSUP_j_TASK.msup.2.30.31.1700000000.7"), place);
        let long = "$JS.ACK.hub.ACCT.MSUP_j_TASK.msup.2.30.31.1700000000.7.token";
        assert_eq!(Place::of(long), place);
        assert_eq!(Place::of("_INBOX.x"), None);
        assert_eq!(Place::of("$JS.ACK.a.b"), None);
    }
}
