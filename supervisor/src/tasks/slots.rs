//! The supervisor's side of the task slots: tasks on their way to workers, and outcomes on their
//! way back.

mod collecting;
mod descriptions;
mod publications;

use std::collections::HashMap;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use msup_protocol::audit::Violation;
use msup_protocol::codec::{
    self, CodecError, OutOfRange, OutcomeFrame, STREAMS, Stream, TaskFrame, Work,
};
use msup_protocol::park::Futex;
use msup_protocol::segment::Segment;
use msup_protocol::task::{Garbled, TooLong};
use serde_bytes::ByteBuf;

use super::frames::{OfRun, work};
use crate::engine::TaskRecord;
use crate::journal::{Details, KeptFor};
use crate::os::run_folder::create_file;
use crate::output::{Delivery, OpenOnes, Piece, Spilled};
use crate::template::{Job, LooksTemplate, OutFiles, Surroundings, Totals};
use publications::{Publication, Publications};

/// Device, inode number, and creation time where the file system records it.
type Identity = (u64, u64, Option<SystemTime>);

/// The supervisor's side of the task slots.
pub(crate) struct Queue {
    segment: Arc<Segment>,
    folder: PathBuf,
    /// What is done with each value.
    work: OfWork,
    /// The files that commands make, if they do.
    out: Option<OutFiles>,
    /// How the lines of outputs look.
    looks: LooksTemplate,
    /// What commands may show of the run.
    pub(crate) totals: Totals,
    publications: Publications,
    frame: Vec<u8>,
    /// Outputs in files, by the slots whose attempts wrote them.
    spilled: HashMap<u16, [Option<Spilled>; STREAMS]>,
    open_ones: OpenOnes,
    /// The folder's identity: tasks may remove the folder, and then it is made again. `None` once
    /// that was reported.
    folder_was: Option<Identity>,
    /// A message to show, if there is one.
    pub(crate) notice: Option<String>,
    /// A finding that no process that keeps to the protocol can have written.
    pub(crate) violation: Option<Violation>,
}

/// What is done with each value, and where and how commands run.
#[derive(Debug)]
pub(crate) struct OfWork {
    pub(crate) job: Job,
    pub(crate) surroundings: Surroundings,
    /// Whether commands are written into their outputs, and to standard error at once.
    pub(crate) announced: [bool; 2],
    /// Bytes of memory that each command may have, 0 for no limit.
    pub(crate) memory: u64,
}

