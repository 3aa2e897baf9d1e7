//! Opens the log of a run: of a new one, or of one that is resumed.

use std::collections::HashSet;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use msup_protocol::in_flight::InFlight;
use rustix::fs::OFlags;

use super::starts::{OtherStarts, this_generation};
use super::{RunLog, Stood};
use crate::cli::{Continued, Keeping, Retried};
use crate::engine::Input;
use crate::journal::entries::{KnownTasks, ended, tried};
use crate::journal::{
    Bytes, Durability, Folder, Journal, JournalError, Keeper, Kept, Known, Name, Opening, Past,
    Record, ShardFolder, State, runs,
};
use crate::os::files;
use crate::output::replay::Replay;
use crate::report::joblog::{Joblog, Sends};
use crate::run::error::RunError;
use crate::shard::Shard;

/// What the log needs to know of its run.
#[derive(Clone, Copy)]
pub(in crate::run) struct OfRun<'a> {
    pub(in crate::run) id: &'a str,
    /// Which share of the tasks it has, if not all.
    pub(in crate::run) shard: Option<Shard>,
    /// A digest of what it does with each value, if it is a shard.
    pub(in crate::run) work: &'a str,
    /// The number of task slots.
    pub(in crate::run) slots: u32,
    /// Outputs are kept however large they are.
    pub(in crate::run) keeps_all: bool,
    /// What commands read.
    pub(in crate::run) sends: Sends,
}

/// The result of opening: the log, messages about it, and tasks that are known beforehand.
pub(in crate::run) struct Opened {
    pub(in crate::run) log: RunLog,
    pub(in crate::run) words: Vec<String>,
    pub(in crate::run) inputs: Vec<Input>,
    /// The largest number of an emitted task that is not run now, if there is one: a retry runs
    /// finished ones only.
    pub(in crate::run) last_emitted: Option<u64>,
    /// The file in which workers note what they take up.
    pub(in crate::run) in_flight: Option<PathBuf>,
    /// What it shares with other starts of its shard, if it is one.
    pub(in crate::run) others: Option<OtherStarts>,
}

impl RunLog {
    /// `joblog`: the file, and whether it is one of a run that goes on.
    ///
    /// # Errors
    /// The journal or the joblog cannot be used.
    pub(in crate::run) fn open(
        keeping: Keeping,
        run: &OfRun<'_>,
        joblog: Option<(&Path, bool)>,
        describe: impl Fn(&[u8], u64) -> Vec<u8>,
        doorbell: OwnedFd,
    ) -> Result<Opened, RunError> {
        let log = RunLog::default();
        let (words, inputs) = (Vec::new(), Vec::new());
        let (last_emitted, in_flight, others) = (None, None, None);
        let mut opened = Opened { log, words, inputs, last_emitted, in_flight, others };
        let continues = matches!(keeping, Keeping::Continued { .. });
        if let Some((path, adds)) = joblog {
            // Checked before anything is made, but emptied last: a failed start changes nothing.
            Joblog::check(path, adds)?;
        }
        match keeping {
            Keeping::Nowhere => {}
            Keeping::New { place, shard, order, arguments, spools, durability } => {
                let named = place.is_some();
                let arguments = arguments.into_iter().map(Bytes).collect();
                let what = (arguments, spools, durability);
                let begun = match (place, shard) {
                    (Some(shared), Some(shard)) => {
                        let place = ShardFolder::of(&shared, shard);
                        opened.begin_start(&place, order, run, what, &describe, doorbell)
                    }
                    (place, _) => {
                        let usual = || runs::new_folder(run.id);
                        let folder = place.map_or_else(usual, |place| Ok(Folder::at(place)));
                        folder.and_then(|folder| opened.begin(folder, order, run, what, doorbell))
                    }
                };
                match begun {
                    Ok(()) => {}
                    Err(why) if named => return Err(RunError::NamedJournal(why)),
                    Err(why) => opened.words.push(format!(
                        "no journal is kept, so this run cannot be resumed: {}; --no-journal \
                         silences this",
                        runs::explain(&why)
                    )),
                }
            }
            Keeping::Continued { continued, durability } => {
                opened.go_on(*continued, durability, run, &describe, doorbell)?;
            }
        }
        if let Some((path, adds)) = joblog {
            let mut joblog = Joblog::open(path, adds, run.sends)?;
            if let Some(folder) = opened.log.folder.as_ref().filter(|_| continues) {
                joblog.restore(folder, &describe)?;
            }
            opened.log.joblog = Some(joblog);
        }
        Ok(opened)
    }
}

