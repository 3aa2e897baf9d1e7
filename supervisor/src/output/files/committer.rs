//! A thread that renames the files that tasks made to their places: syncing and renaming may take
//! long, and the event loop never waits for a disk.
//!
//! A file is secured first. Then the event loop journals that it is about to be placed, and only
//! then it is placed: so a record without its temporary file means that the file was placed.
//! `run/commits.rs` decides when.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use msup_protocol::crash;

use super::error::{FileError, Unsynced};
use crate::journal::Made;
use crate::journal::claims::{Claims, Placed};
use crate::os::files::{self, folder_of};
use crate::os::leftovers::remove;
use crate::os::threads::{self, ThreadError};

/// A file on its way, known by the task slot of the attempt that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) slot: u16,
    pub(crate) temporary: PathBuf,
    pub(crate) target: PathBuf,
}

/// The result of an order.
#[derive(Debug)]
pub(crate) enum CommitReport {
    /// The temporary file is complete, and a power cut does not change that.
    Secured(u16, Result<Made, FileError>),
    /// It is in its place, or the same file of another start of the shard is.
    Placed(u16, Result<Placed, FileError>),
    /// What was journaled may not survive a power cut.
    JournalLost(Unsynced),
}

#[derive(Debug)]
enum Order {
    Secure(Pair),
    Place(Pair),
    /// As it is here it is to be placed. Another node may do that first.
    PlaceTogether(Pair, Made),
    Remove(PathBuf),
}

/// The event loop's handle to the thread.
#[derive(Debug)]
pub(crate) struct Committer {
    orders: Option<Sender<Order>>,
    reports: Receiver<CommitReport>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    /// Starts the thread, which writes to the eventfd with every report. If it is `durable`,
    /// results are synced to disk before they are reported, and the journal, if there is one,
    /// before any file is placed. With `claims`, other starts of the shard may place the same
    /// files.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn start(
        durable: bool,
        journal: Option<File>,
        claims: Option<Claims>,
        doorbell: OwnedFd,
    ) -> Result<Committer, ThreadError> {
        let (orders, received) = channel();
        let (reporter, reports) = channel();
        let hands = Hands { durable, journal, claims, reporter, doorbell };
        let thread = Some(threads::start("committer", move || run(&received, &hands))?);
        Ok(Committer { orders: Some(orders), reports, thread })
    }

    pub(crate) fn secure(&self, pair: Pair) {
        self.order(Order::Secure(pair));
    }

    pub(crate) fn place(&self, pair: Pair) {
        self.order(Order::Place(pair));
    }

    /// The same if another node may place the same file first.
    pub(crate) fn place_together(&self, pair: Pair, made: Made) {
        self.order(Order::PlaceTogether(pair, made));
    }

    /// Removes a temporary file that was to be placed and will not be, as the journal says by now.
    pub(crate) fn remove(&self, temporary: PathBuf) {
        self.order(Order::Remove(temporary));
    }

    fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // The thread only stops when this handle is dropped.
            let _ = orders.send(order);
        }
    }

    /// Returns when all orders have been carried out.
    pub(crate) fn finish(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    /// The reports since the last time.
    pub(crate) fn reports(&self) -> Vec<CommitReport> {
        self.reports.try_iter().collect()
    }

    /// Waits for one more report.
    pub(crate) fn wait(&self) -> Option<CommitReport> {
        self.reports.recv().ok()
    }
}

struct Hands {
    durable: bool,
    journal: Option<File>,
    claims: Option<Claims>,
    reporter: Sender<CommitReport>,
    doorbell: OwnedFd,
}

/// Orders that came in while the last were carried out are carried out together: they share syncs.
fn run(orders: &Receiver<Order>, hands: &Hands) {
    while let Ok(first) = orders.recv() {
        let (mut to_place, mut to_remove) = (Vec::new(), Vec::new());
        for order in std::iter::once(first).chain(orders.try_iter()) {
            match order {
                Order::Secure(pair) => {
                    hands.report(CommitReport::Secured(
                        pair.slot,
                        secure(&pair.temporary, hands.durable),
                    ));
                }
                Order::Place(pair) => to_place.push((pair, None)),
                Order::PlaceTogether(pair, made) => to_place.push((pair, Some(made))),
                Order::Remove(temporary) => to_remove.push(temporary),
            }
        }
        if to_place.is_empty() && to_remove.is_empty() {
            continue;
        }
        // Never retried: the kernel reports an error once, and forgets what it could not write.
        match hands.sync_journal() {
            Ok(()) => {
                hands.place(&to_place);
                to_remove.iter().for_each(|temporary| remove(temporary));
            }
            Err(why) => hands.lose(&to_place, why),
        }
    }
}

