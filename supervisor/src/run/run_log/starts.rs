//! Opens the log of one more start of a shard, beside the starts before it.

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::RunLog;
use super::opening::{OfRun, Opened};
use crate::engine::{EMITTED_FROM, Input};
use crate::journal::entries::KnownTasks;
use crate::journal::{
    Bytes, Durability, Folder, JournalError, Past, Record, Run, SCHEMA, ShardFolder, ShardStarts,
    runs, take_over,
};
use crate::os::machine;

/// What a start of a shard shares with others, which may run at the same time.
#[derive(Debug)]
pub(in crate::run) struct OtherStarts {
    /// The folder in which they claim the files that they make.
    pub(in crate::run) claims: PathBuf,
    /// The runs of earlier starts that have died on this machine.
    pub(in crate::run) dead: Vec<String>,
}

/// How many numbers each start has for tasks that others add: two that run at once must not give
/// the same one. No start adds as many.
const NUMBERS_OF_START: u64 = 1 << 32;

impl Opened {
    /// Begins the journal of one more start of a shard, and takes over what those before it have
    /// done. If one of them has finished, tasks that have failed are tried again.
    pub(super) fn begin_start(
        &mut self,
        place: &ShardFolder,
        order: u64,
        run: &OfRun<'_>,
        what: (Vec<Bytes>, bool, Durability),
        describe: impl Fn(&[u8], u64) -> Vec<u8>,
        doorbell: OwnedFd,
    ) -> Result<(), JournalError> {
        let folders = place.starts()?;
        let before = Past::of_starts(&folders)?;
        if let Some(ShardStarts { past, .. }) = &before {
            let this = this_generation(run, 1, what.0.clone())?;
            check(&past.run, &this, &folders[0], place)?;
        }
        let folder = place.begin()?;
        let before_this = NUMBERS_OF_START * (ShardFolder::number_of(&folder) - 1);
        self.last_emitted = Some(EMITTED_FROM - 1 + before_this);
        self.begin(folder, order, run, what, doorbell)?;
        let claims = place.claims();
        let Some(ShardStarts { past, heads }) = before else {
            self.others = Some(OtherStarts { claims, dead: Vec::new() });
            return Ok(());
        };
        let starts = heads.iter().zip(&folders);
        let dead = starts.filter(|(head, folder)| is_dead(&head.run, folder));
        let dead = dead.map(|(head, _)| head.run.run.clone()).collect();
        self.others = Some(OtherStarts { claims, dead });
        // Once all had finished, those that have failed are tried again, however often that is
        // cut off.
        let retries = heads.iter().any(|head| matches!(head.finished, Some((_, true))));
        self.words.push(match folders.len() {
            1 => "this shard was started once before: going on".to_owned(),
            n => format!("this shard was started {n} times before: going on"),
        });
        if past.condition.damaged > 0 {
            self.words.push(format!(
                "{} lines of its journals are damaged: their tasks may run again",
                past.condition.damaged
            ));
        }
        self.continue_with(past, retries, describe);
        Ok(())
    }

    fn continue_with(
        &mut self,
        past: Past,
        retries: bool,
        describe: impl Fn(&[u8], u64) -> Vec<u8>,
    ) {
        let added = past.added();
        let log = &mut self.log;
        let mut known = KnownTasks::of(past, &describe);
        known.tries_again = retries;
        log.known = Some(known);
        let inputs = added.into_iter().map(|(seq, value)| {
            let earlier = log.earlier(seq, &value, || describe(&value, seq));
            Input { value, seq: Some(seq), earlier, ..Input::default() }
        });
        self.inputs = inputs.collect();
    }
}

impl RunLog {
    /// Records the digest of the list of which this shard has a share.
    ///
    /// # Errors
    /// Earlier starts have read another list: one line.
    pub(in crate::run) fn note_list(&mut self, digest: String) -> Result<(), String> {
        if let Some(before) = self.known.as_ref().and_then(|known| known.digest.as_ref())
            && *before != digest
        {
            return Err("the list is not the one that this shard had when it was started before: \
                        give another list another --journal"
                .to_owned());
        }
        if let Some(journal) = &mut self.journal {
            journal.note(&Record::List { digest });
        }
        Ok(())
    }

    /// Whether this is a start of a shard, which the next one continues.
    pub(in crate::run) fn is_start(&self) -> bool {
        self.folder.as_ref().is_some_and(ShardFolder::has_start)
    }
}

pub(super) fn this_generation(
    run: &OfRun<'_>,
    generation: u32,
    arguments: Vec<Bytes>,
) -> Result<Run, JournalError> {
    let folder = std::env::current_dir().map_err(JournalError::WorkingFolder)?;
    Ok(Run {
        schema: SCHEMA,
        run: run.id.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        generation,
        arguments,
        folder: Bytes(folder.into_os_string().into_vec()),
        pid: std::process::id(),
        within: runs::within(),
        shard: run.shard,
        work: run.work.to_owned(),
        machine: run.shard.and_then(|_| machine::identity()),
    })
}

/// Whether nothing of a start on this machine is alive; what its supervisor has left running is
/// killed first.
fn is_dead(run: &Run, folder: &Folder) -> bool {
    run.has_died_here(folder) && take_over(folder, &run.run).is_ok()
}

/// Whether this start is of the same work as those before it.
///
/// # Errors
/// It is not.
fn check(
    before: &Run,
    this: &Run,
    first: &Folder,
    place: &ShardFolder,
) -> Result<(), JournalError> {
    let folder = place.path().to_owned();
    match (before.shard, this.shard) {
        (Some(there), Some(here)) if there.of != here.of => {
            Err(JournalError::OtherShards { folder, there: there.of, here })
        }
        _ if !before.shares_work_with(this) => {
            Err(JournalError::OtherWork { folder, other: first.path().to_owned() })
        }
        _ => Ok(()),
    }
}
