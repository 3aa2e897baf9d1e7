//! A node's share of one job: one loop that takes in what happens, and sends others on errands.
//!
//! A task is held from its message to its acknowledgement. It is acknowledged when its result is on
//! the server and its file is in its place, whichever node has done either. An acknowledgement that
//! is lost, or comes from a node that dies right before it, costs another look at the result.

mod connection;
mod ending;
mod hearing;
mod looking;
mod outcomes;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use async_nats::Message;
use msup_protocol::codec::{FinishedTask, NodeNote, NodeOrder, QueuedTask, TriedKind};
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::delivering::{Checked, Delivered};
use super::held::{Held, HeldTasks, Phase};
use super::kept::{self, KeptResults};
use super::pulls::{EXPIRES, Pulls};
use super::runner::{Outcome, Runner, RunnerNews};
use super::signals::Signals;
use super::{Changes, Node, NodeEnd};
use crate::error::ClusterError;
use crate::names::{CONSUMER, number_in};
use crate::reading::Place;
use crate::records::{Meta, Tries};
use crate::server::Server;
use connection::Connection;
use ending::Ending;
use hearing::{heed, listen, machine};
use looking::Look;

/// The lease of a task is renewed after this part of it: two renewals may be lost.
const RENEWALS_PER_LEASE: u32 = 3;

/// How soon, and how late, an idle node looks whether the job is done.
const LOOKS_AFTER: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(5)];

/// Something that has happened.
#[derive(Debug)]
pub(super) enum News {
    Runner(RunnerNews),
    /// A task, or what the server says to a request for tasks.
    Message(Message),
    /// The server is reached, or not any more.
    Connection(bool),
    /// This many signals have arrived so far.
    Signals(u8),
    /// What has become of a task that another node had before.
    Checked(u64, Result<Checked, ClusterError>),
    /// Whose result of a task counts.
    Delivered(u64, Delivered),
    /// The server cannot be told a result for now.
    Stuck(u64),
    /// A result is on disk, or cannot be put there.
    Kept(u64, io::Result<()>),
    /// The file of a result that counts is in its place, or why not.
    Settled(u64, Result<(), String>),
    /// The file of a result that counts cannot be placed, by any node: why.
    Unplaced(u64, String),
    /// How an idle node has found the job.
    Looked(Result<Look, ClusterError>),
    /// The folder on whose disk there is no space, if there is one.
    Space(Option<PathBuf>),
    /// A task has failed here: whether there was no space.
    Failed(Box<Outcome>, Option<FinishedTask>, Option<PathBuf>),
    Tick,
}

/// The share of a node.
pub(super) struct Session<'a> {
    node: &'a Node<'a>,
    server: Server,
    meta: Meta,
    news: UnboundedReceiver<News>,
    sender: UnboundedSender<News>,
    runner: Runner,
    /// How many tasks the runner can have.
    capacity: u32,
    held: HeldTasks,
    /// The task whose outcome comes next.
    finishing: Option<FinishedTask>,
    pulls: Pulls,
    connection: Connection,
    kept: KeptResults,
    ending: Ending,
    /// What is done meanwhile.
    errands: JoinSet<()>,
    /// What the node is called in results.
    machine: String,
}