impl Hands {
    fn sync_journal(&self) -> io::Result<()> {
        self.journal.as_ref().filter(|_| self.durable).map_or(Ok(()), File::sync_data)
    }

    fn lose(&self, pairs: &[(Pair, Option<Made>)], why: io::Error) {
        self.report(CommitReport::JournalLost(why.into()));
        for (pair, _) in pairs {
            self.report(CommitReport::Placed(pair.slot, Err(FileError::JournalLost)));
        }
    }

    fn place(&self, pairs: &[(Pair, Option<Made>)]) {
        if pairs.is_empty() {
            return;
        }
        // CRASH: intent_before_rename. An intent whose temporary file exists: the task runs again.
        crash::point("intent_before_rename");
        let placed = pairs.iter().map(|(Pair { temporary, target, .. }, made)| {
            let placed = match (&self.claims, made) {
                (None, None) => rename(temporary, target),
                (None, Some(made)) => rename_once(temporary, target, *made),
                (Some(claims), _) => claims.place(temporary, target),
            };
            placed.map_err(|why| FileError::NotRenamed { target: target.clone(), why })
        });
        let placed: Vec<Result<Placed, FileError>> = placed.collect();
        // CRASH: rename_before_end. An intent without its temporary file: the task has been
        // committed.
        crash::point("rename_before_end");
        let folders: BTreeSet<&Path> =
            pairs.iter().map(|(pair, _)| folder_of(&pair.target)).collect();
        let unsafe_ones: Vec<(&Path, Unsynced)> = folders
            .into_iter()
            .filter(|_| self.durable)
            .filter_map(|folder| Some((folder, sync_folder(folder).err()?.into())))
            .collect();
        for ((pair, _), placed) in pairs.iter().zip(placed) {
            let folder = folder_of(&pair.target);
            let lost = unsafe_ones.iter().find(|(of, _)| *of == folder);
            let lost = lost.map(|(folder, why)| FileError::FolderUnsynced {
                folder: (*folder).to_owned(),
                why: why.clone(),
            });
            let placed = placed.and_then(|placed| lost.map_or(Ok(placed), Err));
            self.report(CommitReport::Placed(pair.slot, placed));
        }
    }

    fn report(&self, report: CommitReport) {
        let _ = self.reporter.send(report);
        let _ = rustix::io::write(&self.doorbell, &1u64.to_ne_bytes());
    }
}

fn rename(temporary: &Path, target: &Path) -> io::Result<Placed> {
    fs::rename(temporary, target)?;
    // Two names of one file (`ln {} {out}`, run again) both stay.
    let _ = fs::remove_file(temporary);
    Ok(Placed::Here)
}

/// Renames a file, unless that was done before: then it is in its place.
fn rename_once(temporary: &Path, target: &Path, made: Made) -> io::Result<Placed> {
    match rename(temporary, target) {
        Ok(placed) => Ok(placed),
        Err(why) if why.kind() == io::ErrorKind::NotFound => match fs::symlink_metadata(target) {
            Ok(meta) if Made::of(&meta) == made => Ok(Placed::Elsewhere),
            _ => Err(why),
        },
        Err(why) => Err(why),
    }
}

/// Makes sure that it is a regular file; synced to disk, if `durable`.
fn secure(temporary: &Path, durable: bool) -> Result<Made, FileError> {
    let meta = fs::symlink_metadata(temporary).map_err(|why| match why.kind() {
        io::ErrorKind::NotFound => FileError::NotWritten,
        _ => FileError::Unreadable(why),
    })?;
    if !meta.is_file() {
        return Err(FileError::NoFile);
    }
    if durable {
        let synced = files::open_made(temporary).and_then(|file| file.sync_all());
        synced.map_err(|why| FileError::Unsynced(why.into()))?;
    }
    Ok(Made::of(&meta))
}

