//! From the outcome of a task to its acknowledgement.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use msup_protocol::codec::{FinishedTask, NodeOrder};

use super::super::delivering::{self, Delivered};
use super::super::held::{Finished, Phase};
use super::super::runner::Outcome;
use super::super::space::full;
use super::{News, Session};
use crate::records::{FileRecord, ResultRecord, Spent, TaskState};

/// A task whose file cannot be placed is handed out again after this time, perhaps to a node that
/// can.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// A cause of more bytes is cut.
const CAUSE_AT_MOST: usize = 1024;

impl Session<'_> {
    /// A task has finished here.
    pub(super) fn on_outcome(&mut self, outcome: Box<Outcome>) {
        self.pulls.finished(Instant::now());
        let told = self.finishing.take().filter(|told| told.seq == outcome.seq);
        if outcome.state == 0 {
            return self.finish(*outcome, told);
        }
        // It may have failed for lack of space, and another node has some.
        let (folders, sender) = (self.connection.space.folders(), self.sender.clone());
        self.errands.spawn_blocking(move || {
            let _ = sender.send(News::Failed(outcome, told, full(&folders)));
        });
    }

    pub(super) fn on_failed(
        &mut self,
        outcome: Outcome,
        told: Option<FinishedTask>,
        full: Option<PathBuf>,
    ) {
        if full.is_none() {
            return self.finish(outcome, told);
        }
        self.connection.space.on_space(full, self.node.say);
        if told.is_some_and(|told| told.file.is_some()) {
            self.runner.order(&NodeOrder::Remove(outcome.seq));
        }
        self.give_back(outcome.seq, true);
    }

    /// Whether a result counts is decided by the server.
    fn finish(&mut self, outcome: Outcome, told: Option<FinishedTask>) {
        let seq = outcome.seq;
        let (Some(held), Some(told)) = (self.held.get(seq), told) else { return };
        let value = std::mem::take(&mut held.value);
        let file = told.file.clone().map(FileRecord::from);
        let finished = self.finished(value, &told, outcome);
        if file.is_some() && finished.record.file.is_none() {
            self.runner.order(&NodeOrder::Remove(seq));
        }
        self.deliver(seq, Arc::new(finished), 0);
    }

    fn finished(&self, value: Vec<u8>, told: &FinishedTask, outcome: Outcome) -> Finished {
        let Outcome { seq, attempts, state, text, mut outputs, cut, _room } = outcome;
        let (mut state, mut cause) = match state {
            0 => (TaskState::Succeeded, None),
            1 => (TaskState::Failed, Some(text)),
            _ => (TaskState::Quarantined, Some(text)),
        };
        // Its output may have been lost after it had made its file.
        let is_made = state == TaskState::Succeeded;
        let mut file = told.file.clone().filter(|_| is_made).map(FileRecord::from);
        let mut status = told.status;
        if cut > 0 {
            let notice = format!("{cut} bytes of its output were cut off (--max-output)");
            outputs[1].extend(format!("msup: {notice}\n").into_bytes());
            if state == TaskState::Succeeded {
                (state, cause, file, status) = (TaskState::Failed, Some(notice), None, -1);
            }
        }
        let record = ResultRecord {
            seq,
            value_len: value.len() as u64,
            value,
            execution: self.server.unique(),
            node: self.machine.clone(),
            state,
            cause: cause.map(|cause| shortened(&cause)),
            attempts,
            spent: Spent {
                began_us: told.began_us,
                wall_us: told.wall_us,
                cpu_us: told.cpu_us,
                memory: told.memory,
            },
            status,
            signal: told.signal,
            here: [0; 2],
            parts: [0; 2],
            file,
        };
        Finished { record, outputs, is_of_runner: true, _room: Some(_room) }
    }

    /// A task was lost with too many nodes: that is its result.
    pub(super) fn give_up(&mut self, seq: u64) {
        let execution = self.server.unique();
        let Some(held) = self.held.get(seq) else { return };
        let value = std::mem::take(&mut held.value);
        let (n, attempts) = (held.crashes(), held.attempts());
        let record = ResultRecord {
            seq,
            value_len: value.len() as u64,
            value,
            execution,
            node: self.machine.clone(),
            state: TaskState::Quarantined,
            cause: Some(format!("it crashed, or was lost with its node, {n} times")),
            attempts,
            spent: Spent::default(),
            status: -1,
            signal: 0,
            here: [0; 2],
            parts: [0; 2],
            file: None,
        };
        let outputs = [Vec::new(), Vec::new()];
        let finished = Finished { record, outputs, is_of_runner: false, _room: None };
        self.deliver(seq, Arc::new(finished), 0);
    }

    /// Brings a result to the server, for as long as that takes.
    fn deliver(&mut self, seq: u64, finished: Arc<Finished>, instead_of: u64) {
        let Some(held) = self.held.get(seq) else { return };
        held.phase = Phase::Delivering(Arc::clone(&finished));
        if !self.connection.is_there() {
            self.keep(seq);
        }
        let (server, sender) = (self.server.clone(), self.sender.clone());
        self.errands.spawn(async move {
            loop {
                match server.deliver(&finished, instead_of).await {
                    Ok(delivered) => {
                        let _ = sender.send(News::Delivered(seq, delivered));
                        return;
                    }
                    Err(_) if sender.send(News::Stuck(seq)).is_err() => return,
                    Err(_) => tokio::time::sleep(AGAIN_AFTER).await,
                }
            }
        });
    }

    pub(super) fn on_delivered(&mut self, seq: u64, delivered: Delivered) {
        let has_runner = !self.ending.has_lost_runner();
        let Some(held) = self.held.get(seq) else { return };
        let Phase::Delivering(finished) = held.phase.clone() else { return };
        let own = finished.record.file.clone();
        match delivered {
            Delivered::Won(_) if own.is_none() => self.on_settled(seq, Ok(())),
            Delivered::Won(number) => {
                held.phase = Phase::Placing(Arc::clone(&finished), number);
                match finished.is_of_runner && has_runner {
                    true => self.runner.order(&NodeOrder::Place(seq)),
                    false => self.place(seq, own),
                }
            }
            Delivered::Lost(other) => {
                match finished.is_of_runner && has_runner {
                    true => self.runner.order(&NodeOrder::Remove(seq)),
                    false => drop(self.errands.spawn(delivering::remove(own))),
                }
                self.settle(seq, *other);
            }
        }
    }

    /// The result of another node counts. It may not have lived to place its file.
    pub(super) fn settle(&mut self, seq: u64, other: ResultRecord) {
        if let Some(held) = self.held.get(seq) {
            held.phase = Phase::Settling;
        }
        self.place(seq, other.file);
    }

    pub(super) fn place(&mut self, seq: u64, file: Option<FileRecord>) {
        let sender = self.sender.clone();
        self.errands.spawn(async move {
            let placed = delivering::place(file).await;
            let _ = sender.send(News::Settled(seq, placed));
        });
    }

    /// The runner has placed a file, or cannot. It may be too late: another node that was given the
    /// task has placed the file for this one, and acknowledged the task.
    pub(super) fn on_placed(&mut self, seq: u64, why: Option<String>) {
        let Some(why) = why else { return self.on_settled(seq, Ok(())) };
        let (server, sender) = (self.server.clone(), self.sender.clone());
        self.errands.spawn(async move {
            let is_open = loop {
                match server.is_open(seq).await {
                    Ok(is_open) => break is_open,
                    Err(_) => tokio::time::sleep(AGAIN_AFTER).await,
                }
            };
            let _ = sender.send(match is_open {
                true => News::Unplaced(seq, why),
                false => News::Settled(seq, Ok(())),
            });
        });
    }

    /// A file is lost, or its place cannot be written: the result is corrected.
    pub(super) fn correct(&mut self, seq: u64, why: &str) {
        let execution = self.server.unique();
        let Some(held) = self.held.get(seq) else { return };
        let Phase::Placing(finished, number) = held.phase.clone() else { return };
        let outputs = finished.outputs.clone();
        let record = ResultRecord {
            state: TaskState::Failed,
            cause: Some(shortened(why)),
            status: -1,
            file: None,
            execution,
            ..finished.record.clone()
        };
        let corrected = Finished { record, outputs, is_of_runner: false, _room: None };
        self.deliver(seq, Arc::new(corrected), number);
    }

    /// The result of a task is on the server, and its file in its place: that is acknowledged.
    pub(super) fn on_settled(&mut self, seq: u64, settled: Result<(), String>) {
        let Some(held) = self.held.remove(seq) else { return };
        if held.is_kept {
            self.forget_kept(seq);
        }
        let answer = match settled {
            Ok(()) => "+ACK".to_owned(),
            Err(why) => {
                self.say(&format!("task {seq}: {why}"));
                format!("-NAK {{\"delay\": {}}}", AGAIN_AFTER.as_nanos())
            }
        };
        let server = self.server.clone();
        self.errands.spawn(async move { server.tell(held.reply, answer).await });
    }
}

/// A text without what is too much of it.
fn shortened(text: &str) -> String {
    match text.char_indices().take_while(|(at, _)| *at < CAUSE_AT_MOST).last() {
        Some((at, last)) if at + last.len_utf8() < text.len() => {
            format!("{}...", &text[..at + last.len_utf8()])
        }
        _ => text.to_owned(),
    }
}
