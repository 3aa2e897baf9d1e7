//! How the share of a node ends: the job is done or cancelled, the node is stopped, its runner is
//! gone, or the server is.

use std::time::{Duration, Instant};

use msup_protocol::codec::NodeOrder;

use super::super::NodeEnd;
use super::super::held::Phase;
use super::super::runner::RunnerNews;
use super::{LOOKS_AFTER, News, Session};
use crate::error::ClusterError;

/// What is left to be said to the server when all is over takes no longer.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The most urgent order to stop.
const MOST_URGENT: u8 = 3;

/// What is known of the end.
#[derive(Debug)]
pub(super) struct Ending {
    /// The job is done.
    is_done: bool,
    is_cancelled: bool,
    /// How urgently the node is stopped.
    stops: u8,
    /// The runner is gone, and was not told to go.
    has_lost_runner: bool,
    /// When an idle node looks whether the job is done, and how long it waits then.
    looks_at: Option<Instant>,
    wait: Duration,
    /// Since when only acknowledgements are missing, as far as this node knows.
    unacknowledged: Option<Instant>,
}

impl Default for Ending {
    fn default() -> Ending {
        Ending {
            is_done: false,
            is_cancelled: false,
            stops: 0,
            has_lost_runner: false,
            looks_at: Some(Instant::now()),
            wait: LOOKS_AFTER[0],
            unacknowledged: None,
        }
    }
}

impl Ending {
    /// Whether no more tasks are taken.
    pub(super) fn takes_nothing(&self) -> bool {
        self.is_done || self.is_cancelled || self.stops > 0 || self.has_lost_runner
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.is_cancelled
    }

    pub(super) fn has_lost_runner(&self) -> bool {
        self.has_lost_runner
    }

    pub(super) fn finish(&mut self) {
        self.is_done = true;
    }

    /// A task has come: the job goes on.
    pub(super) fn note_task(&mut self) {
        self.wait = LOOKS_AFTER[0];
        self.unacknowledged = None;
    }

    /// Only acknowledgements are missing: for how long.
    pub(super) fn unacknowledged_for(&mut self) -> Duration {
        self.unacknowledged.get_or_insert_with(Instant::now).elapsed()
    }

    /// Whether it is time to look whether the job is done. If so, no other look is due until this
    /// one has been taken.
    pub(super) fn looks(&mut self, now: Instant) -> bool {
        !self.takes_nothing() && self.looks_at.take_if(|at| now >= *at).is_some()
    }

    /// It is not.
    pub(super) fn looked(&mut self) {
        self.looks_at = Some(Instant::now() + self.wait);
        self.wait = (2 * self.wait).min(LOOKS_AFTER[1]);
    }

    pub(super) fn look_now(&mut self) {
        self.wait = LOOKS_AFTER[0];
        self.looks_at = self.looks_at.map(|_| Instant::now());
    }
}

/// What becomes of the session.
#[derive(Debug)]
pub(super) enum End {
    Of(NodeEnd),
    LostRunner,
    Unreachable,
}

impl Session<'_> {
    pub(super) fn on_signals(&mut self, count: u8) {
        let level = count.min(MOST_URGENT);
        if level > self.ending.stops {
            self.ending.stops = level;
            self.runner.order(&NodeOrder::Stop(level));
        }
    }

    /// What runs is stopped, and nothing of it counts.
    pub(super) fn on_cancelled(&mut self) {
        if !std::mem::replace(&mut self.ending.is_cancelled, true) {
            self.say("the job is cancelled");
            self.runner.order(&NodeOrder::Stop(2));
        }
    }

    /// The runner is gone, and was not told to go. What it had is given back at once. That counts
    /// as a loss: a task may have killed it.
    pub(super) fn on_runner_gone(&mut self) {
        self.ending.has_lost_runner = true;
        let with_it = |phase: &Phase| matches!(phase, Phase::Running);
        self.held.numbers(with_it).into_iter().for_each(|seq| self.give_back(seq, false));
        for seq in self.held.numbers(|phase| matches!(phase, Phase::Placing(..))) {
            let Some(Phase::Placing(finished, _)) = self.held.get(seq).map(|held| &held.phase)
            else {
                continue;
            };
            let file = finished.record.file.clone();
            self.place(seq, file);
        }
    }

    /// Whether there is nothing more to do, and why.
    pub(super) fn end(&self) -> Option<End> {
        if self.connection.is_given_up() && self.held.are_all_kept() {
            return Some(End::Unreachable);
        }
        if !self.held.is_empty() {
            return None;
        }
        match self.ending {
            Ending { is_cancelled: true, .. } => Some(End::Of(NodeEnd::Cancelled)),
            Ending { is_done: true, .. } => Some(End::Of(NodeEnd::Done)),
            Ending { stops: 1.., .. } => Some(End::Of(NodeEnd::Stopped)),
            Ending { has_lost_runner: true, .. } => Some(End::LostRunner),
            _ => None,
        }
    }

    /// Lets the runner exit, and says the last words to the server.
    ///
    /// # Errors
    /// The end is none that was wanted.
    pub(super) async fn leave(mut self, end: End) -> Result<NodeEnd, ClusterError> {
        if let End::Unreachable = end {
            for seq in self.held.numbers(|_| true) {
                self.runner.order(&NodeOrder::Keep(seq));
            }
        }
        self.runner.close();
        while !self.ending.has_lost_runner {
            match self.news.recv().await {
                Some(News::Runner(RunnerNews::Gone)) | None => self.ending.has_lost_runner = true,
                Some(News::Signals(count)) => self.on_signals(count),
                Some(_) => {}
            }
        }
        let status = self.runner.exited().await;
        let server = self.server.clone();
        if let End::Unreachable = end {
            self.errands.abort_all();
        } else {
            let last_words = async {
                while self.errands.join_next().await.is_some() {}
                server.flush().await;
            };
            let _ = tokio::time::timeout(LAST_WORDS, last_words).await;
        }
        match end {
            End::Of(end) => Ok(end),
            End::LostRunner => {
                let how = status.map_or("it is gone".to_owned(), |status| status.to_string());
                Err(ClusterError::Runner(format!("{how}; its tasks were given back")))
            }
            End::Unreachable => {
                let server = self.server.login.address.server();
                let (kept, folder) = (self.held.numbers(|_| true).len(), self.kept.folder());
                let mut why = "it was not reached any more".to_owned();
                if kept > 0 {
                    let folder = folder.display();
                    why += &format!(
                        "; {kept} results are in {folder}, and the next msup node delivers them"
                    );
                }
                Err(ClusterError::Unreachable { server, why })
            }
        }
    }
}