impl Opened {
    /// Begins the journal of a new run.
    pub(super) fn begin(
        &mut self,
        folder: Folder,
        order: u64,
        run: &OfRun<'_>,
        (arguments, spools, durability): (Vec<Bytes>, bool, Durability),
        doorbell: OwnedFd,
    ) -> Result<(), JournalError> {
        let (folder, locks) = folder.begin(order)?;
        let kept = folder.clone();
        let file = folder.create_outputs()?;
        let outputs = Some(file.try_clone().map_err(JournalError::at(&kept.outputs()))?);
        let keeper = Keeper::new(file, 0, run.id, run.keeps_all);
        let (next, whole) = (1, 0);
        let opening = Opening { folder, locks, next, whole, outputs, spools, durability };
        let this = this_generation(run, 1, arguments)?;
        let journal = Journal::open(opening, Vec::new(), this, doorbell)?;
        self.make_room(&kept, run);
        let log = &mut self.log;
        (log.journal, log.folder, log.keeper) = (Some(journal), Some(kept), Some(keeper));
        Ok(())
    }

    /// Resumes a run.
    fn go_on(
        &mut self,
        continued: Continued,
        durability: Durability,
        run: &OfRun<'_>,
        describe: impl Fn(&[u8], u64) -> Vec<u8>,
        doorbell: OwnedFd,
    ) -> Result<(), JournalError> {
        let Continued { folder, locks, mut past, retried, ended, cut_off, missing, .. } = continued;
        let outputs = Outputs::of(&folder, run)?;
        let place = folder.clone();
        let noted = in_flight(&place, run).and_then(|file| file.read().ok().flatten());
        let of_before = past.cut_off(noted.as_deref());
        let settled = past.settle(&outputs.kept)?;
        self.words.extend(remarks(&past, ended, missing));
        self.words.extend(outputs.lost(&past));
        let generation = past.generations + 1;
        let (next, whole) = (past.condition.next, past.condition.whole);
        let (spools, synced) = (false, outputs.file()?);
        let opening = Opening { folder, locks, next, whole, outputs: synced, spools, durability };
        let this = this_generation(run, generation, past.run.arguments.clone())?;
        let mut journal = Journal::open(opening, of_before, this, doorbell)?;
        // The journal says what the notes said.
        self.make_room(&place, run);
        journal.settle(settled)?;
        let log = &mut self.log;
        log.keeper = outputs.keeper(run)?;
        (log.is_cut_off, log.missing) = (cut_off, missing);
        log.replay = outputs.shown_again(&mut past, continued.replays, &describe)?;
        if let Some(retried) = retried {
            // Unfinished tasks are not run.
            let complete = matches!(past.finished, Some((_, true))) || past.leaves_nothing();
            log.retries = Some(Stood { complete, halted: past.halted, retried });
            self.last_emitted = past.added().last().map(|(seq, _)| *seq);
            let again = Retries::of(past, retried, &describe);
            self.words.extend(again.left());
            again.moved.iter().for_each(|moved| journal.note(moved));
            if let Some(replay) = &mut log.replay {
                let names = again.shown.iter();
                names.for_each(|(seq, (before, value))| {
                    replay.found(*seq, (*before, describe(value, *before)));
                });
            }
            self.inputs = again.inputs;
        } else {
            let added = past.added();
            log.known = Some(KnownTasks::of(past, &describe));
            let inputs = added.into_iter().map(|(seq, value)| {
                let earlier = log.earlier(seq, &value, || describe(&value, seq));
                Input { value, seq: Some(seq), earlier, ..Input::default() }
            });
            self.inputs = inputs.collect();
        }
        (log.journal, log.folder) = (Some(journal), Some(place));
        Ok(())
    }

    /// Makes room for every task slot in the file of workers' notes. Where that fails, a later
    /// generation assumes that all published attempts have started.
    fn make_room(&mut self, folder: &Folder, run: &OfRun<'_>) {
        let file = in_flight(folder, run).filter(|file| file.clear(run.slots).is_ok());
        self.log.slots = u16::try_from(run.slots).unwrap_or(u16::MAX);
        self.in_flight = file.is_some().then(|| folder.in_flight());
        if file.is_none() {
            let _ = std::fs::remove_file(folder.in_flight());
        }
        self.log.in_flight = file;
    }
}

fn in_flight(folder: &Folder, run: &OfRun<'_>) -> Option<InFlight> {
    let file = files::open_own(&folder.in_flight(), OFlags::RDWR | OFlags::CREATE);
    Some(InFlight::new(file.ok()?, run.id.as_bytes()))
}

/// The outputs that earlier generations have kept.
struct Outputs {
    /// Their file, if they were kept from the beginning.
    file: Option<File>,
    path: PathBuf,
    kept: Kept,
}

impl Outputs {
    /// Of the run in this folder. The torn end of the last write is cut off before anything is
    /// added.
    fn of(folder: &Folder, run: &OfRun<'_>) -> Result<Outputs, JournalError> {
        let (path, file) = (folder.outputs(), folder.open_outputs()?);
        let mut kept = Kept::default();
        if let Some(file) = &file {
            kept = Kept::read(file, run.id).map_err(JournalError::at(&path))?;
            file.set_len(kept.whole).map_err(JournalError::at(&path))?;
        }
        Ok(Outputs { file, path, kept })
    }

    fn file(&self) -> Result<Option<File>, JournalError> {
        let file = self.file.as_ref().map(File::try_clone);
        file.transpose().map_err(JournalError::at(&self.path))
    }

