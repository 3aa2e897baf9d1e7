//! `--out`: each task writes a file of its own, which is renamed to its place when the task has
//! succeeded. Only complete files are ever seen there, and of two attempts of a task only one.
//! This file decides when; the thread in `output/files/committer.rs` renames.
//!
//! From its publication to its outcome, an attempt owns its temporary file. If it has succeeded,
//! the [`Committer`] owns the file until the rename. An attempt that was stopped is dead before its
//! task is published again, and the next attempt uses another name.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use msup_protocol::codec::{self, OutcomeFrame, Stream, Verdict};
use msup_protocol::crash;

use crate::engine::{Earlier, Engine, Event, Input, Killed, TaskRecord, has_succeeded};
use crate::journal::claims::Placed;
use crate::journal::{Bytes, Intent, Made};
use crate::os::leftovers::remove;
use crate::output::files::committer::{CommitReport, Committer, Pair};
use crate::output::files::error::FileError;
use crate::template::{OutFile, OutFiles};

use crate::output::files::places::Key;
use crate::run::run_log::RunLog;

pub(super) use crate::output::files::places::Places;

/// The files that tasks make.
pub(super) struct Commits {
    template: OutFiles,
    committer: Committer,
    places: Places,
    /// Which task makes which file.
    makers: HashMap<Key, u64>,
    /// Files that attempts write, or have written, by their task slots; and whether the journal
    /// says that they are about to be placed.
    begun: HashMap<u16, (Pair, bool)>,
    /// The files that attempts have written, as they are before they are placed.
    made: HashMap<u16, Made>,
    /// Outcomes of attempts whose files are being placed.
    held: HashMap<u16, Event>,
    /// Files that are placed as soon as the journal says so.
    intended: Vec<u16>,
    /// Temporary files that are removed as soon as the journal says that they are not placed: an
    /// intent without its temporary file means that it was.
    void: Vec<PathBuf>,
    /// How many files another start of the shard has placed first.
    made_elsewhere: u64,
    /// A node decides whether files are placed: tasks finish before that.
    by_order: bool,
}

impl Commits {
    /// `by_order`: a node decides whether files are placed.
    pub(super) fn new(
        template: OutFiles,
        places: Places,
        committer: Committer,
        by_order: bool,
    ) -> Commits {
        Commits {
            template,
            committer,
            places,
            makers: HashMap::new(),
            begun: HashMap::new(),
            made: HashMap::new(),
            held: HashMap::new(),
            intended: Vec::new(),
            void: Vec::new(),
            made_elsewhere: 0,
            by_order,
        }
    }

    /// The file that the attempt in this slot has made, which has succeeded: it waits for an order
    /// of the node.
    pub(super) fn take_secured(&mut self, slot: u16) -> Option<(Pair, Made)> {
        let made = self.made.remove(&slot)?;
        self.begun.remove(&slot).map(|(pair, _)| (pair, made))
    }

    /// What is said of files that another start of the shard has made, if there are any.
    pub(super) fn remark(&self) -> Option<String> {
        match self.made_elsewhere {
            0 => None,
            1 => Some(
                "another start of this shard has made 1 file: the copy made here was \
                       removed"
                    .into(),
            ),
            n => Some(format!(
                "another start of this shard has made {n} files: the copies made here were removed"
            )),
        }
    }

    /// Refuses a task that would make no file, or one that another task makes. `seq` is its number.
    pub(super) fn claim(&mut self, input: &mut Input, seq: u64) {
        if let Earlier::Refused(_) = input.earlier {
            // It makes no file: another task may.
            return;
        }
        let file = self.template.file(&input.value, seq).map_err(FileError::from);
        let claimed = file.and_then(|file| {
            let Some(file) = file else { return Ok(()) };
            self.places.sweep(&file);
            self.reserve(&file, seq)
        });
        // A finished task was judged before.
        let is_open = matches!(input.earlier, Earlier::Nothing | Earlier::Tried(_));
        if let Err(why) = claimed
            && is_open
        {
            input.earlier = Earlier::Refused(why.to_string());
        }
    }

    /// The file of this value is made by another shard.
    pub(super) fn leave(&mut self, value: &[u8], seq: u64) {
        if let Ok(Some(file)) = self.template.file(value, seq) {
            // If a task before it makes the same file, its own shard says so.
            let _ = self.reserve(&file, seq);
        }
    }

