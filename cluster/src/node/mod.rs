//! `msup node`: takes tasks from a queue for as long as there are any, and has them run by an
//! ordinary msup, which is its child process.
//!
//! Reading order: `session` (what happens to a task, from its message to its acknowledgement),
//! `held` (the tasks that the node has), `delivering` (results), `pulls` (how many tasks are asked
//! for), `runner` (the child process), `kept` (results for a server that cannot be reached).

mod delivering;
mod held;
mod kept;
mod pulls;
mod runner;
mod session;
mod signals;
mod space;

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::error::ClusterError;
use crate::on_this_thread;
use crate::records::Meta;
use crate::server::{Login, Server};
use session::Session;
use signals::Signals;

/// How often the server is asked whether there is a job.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Makes the command line of the msup that runs the tasks of a job.
pub type RunnerCommand<'a> = &'a dyn Fn(&Meta) -> Command;

/// A node, and what it needs.
pub struct Node<'a> {
    /// The job, and how the server knows the user.
    pub login: Login,
    /// It waits for another job of the same name when one is done.
    pub stays: bool,
    /// The folder for results that cannot be delivered: all nodes of this user on this machine
    /// share it.
    pub kept: PathBuf,
    /// The msup that runs the tasks.
    pub runner: RunnerCommand<'a>,
    /// Says a line to the user.
    pub say: &'a dyn Fn(&str),
}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("login", &self.login).finish_non_exhaustive()
    }
}

/// Why a node has nothing more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeEnd {
    /// The job is done.
    Done,
    /// It was cancelled.
    Cancelled,
    /// A signal has stopped the node. What it had is finished or given back.
    Stopped,
}

/// The connection of the node: whether the server is reached, and how often that has changed.
pub(crate) type Changes = watch::Receiver<(bool, u64)>;

impl Node<'_> {
    /// Works until there is nothing more to do.
    ///
    /// # Errors
    /// The server cannot be reached, or the tasks cannot be run here.
    pub fn run(&self) -> Result<NodeEnd, ClusterError> {
        on_this_thread(self.work())
    }

    async fn work(&self) -> Result<NodeEnd, ClusterError> {
        let (changed, changes) = watch::channel((true, 0));
        let on_change = Arc::new(move |is_connected| {
            changed.send_modify(|(state, times)| (*state, *times) = (is_connected, *times + 1));
        });
        let server = Server::connect(&self.login, Some(on_change)).await?;
        let mut signals = Signals::heed().map_err(ClusterError::Runtime)?;
        let mut past = None;
        loop {
            let Some(meta) = self.next_job(&server, &mut signals, past.as_deref()).await? else {
                return Ok(NodeEnd::Stopped);
            };
            let job = meta.id.clone();
            match self.take_part(&server, meta, &changes, &signals).await? {
                NodeEnd::Stopped => return Ok(NodeEnd::Stopped),
                _ if self.stays => past = Some(job),
                end => return Ok(end),
            }
        }
    }

    /// Waits for a job other than the last one. `None` if a signal comes before.
    async fn next_job(
        &self,
        server: &Server,
        signals: &mut Signals,
        past: Option<&str>,
    ) -> Result<Option<Meta>, ClusterError> {
        let mut has_said = false;
        loop {
            if signals.count() > 0 {
                return Ok(None);
            }
            let meta = server.meta().await?.map(|(_, meta)| meta);
            if let Some(meta) = meta.filter(|meta| past != Some(&meta.id)) {
                return Ok(Some(meta));
            }
            if !std::mem::replace(&mut has_said, true) {
                (self.say)(&format!("waiting for a job: {}", self.login.address));
            }
            signals.or_after(LOOK_EVERY).await;
        }
    }

    /// Does a share of a job.
    async fn take_part(
        &self,
        server: &Server,
        meta: Meta,
        changes: &Changes,
        signals: &Signals,
    ) -> Result<NodeEnd, ClusterError> {
        let folder = meta.folder.path();
        let found = fs::metadata(&folder).and_then(|found| match found.is_dir() {
            true => Ok(()),
            false => Err(std::io::ErrorKind::NotADirectory.into()),
        });
        found.map_err(|why| ClusterError::Folder { folder, why })?;
        if server.is_cancelled().await? {
            return Ok(NodeEnd::Cancelled);
        }
        if server.is_done(&meta).await? {
            return Ok(NodeEnd::Done);
        }
        Session::begin(self, server.clone(), meta, changes, signals).await?.work().await
    }
}
