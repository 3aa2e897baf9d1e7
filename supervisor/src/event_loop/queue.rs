//! Tasks on their way to workers and outcomes on their way back.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use msup_protocol::audit::Violation;
use msup_protocol::codec::{self, OutcomeFrame, Stream, TaskFrame, Work};
use msup_protocol::env as names;
use msup_protocol::packed::WorkerId;
use msup_protocol::park::Futex;
use msup_protocol::segment::Segment;
use msup_protocol::task::State;
use serde_bytes::ByteBuf;

use crate::cli::{Facts, Job, OutTemplate, Template};
use crate::engine::{Event, TaskRecord};
use crate::output::{Delivery, Piece};

/// The supervisor's side of the task slots.
pub(super) struct Queue {
    segment: Arc<Segment>,
    folder: PathBuf,
    job: Job,
    /// The files that commands make, if they do.
    out: Option<OutTemplate>,
    /// Bytes of memory that each command may have, 0 for any number.
    memory: u64,
    /// The name of each slot's last publication, and whether its frame is in a file.
    publications: Vec<(u64, bool)>,
    frame: Vec<u8>,
    /// What was found that nobody can have written who keeps to the protocol.
    pub(super) violation: Option<Violation>,
}

impl Queue {
    pub(super) fn new(
        segment: Arc<Segment>,
        folder: PathBuf,
        job: Job,
        out: Option<OutTemplate>,
        memory: u64,
    ) -> Queue {
        let publications = vec![(0, false); segment.sizes().tasks as usize];
        let (frame, violation) = (Vec::new(), None);
        Queue { segment, folder, job, out, memory, publications, frame, violation }
    }

    /// From now on tasks go through this segment.
    pub(super) fn renew(&mut self, segment: Arc<Segment>, folder: PathBuf) {
        (self.segment, self.folder) = (segment, folder);
        self.publications.fill((0, false));
        self.violation = None;
    }

    /// Puts a task into its slot; what it makes, it writes to `out`.
    ///
    /// # Errors
    /// One line that says why it cannot be.
    pub(super) fn publish(
        &mut self,
        slot: u16,
        task: &TaskRecord,
        out: Option<&Path>,
    ) -> Result<(), String> {
        let tasks = self.segment.shared().tasks;
        // From here on the slot's files are this task's, also if it cannot be published.
        let publication = tasks.next_publication(slot);
        self.publications[usize::from(slot)] = (publication, false);
        let TaskRecord { seq, attempt, .. } = *task;
        let frame = TaskFrame { seq, attempt, work: work(&self.job, task, out, self.memory) };
        codec::encode(&frame, &mut self.frame).map_err(|why| why.to_string())?;
        if tasks.write(slot, &self.frame).is_err() {
            self.publications[usize::from(slot)].1 = true;
            let name = codec::task_file(slot, publication);
            std::fs::write(self.folder.join(&name), &self.frame)
                .map_err(|why| format!("cannot keep a large task in {name}: {why}"))?;
            // An empty frame says: look into the file.
            tasks.write(slot, &[]).map_err(|why| why.to_string())?;
        }
        if tasks.publish(slot) != Some(publication) {
            // We had not filled it.
            self.violation = Some(Violation::new("task slot", slot, tasks.sighted(slot)));
        }
        Ok(())
    }

    /// Tells workers that tasks were published.
    pub(super) fn announce(&self) {
        let shared = self.segment.shared();
        shared.pass_on(&Futex, None);
        shared.watch.token_wanted(&Futex);
    }

    /// Whether the slot's task could be taken back.
    pub(super) fn withdraw(&mut self, slot: u16) -> bool {
        let withdrawn = self.segment.shared().tasks.withdraw(slot);
        if withdrawn {
            self.forget_task_file(slot);
        }
        withdrawn
    }

    /// Collects what workers say is done.
    pub(super) fn collect(&mut self, events: &mut Vec<Event>) {
        let segment = Arc::clone(&self.segment);
        for slot in segment.shared().done.drain() {
            self.collect_one(slot, events);
        }
    }

    /// Collects everything of a dead worker: what it completed, and the slots of what it did not.
    pub(super) fn collect_from(&mut self, dead: WorkerId, events: &mut Vec<Event>) -> Vec<u16> {
        let segment = Arc::clone(&self.segment);
        let tasks = segment.shared().tasks;
        let mut claimed = Vec::new();
        for slot in 0..tasks.len() as u16 {
            let Some(seen) = tasks.sighted(slot).filter(|seen| seen.owner() == Some(dead)) else {
                continue;
            };
            if seen.state() == Some(State::Done) {
                self.collect_one(slot, events);
            } else if tasks.vacate(slot, seen) {
                self.forget_task_file(slot);
                claimed.push(slot);
            }
        }
        claimed
    }