    /// Makes sure that no other task makes this file.
    fn reserve(&mut self, file: &OutFile, seq: u64) -> Result<(), FileError> {
        let first = *self.makers.entry(self.places.key(file)).or_insert(seq);
        if first == seq { Ok(()) } else { Err(FileError::Taken { path: file.path(), first }) }
    }

    /// A task has finished, and may be run again under another number: a temporary output of a
    /// pipeline is needed once more.
    pub(super) fn give_up(&mut self, value: &[u8], seq: u64) {
        let Ok(Some(file)) = self.template.file(value, seq) else { return };
        let key = self.places.key(&file);
        if self.makers.get(&key) == Some(&seq) {
            self.makers.remove(&key);
        }
    }

    /// The file that the task's next attempt writes, in an existing folder, if it makes one.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn begin(
        &mut self,
        slot: u16,
        task: &TaskRecord,
    ) -> Result<Option<PathBuf>, FileError> {
        let Some(file) = self.template.file(&task.value, task.seq)? else { return Ok(None) };
        let temporary = self.places.prepare(&file, task.seq, task.attempt)?;
        // Now that its folder exists, it may turn out to be that of another task.
        self.reserve(&file, task.seq)?;
        let pair = Pair { slot, temporary: temporary.clone(), target: file.path() };
        self.begun.insert(slot, (pair, false));
        Ok(Some(temporary))
    }

    /// Whether the task in this slot has finished except for its file.
    pub(super) fn is_under_way(&self, slot: u16) -> bool {
        self.held.contains_key(&slot)
    }

    /// Holds back the outcomes of successful attempts, until their files are in their places.
    pub(super) fn hold(&mut self, events: &mut Vec<Event>) {
        let (to_hold, others) = std::mem::take(events).into_iter().partition(|event| {
            let Event::Collected { slot, outcome, killed, .. } = event else { return false };
            if self.by_order && outcome.emitted != Stream::nothing() {
                // It has failed: tasks of a queue add no others.
                return false;
            }
            // A stopped attempt may have stopped half-way, whatever its exit status.
            matches!(killed, None | Some(Killed::Leftovers))
                && has_succeeded(&outcome.verdict)
                && self.begun.contains_key(slot)
        });
        *events = others;
        let to_hold: Vec<Event> = to_hold;
        for event in to_hold {
            if let Event::Collected { slot, .. } = event
                && let Some((pair, _)) = self.begun.get(&slot)
            {
                self.committer.secure(pair.clone());
                self.held.insert(slot, event);
            }
        }
    }

    /// Takes in the committer's reports: outcomes that were held back follow.
    pub(super) fn look(&mut self, engine: &Engine, log: &mut RunLog, events: &mut Vec<Event>) {
        for report in self.committer.reports() {
            self.take(report, engine, log, events);
        }
        if log.is_lost() {
            for slot in std::mem::take(&mut self.intended) {
                self.release(slot, Err(FileError::JournalLost), events);
            }
        }
        if engine.is_stopped() && log.is_full() {
            self.abandon(engine, log, events);
        }
    }

    /// What is in the journal's buffer cannot be written, and a run that stops does not wait for
    /// that: these files are not placed, and their tasks run again.
    fn abandon(&mut self, engine: &Engine, log: &mut RunLog, events: &mut Vec<Event>) {
        for slot in std::mem::take(&mut self.intended) {
            engine.task(slot).into_iter().for_each(|task| log.void(task));
            let Some(mut event) = self.held.remove(&slot) else { continue };
            if let Event::Collected { killed, .. } = &mut event {
                *killed = Some(Killed::Stopped);
            }
            events.push(event);
        }
    }

    fn take(
        &mut self,
        report: CommitReport,
        engine: &Engine,
        log: &mut RunLog,
        events: &mut Vec<Event>,
    ) {
        match report {
            CommitReport::Secured(slot, Ok(made)) => {
                // CRASH: secured_before_intent. A temporary file, which the next generation
                // removes.
                crash::point("secured_before_intent");
                let Some((pair, is_intended)) = self.begun.get_mut(&slot) else { return };
                self.made.insert(slot, made);
                if self.by_order {
                    return self.release(slot, Ok(()), events);
                }
                if let (Some(task), Some(Event::Collected { outcome, .. })) =
                    (engine.task(slot), self.held.get(&slot))
                {
                    log.intend(intent((pair, made), task, outcome));
                    *is_intended = true;
                    self.intended.push(slot);
                }
            }
            CommitReport::Placed(slot, Ok(placed)) => {
                self.made_elsewhere += u64::from(placed == Placed::Elsewhere);
                self.begun.remove(&slot);
                self.release(slot, Ok(()), events);
            }
            CommitReport::Placed(slot, Err(why)) => {
                // Journaled before its end, which may have to wait until its output has been shown.
                if let Some(task) = engine.task(slot) {
                    log.void(task);
                }
                self.release(slot, Err(why), events);
            }
            CommitReport::Secured(slot, Err(why)) => self.release(slot, Err(why), events),
            CommitReport::JournalLost(why) => events.push(Event::JournalLost(why.to_string())),
        }
    }

    /// Intents and voids are journaled: they are carried out.
    pub(super) fn carry_out(&mut self) {
        for slot in self.intended.drain(..) {
            if let Some((pair, _)) = self.begun.get(&slot) {
                self.committer.place(pair.clone());
            }
        }
        self.void.drain(..).for_each(|temporary| self.committer.remove(temporary));
    }

    /// Waits for all files on their way. If the journal cannot be written, tasks whose files are
    /// not placed run again.
    pub(super) fn settle(&mut self, engine: &Engine, log: &mut RunLog, events: &mut Vec<Event>) {
        while !self.held.is_empty() {
            log.flush();
            if log.is_sound() {
                self.carry_out();
            } else {
                for slot in std::mem::take(&mut self.intended) {
                    self.held.remove(&slot);
                    engine.task(slot).into_iter().for_each(|task| log.void(task));
                }
                if self.held.is_empty() {
                    return;
                }
            }
            let Some(report) = self.committer.wait() else { return };
            self.take(report, engine, log, events);
        }
    }

    /// The file that the last attempt in this slot has made.
    pub(super) fn take_made(&mut self, slot: u16) -> Option<Made> {
        self.made.remove(&slot)
    }

    /// The attempt in this slot is over: its file is removed, unless it was placed.
    pub(super) fn forget(&mut self, slot: u16) {
        match self.begun.remove(&slot) {
            Some((pair, true)) => self.void.push(pair.temporary),
            Some((pair, false)) => remove(&pair.temporary),
            None => {}
        }
    }

    /// All attempts are over.
    pub(super) fn forget_all(&mut self) {
        let slots: Vec<u16> = self.begun.keys().copied().collect();
        slots.into_iter().for_each(|slot| self.forget(slot));
    }

    /// The run is over, and the journal is complete.
    pub(super) fn finish(&mut self) {
        self.carry_out();
        self.committer.finish();
        self.places.leave();
    }

    fn release(&mut self, slot: u16, done: Result<(), FileError>, events: &mut Vec<Event>) {
        let Some(mut event) = self.held.remove(&slot) else { return };
        if let (Event::Collected { outcome, .. }, Err(why)) = (&mut event, done) {
            outcome.verdict = Verdict::Trouble(why.to_string());
        }
        events.push(event);
    }
}

fn intent((pair, made): (&Pair, Made), task: &TaskRecord, outcome: &OutcomeFrame) -> Intent {
    let [seconds, cpu] = [outcome.wall_ns, outcome.usage.cpu_ns].map(|ns| ns as f64 / 1e9);
    let len = |stream: &Stream| match stream {
        Stream::Here(bytes) => bytes.len() as u64,
        Stream::File(left) => left.len,
    };
    let emitted = match &outcome.emitted {
        Stream::Here(bytes) => codec::values(bytes),
        Stream::File(_) => None,
    };
    Intent {
        seq: task.seq,
        value: Bytes(task.value.clone()),
        attempt: task.attempt,
        temporary: Bytes(pair.temporary.as_os_str().as_bytes().to_vec()),
        printed: len(&outcome.stdout) + len(&outcome.stderr),
        seconds,
        cpu,
        emitted: emitted.into_iter().flatten().map(Bytes).collect(),
        made: Some(made),
    }
}