impl<'a> Session<'a> {
    /// Starts the runner.
    ///
    /// # Errors
    /// It cannot be started, or the server not be listened to.
    pub(super) async fn begin(
        node: &'a Node<'a>,
        server: Server,
        meta: Meta,
        changes: &Changes,
        signals: &Signals,
    ) -> Result<Session<'a>, ClusterError> {
        let (sender, news) = unbounded_channel();
        let all = node.kept.join(node.login.address.file_name());
        let machine = machine();
        let inbox = server.client.new_inbox();
        let name = server.unique();
        let unusable = |why| ClusterError::Kept { folder: all.clone(), why };
        let kept = KeptResults::open(&all, &name).map_err(unusable)?;
        listen(&server, &inbox, &sender).await?;
        heed(changes, signals, &sender);
        let command = (node.runner)(&meta);
        let runner = Runner::start(command, meta.max_output, sender.clone())
            .map_err(|why| ClusterError::Runner(why.to_string()))?;
        let now = Instant::now();
        let renewal = Duration::from_millis(meta.lease_ms) / RENEWALS_PER_LEASE;
        let folders = vec![std::env::temp_dir(), all.clone(), meta.folder.path()];
        let mut session = Session {
            node,
            server,
            meta,
            news,
            sender,
            runner,
            capacity: 0,
            held: HeldTasks::default(),
            finishing: None,
            pulls: Pulls::new(now),
            connection: Connection::new(inbox, renewal, folders),
            kept,
            ending: Ending::default(),
            errands: JoinSet::new(),
            machine,
        };
        for old in kept::take_over(&all, &session.meta.id) {
            session.adopt(old);
        }
        Ok(session)
    }

    /// Works until there is nothing more to do.
    ///
    /// # Errors
    /// The server cannot be reached any more, or the runner is gone.
    pub(super) async fn work(mut self) -> Result<NodeEnd, ClusterError> {
        loop {
            // This session holds a sender: there is always more.
            let Some(mut news) = self.news.recv().await else { return Ok(NodeEnd::Stopped) };
            loop {
                self.take(news)?;
                match self.news.try_recv() {
                    Ok(more) => news = more,
                    Err(_) => break,
                }
            }
            if let Some(end) = self.end() {
                return self.leave(end).await;
            }
            self.pull();
        }
    }

    fn take(&mut self, news: News) -> Result<(), ClusterError> {
        match news {
            News::Runner(RunnerNews::Note(note)) => self.on_note(note),
            News::Runner(RunnerNews::Outcome(outcome)) => self.on_outcome(outcome),
            News::Runner(RunnerNews::Gone) => self.on_runner_gone(),
            News::Message(message) => self.on_message(&message),
            News::Connection(is_there) => self.on_connection(is_there),
            News::Signals(count) => self.on_signals(count),
            News::Checked(seq, checked) => self.on_checked(seq, checked),
            News::Delivered(seq, delivered) => self.on_delivered(seq, delivered),
            News::Stuck(seq) => self.keep(seq),
            News::Kept(seq, written) => self.on_kept(seq, written),
            News::Settled(seq, settled) => self.on_settled(seq, settled),
            News::Unplaced(seq, why) => self.correct(seq, &why),
            News::Looked(look) => self.on_looked(look)?,
            News::Space(full) => self.connection.space.on_space(full, self.node.say),
            News::Failed(outcome, told, full) => self.on_failed(*outcome, told, full),
            News::Tick => self.on_tick(),
        }
        Ok(())
    }

    fn on_note(&mut self, note: NodeNote) {
        match note {
            NodeNote::Capacity(capacity) => self.capacity = capacity,
            NodeNote::Tried { seq, kind } => self.on_tried(seq, kind),
            NodeNote::Finished(finished) => self.finishing = Some(finished),
            NodeNote::Returned(seq) => self.give_back(seq, true),
            NodeNote::Placed { seq, why } => self.on_placed(seq, why),
        }
    }

    /// An attempt has failed, and the task is tried again here. A node that gets it after this one
    /// is to know that.
    fn on_tried(&mut self, seq: u64, kind: TriedKind) {
        let Some(held) = self.held.get(seq) else { return };
        held.tries.attempts += 1;
        match kind {
            TriedKind::Failed => held.tries.failures += 1,
            TriedKind::Crashed => held.tries.crashes += 1,
            TriedKind::Lost => {}
        }
        let tries = held.tries;
        self.note_tries(seq, tries);
    }

    fn note_tries(&mut self, seq: u64, tries: Tries) {
        let server = self.server.clone();
        self.errands.spawn(async move {
            // What is not noted is tried once more than it should be, at worst.
            let _ = server.note_tries(seq, tries).await;
        });
    }

    /// A message: a task, or the end of a request for tasks.
    fn on_message(&mut self, message: &Message) {
        if let Some(status) = message.status {
            let Some(request) = number_in(&message.subject) else { return };
            match status.as_u16() {
                // There was nothing for as long as the request could wait.
                404 | 408 => self.pulls.ended(request as u32),
                _ => self.pulls.refused(request as u32, Instant::now()),
            }
            return self.tell_more(false);
        }
        if message.subject.as_str() == self.server.names.cancel() {
            return self.on_cancelled();
        }
        if message.subject.as_str() == self.server.names.done() {
            return self.ending.look_now();
        }
        let place = message.reply.as_ref().and_then(|reply| Place::of(reply));
        let (Some(seq), Some(place), Some(reply)) =
            (number_in(&message.subject), place, message.reply.clone())
        else {
            return;
        };
        self.pulls.arrived();
        self.ending.note_task();
        self.tell_more(place.pending > 0);
        if let Some(held) = self.held.get(seq) {
            // Its lease was lost, though it is still here: no node was.
            held.reply = reply;
            held.tries.returned += 1;
            held.deliveries = place.deliveries;
            let tries = held.tries;
            return self.note_tries(seq, tries);
        }
        let held = Held {
            reply,
            value: message.payload.to_vec(),
            deliveries: place.deliveries,
            tries: Tries::default(),
            phase: Phase::Checking,
            is_kept: false,
        };
        self.held.add(seq, held);
        if place.deliveries == 1 {
            return self.run(seq, Tries::default());
        }
        let (server, sender) = (self.server.clone(), self.sender.clone());
        self.errands.spawn(async move {
            let _ = sender.send(News::Checked(seq, server.check(seq).await));
        });
    }

    fn on_checked(&mut self, seq: u64, checked: Result<Checked, ClusterError>) {
        match checked {
            Ok(Checked::Finished(record)) => self.settle(seq, *record),
            Ok(Checked::Open(tries)) => self.run(seq, tries),
            // The server was not reached: it hands the task out again.
            Err(_) => drop(self.held.remove(seq)),
        }
    }

    /// Has a task run that was tried so often, unless it was lost with too many nodes.
    fn run(&mut self, seq: u64, tries: Tries) {
        let Some(held) = self.held.get(seq) else { return };
        held.tries = tries;
        if self.ending.takes_nothing() {
            return self.give_back(seq, true);
        }
        let (crashes, attempts) = (held.crashes(), held.attempts());
        if crashes >= self.meta.crash_limit {
            return self.give_up(seq);
        }
        held.phase = Phase::Running;
        let (value, failures) = (held.value.clone().into(), tries.failures);
        let task = QueuedTask { seq, value, attempts, failures, crashes };
        self.runner.order(&NodeOrder::Run(task));
    }

    /// Gives a task back: another node gets it at once. If it `is_free`, that does not count as a
    /// loss.
    fn give_back(&mut self, seq: u64, is_free: bool) {
        let Some(held) = self.held.remove(seq) else { return };
        if self.ending.is_cancelled() {
            return;
        }
        let (server, reply) = (self.server.clone(), held.reply);
        let mut tries = held.tries;
        tries.returned += u32::from(is_free);
        self.errands.spawn(async move {
            // First: a node that dies in between has its lease run out, which counts once more.
            if !is_free || server.note_tries(seq, tries).await {
                server.tell(reply, "-NAK").await;
            }
        });
    }

    /// Asks for tasks, if workers are idle.
    fn pull(&mut self) {
        let is_able = self.connection.is_there() && !self.connection.space.is_full();
        if self.ending.takes_nothing() || !is_able {
            return;
        }
        let (capacity, held) = (self.capacity, self.held.under_way());
        let Some((request, batch)) = self.pulls.ask(capacity, held, Instant::now()) else { return };
        let stream = self.server.names.tasks();
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{CONSUMER}");
        let reply = format!("{}.{request}", self.connection.inbox());
        let question = json!({ "batch": batch, "expires": EXPIRES.as_nanos() as u64 });
        let client = self.server.client.clone();
        self.errands.spawn(async move {
            let question = question.to_string().into_bytes();
            // One that is lost expires.
            let _ = client.publish_with_reply(subject, reply, question.into()).await;
        });
    }

    /// Tells the runner whether more tasks wait, if that has changed.
    fn tell_more(&mut self, has_more: bool) {
        if self.connection.has_more.replace(has_more) != Some(has_more) {
            self.runner.order(&NodeOrder::More(has_more));
        }
    }

    fn say(&self, text: &str) {
        (self.node.say)(text);
    }
}