    fn collect_one(&mut self, slot: u16, events: &mut Vec<Event>) {
        let tasks = self.segment.shared().tasks;
        // The bit is a hint; the word decides.
        let Some(seen) = tasks.sighted(slot).filter(|seen| seen.state() == Some(State::Done))
        else {
            return;
        };
        let read = tasks.read(slot, &mut self.frame).map_err(|why| why.to_string());
        let outcome = read.and_then(|()| {
            codec::decode::<OutcomeFrame>(&self.frame).map_err(|why| why.to_string())
        });
        match outcome {
            Ok(outcome) if tasks.vacate(slot, seen) => {
                self.forget_task_file(slot);
                events.push(Event::Collected { slot, outcome, starved: false, killed: None });
            }
            Ok(_) => self.violation = Some(Violation::new("task slot", slot, tasks.sighted(slot))),
            Err(why) => {
                self.violation = Some(Violation::new("the outcome in task slot", slot, why))
            }
        }
    }

    /// What a task wrote, for the writer.
    pub(super) fn delivery(&self, seq: u64, slot: u16, outcome: Option<OutcomeFrame>) -> Delivery {
        let Some(outcome) = outcome else {
            self.discard(slot);
            return Delivery::nothing(seq);
        };
        let [out, err] = codec::stream_files(slot, self.publications[usize::from(slot)].0);
        let piece = |stream, name| match stream {
            Stream::Here(bytes) => Piece::Bytes(ByteBuf::into_vec(bytes)),
            // The name is ours, and the file says how long it is.
            Stream::File(_) => {
                let path = self.folder.join(name);
                let len = std::fs::metadata(&path).map_or(0, |meta| meta.len());
                Piece::File(path, len)
            }
        };
        Delivery { seq, stdout: piece(outcome.stdout, out), stderr: piece(outcome.stderr, err) }
    }

    /// Bytes of memory that each command may have, if that is limited.
    pub(super) fn memory_per_task(&self) -> Option<u64> {
        Some(self.memory).filter(|bytes| *bytes > 0)
    }

    /// A task as a person could run it again: its command, or its value for task loops.
    pub(super) fn describe(&self, value: &[u8], seq: u64) -> Vec<u8> {
        match &self.job {
            Job::Commands(template) => {
                // As it would be run by hand: straight to where the file belongs.
                let out = self.out.as_ref().and_then(|out| out.file(value, seq).ok());
                let out = out.map(|file| file.path()).unwrap_or_default();
                template.display(value, Facts { seq, threads: 1, out: out.as_os_str().as_bytes() })
            }
            Job::Values => value.to_vec(),
        }
    }

    /// Removes what the slot's last attempt wrote to files, or was to read from one.
    pub(super) fn discard(&self, slot: u16) {
        self.forget_task_file(slot);
        for name in codec::stream_files(slot, self.publications[usize::from(slot)].0) {
            // Mostly there is none.
            let _ = std::fs::remove_file(self.folder.join(name));
        }
    }

    fn forget_task_file(&self, slot: u16) {
        let (publication, in_file) = self.publications[usize::from(slot)];
        if in_file {
            let _ = std::fs::remove_file(self.folder.join(codec::task_file(slot, publication)));
        }
    }
}

fn work(job: &Job, task: &TaskRecord, out: Option<&Path>, memory: u64) -> Work {
    match job {
        Job::Values => Work::Value(task.value.clone().into()),
        Job::Commands(template) => Work::Command(command(template, task, out, memory)),
    }
}

fn command(
    template: &Template,
    task: &TaskRecord,
    out: Option<&Path>,
    memory: u64,
) -> codec::Command {
    let path = out.unwrap_or(Path::new("")).as_os_str().as_bytes();
    let facts = Facts { seq: task.seq, threads: task.threads, out: path };
    let mut rendered = template.render(&task.value, facts);
    // A script that names it has it among its own variables.
    if out.is_some() && !rendered.env.iter().any(|(name, _)| name == names::OUT.as_bytes()) {
        rendered.env.push((names::OUT.into(), path.to_vec()));
    }
    codec::Command {
        argv: rendered.argv.into_iter().map(ByteBuf::from).collect(),
        env: rendered.env.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
        slot_marks: rendered.slot_marks.iter().map(|mark| (mark.arg, mark.at)).collect(),
        threads: task.threads,
        memory,
    }
}
