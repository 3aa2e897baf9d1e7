//! What `msup node` and the msup that runs its tasks tell each other. Both travel in frames of
//! `msup serve` (docs/guide/serve.md), as kinds of their own.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// The kind of a frame that holds a [`NodeOrder`].
pub const ORDER: u8 = 2;

/// The kind of a frame that holds a [`NodeNote`].
pub const NOTE: u8 = 4;

/// From the node to the msup that runs its tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeOrder {
    /// Run this task.
    Run(QueuedTask),
    /// Whether more tasks wait in the queue.
    More(bool),
    /// The result of the task with this number counts: rename its file to its place.
    Place(u64),
    /// The result of another node counts: remove the file.
    Remove(u64),
    /// It is not known which result counts: leave the temporary file where it is.
    Keep(u64),
    /// Start nothing more (1), stop what runs, too (2), or kill it (3).
    Stop(u8),
}

/// A task of a queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedTask {
    /// Its number in the queue, from 1.
    pub seq: u64,
    /// Its value.
    pub value: ByteBuf,
    /// How many attempts have begun elsewhere.
    pub attempts: u32,
    /// How many of them failed, and how many crashed or were lost with their nodes.
    pub failures: u32,
    /// See `failures`.
    pub crashes: u32,
}

/// From the msup that runs the tasks of a node to that node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeNote {
    /// It can have this number of tasks at once from now on.
    Capacity(u32),
    /// An attempt did not succeed, and its task is tried again here.
    Tried {
        /// The task's number.
        seq: u64,
        /// What the attempt counts as.
        kind: TriedKind,
    },
    /// A task has finished: its outcome follows in the next frames.
    Finished(FinishedTask),
    /// A task has not finished, and is not run here any more.
    Returned(u64),
    /// The file of a task is in its place, or cannot be put there: why.
    Placed {
        /// The task's number.
        seq: u64,
        /// Why not.
        why: Option<String>,
    },
}

/// What an attempt that did not succeed counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TriedKind {
    /// It failed.
    Failed,
    /// It crashed its process.
    Crashed,
    /// It was killed from outside, or there was no memory for it.
    Lost,
}

/// What is known of a finished task besides its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishedTask {
    /// Its number.
    pub seq: u64,
    /// When its last attempt began, in microseconds since 1970.
    pub began_us: u64,
    /// How long that took, in microseconds.
    pub wall_us: u64,
    /// Its CPU time in microseconds.
    pub cpu_us: u64,
    /// Peak memory in bytes of the largest of its processes.
    pub memory: u64,
    /// The exit status that stands for it in a joblog, and the signal.
    pub status: i16,
    /// See `status`.
    pub signal: u8,
    /// The file that it has made, if it makes one and has succeeded. It waits for an order.
    pub file: Option<MadeFile>,
}

/// A file that is complete and not in its place yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeFile {
    /// Where it is: an absolute path.
    pub temporary: ByteBuf,
    /// Its place: an absolute path.
    pub target: ByteBuf,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last changed, in nanoseconds since 1970.
    pub mtime: i64,
}