/// Why a task cannot be published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    #[error(transparent)]
    Frame(#[from] CodecError),
    #[error(transparent)]
    Cell(#[from] TooLong),
    /// Of a task that is too large for its slot.
    #[error("cannot keep a large task in {name}: {why}")]
    File {
        name: String,
        #[source]
        why: io::Error,
    },
}

/// Why what stands in a task slot is no outcome.
#[derive(Debug, thiserror::Error)]
enum OutcomeError {
    #[error(transparent)]
    Cell(#[from] Garbled),
    #[error(transparent)]
    Frame(#[from] CodecError),
    #[error(transparent)]
    Number(#[from] OutOfRange),
    #[error("malformed values of more tasks")]
    Values,
}

impl Queue {
    pub(crate) fn new(
        segment: Arc<Segment>,
        folder: PathBuf,
        work: OfWork,
        (out, looks): (Option<OutFiles>, LooksTemplate),
    ) -> Queue {
        let publications = Publications::new(segment.sizes().tasks as usize);
        let (frame, violation, notice) = (Vec::new(), None, None);
        let (spilled, open_ones) = Default::default();
        let folder_was = identity(&folder);
        let totals = Totals { tasks: 0, slots: segment.sizes().workers };
        Queue {
            segment,
            folder,
            work,
            out,
            looks,
            totals,
            publications,
            frame,
            spilled,
            open_ones,
            folder_was,
            notice,
            violation,
        }
    }

    /// From now on tasks go through this segment.
    pub(crate) fn renew(&mut self, segment: Arc<Segment>, folder: PathBuf) {
        (self.segment, self.folder) = (segment, folder);
        self.folder_was = identity(&self.folder);
        self.publications.renew();
        self.violation = None;
    }

    /// Puts a task into its slot; the file that it makes is written to `out`.
    ///
    /// # Errors
    /// [`PublishError`].
    pub(crate) fn publish(
        &mut self,
        slot: u16,
        task: &TaskRecord,
        out: Option<&Path>,
    ) -> Result<(), PublishError> {
        let segment = Arc::clone(&self.segment);
        let tasks = segment.shared().tasks;
        // From here on the slot's files are this task's, even if it cannot be published.
        let publication = tasks.next_publication(slot);
        let TaskRecord { seq, attempt, .. } = *task;
        self.publications.publish(slot, publication, KeptFor::new(seq, &task.value, attempt));
        let frame = TaskFrame { seq, attempt, work: self.work(task, out) };
        codec::encode(&frame, &mut self.frame)?;
        if tasks.write(slot, &self.frame).is_err() {
            self.publications[slot].in_file = true;
            let name = codec::task_file(slot, publication);
            create_file(&self.folder.join(&name))
                .and_then(|mut file| file.write_all(&self.frame))
                .map_err(|why| PublishError::File { name, why })?;
            self.look_at_folder();
            // An empty frame says: look into the file.
            tasks.write(slot, &[])?;
        }
        if tasks.publish(slot) != Some(publication) {
            // The slot was not in the state in which we had left it.
            self.violation = Some(Violation::new("task slot", slot, tasks.sighted(slot)));
        }
        Ok(())
    }

    fn work(&self, task: &TaskRecord, out: Option<&Path>) -> Work {
        let OfWork { job, surroundings, announced, memory } = &self.work;
        let (memory, announced) = (*memory, *announced);
        let (totals, folder) = (self.totals, &self.folder);
        let given = OfRun { memory, totals, surroundings, folder, announced };
        work(job, task, out, &given, || self.describe(&task.value, task.seq))
    }

    /// Announces published tasks to workers.
    pub(crate) fn announce(&self) {
        let shared = self.segment.shared();
        shared.pass_on(&Futex, None);
        shared.watch.token_wanted(&Futex);
    }

    /// Withdraws the slot's task; returns whether that succeeded.
    pub(crate) fn withdraw(&mut self, slot: u16) -> bool {
        let withdrawn = self.segment.shared().tasks.withdraw(slot);
        if withdrawn {
            self.forget_task_file(slot);
        }
        withdrawn
    }

    /// Reports once if the folder has been made again.
    fn look_at_folder(&mut self) {
        let now = identity(&self.folder);
        if self.folder_was.is_none() || now.is_none() || now == self.folder_was {
            return;
        }
        self.folder_was = None;
        let folder = self.folder.display();
        self.notice = Some(format!(
            "something has removed the run's folder {folder} (TMPDIR): it was made again"
        ));
    }

    /// The folder and the names of the files that the attempt in this slot writes.
    pub(crate) fn files_of(&self, slot: u16) -> (&Path, [String; STREAMS]) {
        (&self.folder, codec::stream_files(slot, self.publications[slot].number))
    }

    /// A task's output, for the writer.
    pub(crate) fn delivery(
        &mut self,
        seq: u64,
        slot: u16,
        outcome: Option<Box<OutcomeFrame>>,
    ) -> Delivery {
        let Some(outcome) = outcome else {
            self.discard(slot);
            return Delivery::nothing(seq, seq);
        };
        let [out, err, res, _] = self.spilled.remove(&slot).unwrap_or_default();
        let piece = |stream, spilled: Option<Spilled>| match (stream, spilled) {
            (Stream::Here(bytes), _) => Piece::Bytes(ByteBuf::into_vec(bytes)),
            (Stream::File(_), Some(spilled)) => Piece::File(spilled),
            // Without a file there was no outcome.
            (Stream::File(_), None) => Piece::Bytes(Vec::new()),
        };
        let (stdout, stderr) = (piece(outcome.stdout, out), piece(outcome.stderr, err));
        let (result, writer) = (piece(outcome.result, res), Some(self.publications[slot].writer));
        Delivery { stdout, stderr, result, writer, ..Delivery::nothing(seq, seq) }
    }

    /// The details of the attempt in this slot, which is over; once.
    pub(crate) fn take_details(&mut self, slot: u16) -> Option<Details> {
        self.publications[slot].details.take()
    }

    /// The attempt in this slot was lost with its worker: what else is known of it.
    pub(crate) fn note_loss(&mut self, slot: u16, details: Details) {
        self.publications[slot].details = Some(details);
    }

    /// Bytes of memory that each command may have, if that is limited.
    pub(crate) fn memory_per_task(&self) -> Option<u64> {
        Some(self.work.memory).filter(|bytes| *bytes > 0)
    }

    /// Removes the files that the slot's last attempt wrote or was to read.
    pub(crate) fn discard(&mut self, slot: u16) {
        self.forget_task_file(slot);
        self.spilled.remove(&slot);
        for name in codec::stream_files(slot, self.publications[slot].number) {
            // Mostly there is none.
            let _ = std::fs::remove_file(self.folder.join(name));
        }
    }

    fn forget_task_file(&self, slot: u16) {
        let Publication { number, in_file, .. } = self.publications[slot];
        if in_file {
            let _ = std::fs::remove_file(self.folder.join(codec::task_file(slot, number)));
        }
    }
}

/// Decodes an outcome, if it is one and every number in it is possible.
fn understand(frame: &[u8]) -> Result<OutcomeFrame, OutcomeError> {
    let outcome: OutcomeFrame = codec::decode(frame)?;
    outcome.check()?;
    if let Stream::Here(bytes) = &outcome.emitted {
        codec::values(bytes).ok_or(OutcomeError::Values)?;
    }
    Ok(outcome)
}

/// The identity of a folder: a new folder may have the inode number of a removed one, but it was
/// created later.
fn identity(folder: &Path) -> Option<Identity> {
    std::fs::metadata(folder).ok().map(|meta| (meta.dev(), meta.ino(), meta.created().ok()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use msup_protocol::codec::{LeftFile, Usage, Verdict};
    use proptest::prelude::*;

    use super::*;
    use crate::engine::{
        AtCap, Engine, Event, Input, Limits, Policy, StartRules, View, Window, is_answer,
    };
    use crate::measure::meter::Meter;

    #[test]
    fn a_folder_that_was_made_again_is_another_one_though_it_has_the_same_number() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("1");
        std::fs::create_dir(&folder).expect("new");
        let (before, began) = (identity(&folder).expect("there"), SystemTime::now());
        // The clock of the file system is coarser.
        while began.elapsed().is_ok_and(|elapsed| elapsed < Duration::from_millis(50)) {
            std::fs::remove_dir(&folder).expect("ours");
            std::fs::create_dir(&folder).expect("gone");
        }
        assert_ne!(identity(&folder).expect("there"), before);
    }

    /// Any number; small ones and the largest are more frequent.
    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![
            Just(0),
            Just(u64::MAX),
            Just(i64::MAX as u64),
            0..1_000_000_000u64,
            any::<u64>()
        ]
    }

    fn verdict() -> impl Strategy<Value = Verdict> {
        prop_oneof![
            Just(Verdict::Done),
            any::<String>().prop_map(Verdict::Failed),
            any::<String>().prop_map(Verdict::Panicked),
            any::<String>().prop_map(Verdict::Trouble),
            any::<u8>().prop_map(Verdict::Exited),
            any::<u8>().prop_map(Verdict::Signaled),
            any::<(i32, String)>().prop_map(|(errno, why)| Verdict::CannotStart(errno, why)),
        ]
    }

    fn stream() -> impl Strategy<Value = Stream> {
        let bytes = any::<Vec<u8>>().prop_map(|bytes| Stream::Here(bytes.into()));
        let file = number().prop_map(|len| Stream::File(LeftFile { len, ..LeftFile::default() }));
        prop_oneof![bytes, file]
    }

    prop_compose! {
        fn usage()(
            pid in any::<u32>(), wall_ns in number(), cpu_ns in number(), sleeps in number(),
            peak in number(), worker_ns in number(),
        ) -> Usage {
            Usage { pid, wall_ns, cpu_ns, sleeps, peak, worker_ns }
        }
    }

    prop_compose! {
        fn outcome()(
            verdict in verdict(), (began_ns, wall_ns) in (any::<u64>(), number()),
            usage in usage(), leaked in any::<bool>(),
            stdout in stream(), stderr in stream(),
        ) -> OutcomeFrame {
            let [result, emitted] = [(); 2].map(|()| Stream::nothing());
            OutcomeFrame {
                verdict, began_ns, wall_ns, usage, leaked, stdout, stderr, result, emitted,
            }
        }
    }

    fn engine(tasks: usize) -> Engine {
        let limits = Limits {
            worker_program: "worker".into(),
            procs: 2,
            max_workers: 4,
            task_slots: tasks,
            most_published: tasks,
            idle_timeout: Duration::from_secs(10),
            at_cap: AtCap::Wait,
            admits: true,
            has_client: false,
            longest_first: false,
            needs_total: false,
            starts: StartRules::default(),
            memory: Some(1 << 30),
            policy: Policy::default(),
            seed: 1,
        };
        let mut engine = Engine::new(limits);
        let input = |n: usize| Input { value: n.to_string().into(), ..Input::default() };
        let now = Duration::ZERO;
        engine.step(Event::Inputs((0..tasks).map(input).collect()), now, &mut Vec::new());
        engine.step(Event::InputsEnded, now, &mut Vec::new());
        engine
    }

    proptest! {
        /// An outcome that a worker reports is either refused, or all code that uses it can handle
        /// it.
        #[test]
        fn any_outcome_is_refused_or_reckoned_with(
            outcomes in proptest::collection::vec(outcome(), 1..20),
        ) {
            let (mut engine, mut meter) = (engine(4), Meter::new(2, 4, true, None));
            let (mut now, mut frame) = (Duration::from_millis(10), Vec::new());
            for (nth, outcome) in outcomes.into_iter().enumerate() {
                now += Duration::from_millis(50);
                codec::encode(&outcome, &mut frame).expect("small");
                let Ok(outcome) = understand(&frame) else { continue };
                meter.ended(&outcome.usage, is_answer(&outcome.verdict));
                let slot = nth as u16 % 4;
                let starved = nth % 3 == 0;
                let outcome = Box::new(outcome);
                let event = Event::Collected { slot, outcome, starved, killed: None };
                engine.step(event, now, &mut Vec::new());
                let span = Duration::from_millis(50);
                let window = Window { span, used: span, in_flight: 4, ..Window::default() };
                engine.step(Event::Measured(window), now, &mut Vec::new());
                engine.step(Event::Looked(View::default()), now, &mut Vec::new());
            }
            prop_assert!(engine.tally().busy < Duration::from_secs(20 * 1_000_000_000));
        }

        /// The same holds for an outcome damaged on its way.
        #[test]
        fn any_damage_to_an_outcome_is_survived(
            outcome in outcome(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
        ) {
            let mut frame = Vec::new();
            codec::encode(&outcome, &mut frame).expect("small");
            let at = at.index(frame.len());
            frame[at] = byte;
            let _ = understand(&frame);
            frame.truncate(at);
            let _ = understand(&frame);
        }
    }
}
