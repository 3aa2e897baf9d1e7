//! A list of tasks as a queue on a NATS server, for machines that come and go: `msup submit`,
//! `msup node`, `msup status`, `msup collect` and `msup cancel` (docs/guide/cluster.md).
//!
//! Reading order: `names` and `records` (what is on the server), `server` (how it is asked),
//! `submit`, `reading` (results, for `--wait` and `collect`), `state` (how a job is doing), `node`.
//!
//! The server knows three kinds of messages of a job. Each task is a message in a work queue, which
//! is there until the task is done. Each result is a message of its own subject, of which the first
//! one counts: **that result, not the acknowledgement of the task, decides what was done.** The
//! description of the job comes first of all.

mod address;
mod error;
mod names;
mod node;
mod reading;
mod records;
mod server;
mod state;
mod submit;

pub use address::{Address, AddressError, JobName};
pub use error::ClusterError;
pub use node::{Node, NodeEnd, RunnerCommand};
pub use reading::{Arrived, Reading, collect, follow};
pub use records::{FileRecord, Meta, ResultRecord, Spent, TaskState, Words};
pub use server::Login;
pub use state::{Count, JobState, cancel, described, status};
pub use submit::{Submission, Submitted, submit};

use std::future::Future;

/// Runs what speaks with a server, on this thread alone.
///
/// # Errors
/// There is no descriptor left, or that of the work itself.
fn on_this_thread<T>(
    work: impl Future<Output = Result<T, ClusterError>>,
) -> Result<T, ClusterError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(ClusterError::Runtime)?.block_on(work)
}
