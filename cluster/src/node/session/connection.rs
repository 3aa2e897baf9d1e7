//! A node and its server: leases that are renewed, and a server that is not reached for a while.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

use super::super::delivering;
use super::super::held::Phase;
use super::super::kept;
use super::super::space::full;
use super::{News, Session};
use crate::server::GIVE_UP;

/// How often it is looked whether there is space on the disks.
const SPACE_EVERY: Duration = Duration::from_secs(1);

/// What is known of the connection.
#[derive(Debug)]
pub(super) struct Connection {
    /// What the subjects begin with to which the server answers.
    inbox: String,
    /// Since when the server is not reached.
    lost_since: Option<Instant>,
    /// How often leases are renewed, and when that is due.
    renewal: Duration,
    due: Instant,
    /// The last renewal, which may not be over.
    renewing: Option<AbortHandle>,
    /// Whether more tasks wait, as the server said last.
    pub(super) has_more: Option<bool>,
    pub(super) space: Space,
}

/// Whether there is space on the disks of a node.
#[derive(Debug)]
pub(super) struct Space {
    folders: Vec<PathBuf>,
    is_full: bool,
    due: Instant,
}

impl Space {
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    pub(super) fn folders(&self) -> Vec<PathBuf> {
        self.folders.clone()
    }

    /// What was found. It is said when that changes.
    pub(super) fn on_space(&mut self, full: Option<PathBuf>, say: &dyn Fn(&str)) {
        let was_full = std::mem::replace(&mut self.is_full, full.is_some());
        match (full, was_full) {
            (Some(folder), false) => {
                let folder = folder.display();
                say(&format!("{folder}: no space left: no tasks are taken until there is some"));
            }
            (None, true) => say("there is space again"),
            _ => {}
        }
    }
}

impl Connection {
    pub(super) fn new(inbox: String, renewal: Duration, folders: Vec<PathBuf>) -> Connection {
        let (now, lost_since, renewing, has_more) = (Instant::now(), None, None, None);
        let space = Space { folders, is_full: false, due: now };
        Connection { inbox, lost_since, renewal, due: now + renewal, renewing, has_more, space }
    }

    pub(super) fn inbox(&self) -> &str {
        &self.inbox
    }

    pub(super) fn is_there(&self) -> bool {
        self.lost_since.is_none()
    }

    /// Whether it was lost for so long that it is given up, if nothing else is left to do.
    pub(super) fn is_given_up(&self) -> bool {
        self.lost_since.is_some_and(|since| since.elapsed() >= GIVE_UP)
    }
}

impl Session<'_> {
    pub(super) fn on_connection(&mut self, is_there: bool) {
        let was_there = self.connection.is_there();
        if is_there {
            self.connection.lost_since = None;
            // The server has forgotten what was asked for, and leases may be about to run out.
            self.pulls.lose();
            self.renew();
            self.ending.look_now();
            if !was_there {
                self.say("the server is reached again");
            }
        } else if was_there {
            self.connection.lost_since = Some(Instant::now());
            self.say("the server is not reached: what runs goes on");
            let delivering = |phase: &Phase| matches!(phase, Phase::Delivering(_));
            self.held.numbers(delivering).into_iter().for_each(|seq| self.keep(seq));
        }
    }

    /// Puts a result on disk: the server may not be reached before this node exits.
    pub(super) fn keep(&mut self, seq: u64) {
        let path = self.kept.path(seq);
        let Some(held) = self.held.get(seq) else { return };
        let Phase::Delivering(finished) = &held.phase else { return };
        if held.is_kept {
            return;
        }
        let (reply, finished) = (held.reply.to_string(), Arc::clone(finished));
        let (job, sender) = (self.meta.id.clone(), self.sender.clone());
        self.errands.spawn(async move {
            // A disk that hangs must not hold up the connection.
            let write = move || kept::write(&path, &job, &reply, &finished);
            let written = tokio::task::spawn_blocking(write).await;
            let written = written.map_err(io::Error::other).flatten();
            let _ = sender.send(News::Kept(seq, written));
        });
    }

    pub(super) fn on_kept(&mut self, seq: u64, written: io::Result<()>) {
        match (written, self.held.get(seq)) {
            (Ok(()), Some(held)) => held.is_kept = true,
            // It was delivered meanwhile.
            (Ok(()), None) => self.forget_kept(seq),
            // It stays in memory, and the task runs again if that is lost.
            (Err(why), _) => {
                let path = self.kept.path(seq);
                self.say(&format!("{}: {why}", path.display()));
            }
        }
    }

    /// A result on disk is delivered, or counts no more.
    pub(super) fn forget_kept(&mut self, seq: u64) {
        let path = self.kept.path(seq);
        self.errands.spawn(async move {
            let _ = tokio::task::spawn_blocking(move || std::fs::remove_file(path)).await;
        });
    }

    /// Renews the leases of all tasks, unless the last renewal is not over.
    pub(super) fn renew(&mut self) {
        self.connection.due = Instant::now() + self.connection.renewal;
        if self.connection.renewing.as_ref().is_some_and(|last| !last.is_finished()) {
            return;
        }
        let (server, replies) = (self.server.clone(), self.held.replies());
        let renewing = self.errands.spawn(async move {
            for reply in replies {
                server.tell(reply, "+WPI").await;
            }
        });
        self.connection.renewing = Some(renewing);
    }

    pub(super) fn on_tick(&mut self) {
        while self.errands.try_join_next().is_some() {}
        let now = Instant::now();
        if now >= self.connection.space.due {
            self.connection.space.due = now + SPACE_EVERY;
            let (folders, sender) = (self.connection.space.folders(), self.sender.clone());
            self.errands.spawn_blocking(move || drop(sender.send(News::Space(full(&folders)))));
        }
        if !self.connection.is_there() {
            return;
        }
        if Instant::now() >= self.connection.due {
            self.renew();
        }
        if self.held.is_empty() && self.ending.looks(Instant::now()) {
            self.look();
        }
    }

    /// A result that a node has left which is gone.
    pub(super) fn adopt(&mut self, old: kept::OldResult) {
        let (server, finished) = (self.server.clone(), Arc::clone(&old.finished));
        self.errands.spawn(async move {
            if !delivering::is_there(Arc::clone(&finished)).await {
                // Its file is gone: the task runs again.
                return old.forget();
            }
            let file = finished.record.file.clone();
            let settled = match server.deliver(&finished, 0).await {
                Ok(delivering::Delivered::Won(_)) => delivering::place(file).await,
                Ok(delivering::Delivered::Lost(other)) => {
                    delivering::remove(file).await;
                    delivering::place(other.file).await
                }
                // It stays where it is, for the next start.
                Err(_) => return,
            };
            if settled.is_ok() {
                server.tell(old.reply.clone().into(), "+ACK").await;
                old.forget();
            }
        });
    }
}
