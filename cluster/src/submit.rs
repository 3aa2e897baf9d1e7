//! `msup submit`: puts the tasks of a list into the queue. Nothing is there twice, however often it
//! is repeated, and whenever it was killed before.

use std::collections::HashSet;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::error::ClusterError;
use crate::names::number_in;
use crate::on_this_thread;
use crate::records::{Meta, SCHEMA, Words, now_s};
use crate::server::{Login, Server, Storing};

/// What a message needs besides its value: its subject and its headers.
const AROUND: usize = 4 << 10;

/// Tasks that are on their way to the server at once: more bring no higher rate.
const AT_ONCE: usize = 256;

/// A job that is to be submitted.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The flags of msup that the tasks are run with.
    pub flags: Vec<Words>,
    /// The command and its arguments.
    pub command: Vec<Words>,
    /// The number of arguments of each value.
    pub arguments: usize,
    /// The folder in which commands run: an absolute path.
    pub folder: Words,
    /// Variables that commands get besides those of the node.
    pub environment: Vec<(Words, Words)>,
    /// Of the command, the folder and all values.
    pub digest: String,
    /// How often a task may crash, or be lost with its node.
    pub crash_limit: u32,
    /// A node that is silent for this time loses its tasks.
    pub lease: Duration,
    /// How long results are kept after the last one.
    pub keep: Duration,
    /// An output of more bytes is cut.
    pub max_output: u64,
    /// The values.
    pub values: Vec<Vec<u8>>,
}

/// What has become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// The number of tasks.
    pub total: u64,
    /// How many of them were not there before.
    pub added: u64,
}

/// Puts a job into the queue.
///
/// # Errors
/// The server cannot be reached, or has another job of this name.
pub fn submit(login: &Login, submission: &Submission) -> Result<Submitted, ClusterError> {
    on_this_thread(async {
        let server = Server::connect(login, None).await?;
        check(&server, &submission.values)?;
        server.make_stream(&server.results_config()).await?;
        let meta = describe(&server, submission).await?;
        if server.is_cancelled().await? {
            return Err(ClusterError::Cancelled(login.address.job().clone()));
        }
        server.make_stream(&server.tasks_config()).await?;
        server.make_consumer(&meta).await?;
        let added = add(&server, &submission.values).await?;
        Ok(Submitted { total: meta.total, added })
    })
}

/// # Errors
/// There are no values, or one is longer than a message may be.
fn check(server: &Server, values: &[Vec<u8>]) -> Result<(), ClusterError> {
    if values.is_empty() {
        return Err(ClusterError::NoTasks);
    }
    let at_most = server.max_payload().saturating_sub(AROUND);
    let too_long = (1..).zip(values).find(|(_, value)| value.len() > at_most);
    match too_long {
        Some((seq, value)) => Err(ClusterError::TooLong { seq, len: value.len(), at_most }),
        None => Ok(()),
    }
}

/// Makes the job known, unless it is: the first description counts.
async fn describe(server: &Server, submission: &Submission) -> Result<Meta, ClusterError> {
    let submission = submission.clone();
    let meta = Meta {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        id: server.unique(),
        digest: submission.digest,
        total: submission.values.len() as u64,
        flags: submission.flags,
        command: submission.command,
        arguments: submission.arguments,
        folder: submission.folder,
        environment: submission.environment,
        crash_limit: submission.crash_limit,
        submitted_s: now_s(),
        lease_ms: submission.lease.as_millis() as u64,
        keep_s: submission.keep.as_secs(),
        max_output: submission.max_output,
    };
    let known = match server.meta().await? {
        Some((_, known)) => known,
        None => {
            let text = serde_json::to_vec(&meta).unwrap_or_default();
            let first = Storing { id: Some(meta.id.clone()), after: Some(0) };
            match server.store(server.names.meta(), text, first).await? {
                Ok(_) => return Ok(meta),
                // Another process was faster.
                Err(denial) => {
                    let known = server.meta().await?;
                    known.ok_or_else(|| server.trouble("meta", denial.description))?.1
                }
            }
        }
    };
    match known.digest == meta.digest && known.total == meta.total {
        true => Ok(known),
        false => Err(ClusterError::OtherJob(server.login.address.job().clone())),
    }
}

/// Adds the tasks that are neither there nor done. Returns how many these are.
async fn add(server: &Server, values: &[Vec<u8>]) -> Result<u64, ClusterError> {
    let mut done = HashSet::new();
    let place = (server.names.results(), server.names.any_result());
    server.each_subject(place, |subject| done.extend(number_in(subject))).await?;
    let (mut added, mut on_their_way) = (0, JoinSet::new());
    // Another submission of the same job has another name: what it has stored is no repetition.
    let submission = server.unique();
    for (seq, value) in (1..).zip(values).filter(|(seq, _)| !done.contains(seq)) {
        if on_their_way.len() >= AT_ONCE {
            added += arrived(server, on_their_way.join_next().await)?;
        }
        let (server, value) = (server.clone(), value.clone());
        let id = format!("{submission}-{seq}");
        on_their_way.spawn(async move {
            // A task that was done a moment ago may be added once more: its result stays the first
            // one.
            let storing = Storing { id: Some(id), after: Some(0) };
            let stored = server.store(server.names.task(seq), value, storing).await?;
            Ok(u64::from(stored.is_ok()))
        });
    }
    while !on_their_way.is_empty() {
        added += arrived(server, on_their_way.join_next().await)?;
    }
    Ok(added)
}

fn arrived(
    server: &Server,
    task: Option<Result<Result<u64, ClusterError>, tokio::task::JoinError>>,
) -> Result<u64, ClusterError> {
    match task {
        None => Ok(0),
        Some(Ok(stored)) => stored,
        Some(Err(why)) => Err(server.trouble("a task", why.to_string())),
    }
}