    /// Continues to keep outputs.
    fn keeper(&self, run: &OfRun<'_>) -> Result<Option<Keeper>, JournalError> {
        Ok(self.file()?.map(|file| Keeper::new(file, self.kept.whole, run.id, run.keeps_all)))
    }

    /// What is said of those that wait to be shown and cannot be.
    fn lost(&self, past: &Past) -> Option<String> {
        Some(match past.lost_outputs(&self.kept) {
            0 => return None,
            1 => "the output of 1 task was not shown and is damaged or gone: this task must run \
                  again"
                .to_owned(),
            n => format!(
                "the outputs of {n} tasks were not shown and are damaged or gone: these tasks \
                 must run again"
            ),
        })
    }

    /// What this generation shows of them: what was not shown, and where it `replays`, everything.
    fn shown_again(
        mut self,
        past: &mut Past,
        replays: bool,
        describe: impl Fn(&[u8], u64) -> Vec<u8>,
    ) -> Result<Option<Replay>, JournalError> {
        let unshown = past.take_unshown(&self.kept);
        let Some(file) = self.file else {
            return if replays { Err(JournalError::NoOutputs(self.path)) } else { Ok(None) };
        };
        if !replays && unshown.is_empty() {
            return Ok(None);
        }
        self.kept.lack(past.unkept());
        let finished = past.last_attempts();
        Ok(Some(Replay::new(file, &self.kept, finished, unshown, replays, describe)))
    }
}

fn remarks(past: &Past, ended: usize, missing: u64) -> Vec<String> {
    let mut words = Vec::new();
    let damaged = past.condition.damaged;
    if damaged > 0 {
        let (is, its) = match damaged {
            1 => ("line of the journal is", "its task is"),
            _ => ("lines of the journal are", "their tasks are"),
        };
        words.push(format!("{damaged} {is} damaged: {its} run again"));
    }
    if missing > 0 {
        let (is, its) = match missing {
            1 => ("value of the kept input is", "its task is"),
            _ => ("values of the kept input are", "their tasks are"),
        };
        words.push(format!(
            "{missing} {is} damaged: {its} not run (resume with all values: -a FILE)"
        ));
    }
    if ended > 0 {
        let s = if ended == 1 { "" } else { "es" };
        words.push(format!("killed {ended} process{s} that the interrupted run had left"));
    }
    words
}

/// All finished tasks, including those that are run again.
struct Retries {
    inputs: Vec<Input>,
    /// Those that are not run: their numbers now, and their names.
    shown: Vec<(u64, Name)>,
    /// The new numbers of those that are.
    moved: Vec<Record>,
    /// How many are not run because they would be other commands with other numbers.
    bound: u64,
}

impl Retries {
    /// Tasks of different lists may have the same number: one of them keeps it, if possible one
    /// that is run again.
    fn of(past: Past, retried: Retried, describe: impl Fn(&[u8], u64) -> Vec<u8>) -> Retries {
        let numbers = past.numbers();
        let is_run = |known: &Known| match known.state {
            State::Succeeded => false,
            State::Failed => retried.failed,
            State::Quarantined => retried.quarantined,
        };
        let mut all = past.ended();
        all.sort_by_key(|(seq, _, known, _)| (!is_run(known), *seq));
        let mut taken = HashSet::new();
        let keeps: Vec<bool> = all.iter().map(|(seq, ..)| taken.insert(*seq)).collect();
        // A new number in the journal is one that no task has had.
        let mut never_used = (1..).filter(|seq| !numbers.contains(seq));
        let (mut shown, mut moved, mut bound) = (Vec::new(), Vec::new(), 0);
        let mut inputs = Vec::with_capacity(all.len());
        let mut unused = 1;
        for ((before, value, known, story), keeps) in all.into_iter().zip(keeps) {
            let (mut seq, mut is_run) = (before, is_run(&known));
            if !keeps && is_run && describe(&value, before) != describe(&value, u64::MAX) {
                (is_run, bound) = (false, bound + 1);
            }
            if !keeps && is_run {
                seq = never_used.next().unwrap_or(before);
                let value = Bytes(value.clone());
                moved.push(Record::Moved { seq: before, value, to: seq });
            } else if !keeps {
                while taken.contains(&unused) {
                    unused += 1;
                }
                seq = unused;
            }
            taken.insert(seq);
            let earlier = if is_run {
                tried(story, runs::seconds())
            } else {
                shown.push((seq, (before, value.clone())));
                ended(known)
            };
            inputs.push(Input { value, seq: Some(seq), earlier, ..Input::default() });
        }
        inputs.sort_by_key(|input| input.seq);
        Retries { inputs, shown, moved, bound }
    }

    /// What is said of tasks that are left because of their numbers.
    fn left(&self) -> Option<String> {
        let (tasks, numbers) = match self.bound {
            0 => return None,
            1 => ("1 task is", "its command contains its number, which another task has now"),
            n => (
                &*format!("{n} tasks are"),
                "their commands contain their numbers, which other tasks have now",
            ),
        };
        Some(format!("{tasks} not retried: {numbers}: msup retry again when those have succeeded"))
    }
}
