//! Results that could not be delivered, on disk. Each node has a folder of its own, and a lock in
//! it; a node that starts takes over those of nodes that are gone.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::held::Finished;
use crate::records::ResultRecord;

/// The name of the lock in the folder of a node.
const LOCK: &str = "lock";

/// What the name of a result ends with when it is complete.
const ENDING: &str = "result";

/// What stands before a result on disk.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    /// The job that it belongs to.
    job: String,
    /// Where its acknowledgement goes.
    reply: String,
}

/// The folder of a node. It is removed when it is empty.
#[derive(Debug)]
pub(super) struct KeptResults {
    folder: PathBuf,
    _lock: File,
}

/// A result of a node that is gone.
#[derive(Debug)]
pub(super) struct OldResult {
    pub(super) reply: String,
    pub(super) finished: Arc<Finished>,
    path: PathBuf,
}

impl OldResult {
    /// It is delivered, or worth nothing. With the last one its folder goes.
    pub(super) fn forget(&self) {
        let _ = fs::remove_file(&self.path);
        self.path.parent().into_iter().for_each(remove_if_empty);
    }
}

impl KeptResults {
    /// Makes a folder for a node in the folder of all nodes.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn open(all: &Path, name: &str) -> io::Result<KeptResults> {
        let folder = all.join(name);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let lock = locked(&folder)?.ok_or(io::ErrorKind::AlreadyExists)?;
        Ok(KeptResults { folder, _lock: lock })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of the result of this task.
    pub(super) fn path(&self, seq: u64) -> PathBuf {
        self.folder.join(format!("{seq}.{ENDING}"))
    }
}

impl Drop for KeptResults {
    fn drop(&mut self) {
        remove_if_empty(&self.folder);
    }
}

fn remove_if_empty(folder: &Path) {
    let mut left = fs::read_dir(folder).into_iter().flatten().flatten();
    if left.all(|entry| entry.file_name() == LOCK) {
        let _ = fs::remove_dir_all(folder);
    }
}

/// Writes the result of a task of this job, which is acknowledged at `reply`. It has its name when
/// it is complete.
///
/// # Errors
/// It cannot be written.
pub(super) fn write(path: &Path, job: &str, reply: &str, finished: &Finished) -> io::Result<()> {
    let head = Head { job: job.to_owned(), reply: reply.to_owned() };
    let mut text = serde_json::to_vec(&head).unwrap_or_default();
    text.push(b'\n');
    let [stdout, stderr] = &finished.outputs;
    let mut record = finished.record.clone();
    record.here = [stdout.len() as u64, stderr.len() as u64];
    text.append(&mut record.message([stdout, stderr], usize::MAX));
    let draft = path.with_extension("new");
    let mut file = File::options();
    let mut file = file.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(&text)?;
    fs::rename(draft, path)
}

/// The results of this job that nodes have left which are gone. Those of other jobs of the same
/// name are removed: these jobs do not exist any more. So are folders that are empty.
pub(super) fn take_over(all: &Path, job: &str) -> Vec<OldResult> {
    let mut found = Vec::new();
    for folder in fs::read_dir(all).into_iter().flatten().flatten().map(|entry| entry.path()) {
        // The lock is let go when these are read: a node that starts now reads them, too, and each
        // of them is delivered once.
        let Ok(Some(_lock)) = locked(&folder) else { continue };
        let before = found.len();
        for path in fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path())
        {
            if path.file_name().is_some_and(|name| name == LOCK) {
                continue;
            }
            match read(&path) {
                Some((head, finished)) if head.job == job => {
                    let finished = Arc::new(finished);
                    found.push(OldResult { reply: head.reply, finished, path });
                }
                _ => drop(fs::remove_file(&path)),
            }
        }
        if found.len() == before {
            let _ = fs::remove_dir_all(&folder);
        }
    }
    found
}

fn read(path: &Path) -> Option<(Head, Finished)> {
    if path.extension()? != ENDING {
        return None;
    }
    let text = fs::read(path).ok()?;
    let end = text.iter().position(|byte| *byte == b'\n')?;
    let head = serde_json::from_slice(&text[..end]).ok()?;
    let (record, outputs) = ResultRecord::of_message(&text[end + 1..])?;
    Some((head, Finished { record, outputs, is_of_runner: false, _room: None }))
}

/// The lock of a node's folder; `None` if that node is alive.
fn locked(folder: &Path) -> io::Result<Option<File>> {
    let path = folder.join(LOCK);
    let mut how = File::options();
    let file = how.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(why) if why == rustix::io::Errno::WOULDBLOCK => Ok(None),
        Err(why) => Err(why.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{Spent, TaskState};

    fn finished(seq: u64) -> Finished {
        let record = ResultRecord {
            seq,
            value: b"v".to_vec(),
            value_len: 1,
            execution: "e".into(),
            node: "n".into(),
            state: TaskState::Succeeded,
            cause: None,
            attempts: 1,
            spent: Spent::default(),
            status: 0,
            signal: 0,
            here: [3, 0],
            parts: [0, 0],
            file: None,
        };
        let outputs = [b"out".to_vec(), Vec::new()];
        Finished { record, outputs, is_of_runner: true, _room: None }
    }

    #[test]
    fn results_of_a_dead_node_are_taken_over_once_they_are_complete() {
        let all = tempfile::tempdir().expect("a folder");
        let kept = KeptResults::open(all.path(), "one").expect("made");
        for seq in [5, 6] {
            write(&kept.path(seq), "job", "reply", &finished(seq)).expect("written");
        }
        fs::write(kept.folder().join("7.new"), "half").expect("written");
        assert!(take_over(all.path(), "job").is_empty(), "it is alive");
        let other = KeptResults::open(all.path(), "two").expect("made");
        write(&other.path(8), "job", "reply", &finished(8)).expect("written");
        drop(other);
        let mut seqs: Vec<u64> = take_over(all.path(), "job")
            .iter()
            .map(|old| {
                assert_eq!(
                    (old.reply.as_str(), &old.finished.outputs[0][..]),
                    ("reply", &b"out"[..])
                );
                old.finished.record.seq
            })
            .collect();
        seqs.sort_unstable();
        assert_eq!(seqs, [8]);
        drop(kept);
        assert_eq!(take_over(all.path(), "job").len(), 3, "a draft is no result");
    }

    #[test]
    fn results_of_another_job_are_removed() {
        let all = tempfile::tempdir().expect("a folder");
        let kept = KeptResults::open(all.path(), "one").expect("made");
        write(&kept.path(5), "job", "reply", &finished(5)).expect("written");
        drop(kept);
        assert!(take_over(all.path(), "another").is_empty());
        assert_eq!(fs::read_dir(all.path()).expect("there").count(), 0);
    }
}