/// Makes renames in this folder survive a power cut.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committer(journal: Option<File>) -> Committer {
        use rustix::event::{EventfdFlags, eventfd};
        let doorbell = eventfd(0, EventfdFlags::NONBLOCK).expect("an eventfd");
        Committer::start(true, journal, None, doorbell).expect("a thread")
    }

    fn pair(folder: &Path, slot: u16) -> Pair {
        let file = |name: &str| folder.join(format!("{name}{slot}"));
        Pair { slot, temporary: file("t"), target: file("f") }
    }

    #[test]
    fn a_file_is_secured_and_placed() {
        let folder = tempfile::tempdir().expect("a folder");
        let committer = committer(Some(tempfile::tempfile().expect("a file")));
        let pair = pair(folder.path(), 3);
        fs::write(&pair.temporary, b"new").expect("writable");
        fs::write(&pair.target, b"old").expect("writable");
        committer.secure(pair.clone());
        assert!(matches!(committer.wait(), Some(CommitReport::Secured(3, Ok(_)))));
        assert_eq!(fs::read(&pair.target).expect("readable"), b"old", "not yet");
        committer.place(pair.clone());
        assert!(matches!(committer.wait(), Some(CommitReport::Placed(3, Ok(Placed::Here)))));
        assert_eq!(fs::read(&pair.target).expect("readable"), b"new");
        assert!(!pair.temporary.exists());
    }

    #[test]
    fn what_is_not_there_or_no_file_is_not_secured() {
        let folder = tempfile::tempdir().expect("a folder");
        let committer = committer(None);
        for (slot, words) in
            [(1, "has not written"), (2, "no regular file"), (3, "no regular file")]
        {
            let pair = pair(folder.path(), slot);
            match slot {
                1 => {}
                2 => fs::create_dir(&pair.temporary).expect("writable"),
                _ => std::os::unix::fs::symlink("/dev/null", &pair.temporary).expect("writable"),
            }
            committer.secure(pair);
            let Some(CommitReport::Secured(_, Err(why))) = committer.wait() else {
                panic!("secured")
            };
            assert!(why.to_string().contains(words), "{why}");
        }
    }

    #[test]
    fn nothing_is_placed_whose_intent_is_not_safe() {
        let folder = tempfile::tempdir().expect("a folder");
        let (_reader, pipe) = rustix::pipe::pipe().expect("a pipe");
        // A pipe cannot be synced: EINVAL.
        let committer = committer(Some(File::from(pipe)));
        let pair = pair(folder.path(), 1);
        fs::write(&pair.temporary, b"new").expect("writable");
        committer.place(pair.clone());
        assert!(matches!(committer.wait(), Some(CommitReport::JournalLost(_))));
        assert!(matches!(committer.wait(), Some(CommitReport::Placed(1, Err(_)))));
        assert!(!pair.target.exists());
    }

    #[test]
    fn a_temporary_file_stays_while_the_journal_says_that_it_is_placed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (_reader, pipe) = rustix::pipe::pipe().expect("a pipe");
        let temporary = folder.path().join("t");
        fs::write(&temporary, b"new").expect("writable");
        let mut unsafe_one = committer(Some(File::from(pipe)));
        unsafe_one.remove(temporary.clone());
        unsafe_one.finish();
        assert!(temporary.exists());
        let mut safe_one = committer(Some(tempfile::tempfile().expect("a file")));
        safe_one.remove(temporary.clone());
        safe_one.finish();
        assert!(!temporary.exists());
    }

    #[test]
    fn a_target_that_is_a_folder_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let committer = committer(None);
        let pair = pair(folder.path(), 1);
        fs::write(&pair.temporary, b"new").expect("writable");
        fs::create_dir(&pair.target).expect("writable");
        committer.place(pair.clone());
        assert!(matches!(committer.wait(), Some(CommitReport::Placed(1, Err(_)))));
        assert!(pair.target.is_dir());
    }
}
