//! Makes a result known, or finds out that another one counts; and finishes what the node did not
//! live to do that has made the one that counts.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use super::held::Finished;
use crate::error::ClusterError;
use crate::records::{FileRecord, ResultRecord, Tries};
use crate::server::{NO_MESSAGE, NO_STREAM, Server, Storing};

/// What a message needs besides its content: its subject and its headers.
const AROUND: usize = 4 << 10;

/// Whose result counts.
#[derive(Debug)]
pub(super) enum Delivered {
    /// This one, as the message with this number.
    Won(u64),
    /// Another one.
    Lost(Box<ResultRecord>),
}

/// What is known of a task that another node had before.
#[derive(Debug)]
pub(super) enum Checked {
    /// It has a result.
    Finished(Box<ResultRecord>),
    /// It has none, and was tried so often.
    Open(Tries),
}

impl Server {
    /// Stores the result of a task, if none is there, or, with `instead_of`, in the place of the
    /// message with that number. Whether it was this one that was stored is known for certain, also
    /// if an answer was lost.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub(super) async fn deliver(
        &self,
        finished: &Finished,
        instead_of: u64,
    ) -> Result<Delivered, ClusterError> {
        let Finished { record, outputs, .. } = finished;
        let (seq, execution) = (record.seq, record.execution.clone());
        let at_most = self.max_payload().saturating_sub(AROUND);
        let mut record = record.clone();
        let is_small = outputs[0].len() + outputs[1].len() + record.value.len() <= at_most / 2;
        let mut rest = [&outputs[0][..], &outputs[1][..]];
        if !is_small {
            // Before the result: whoever sees that one sees these.
            let mut part = 0;
            for (stream, output) in rest.iter_mut().enumerate() {
                for chunk in output.chunks(at_most) {
                    let subject = self.names.output(seq, &execution, part);
                    let said = self.store(subject.clone(), chunk.to_vec(), Storing::default());
                    said.await?.map_err(|denial| self.trouble(&subject, denial.description))?;
                    part += 1;
                    record.parts[stream] += 1;
                }
                *output = &[];
            }
        }
        record.here = rest.map(|output| output.len() as u64);
        let storing =
            Storing { id: Some(format!("{execution}-{instead_of}")), after: Some(instead_of) };
        let message = record.message(rest, at_most);
        match self.store(self.names.result(seq), message, storing).await? {
            Ok(number) => Ok(Delivered::Won(number)),
            Err(denial) => {
                let found = self.found(seq).await?;
                let (number, there) =
                    found.ok_or_else(|| self.trouble("a result", denial.description))?;
                match there.execution == execution {
                    true => Ok(Delivered::Won(number)),
                    false => Ok(Delivered::Lost(Box::new(there))),
                }
            }
        }
    }

    /// The result of a task, with the number of its message.
    ///
    /// # Errors
    /// The server cannot be asked, or holds something else there.
    async fn found(&self, seq: u64) -> Result<Option<(u64, ResultRecord)>, ClusterError> {
        let subject = self.names.result(seq);
        let Some(kept) = self.last(&subject).await? else { return Ok(None) };
        match ResultRecord::of_message(&kept.data()) {
            Some((record, _)) => Ok(Some((kept.seq, record))),
            None => Err(self.trouble(&subject, "it is no result of this release")),
        }
    }

    /// What has become of a task that was handed out before.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub(super) async fn check(&self, seq: u64) -> Result<Checked, ClusterError> {
        if let Some((_, record)) = self.found(seq).await? {
            return Ok(Checked::Finished(Box::new(record)));
        }
        let kept = self.last(&self.names.tries(seq)).await?;
        let tries = kept.and_then(|kept| serde_json::from_slice(&kept.data()).ok());
        Ok(Checked::Open(tries.unwrap_or_default()))
    }

    /// Whether no node has acknowledged a task.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub(super) async fn is_open(&self, seq: u64) -> Result<bool, ClusterError> {
        let what = format!("STREAM.MSG.GET.{}", self.names.tasks());
        let question = serde_json::json!({ "last_by_subj": self.names.task(seq) });
        match self.api(&what, &question).await? {
            Ok(_) => Ok(true),
            Err(denial) if [NO_MESSAGE, NO_STREAM].contains(&denial.err_code) => Ok(false),
            Err(denial) => Err(self.trouble(&what, denial.description)),
        }
    }

    /// Notes how often a task was tried, for the node that gets it next.
    pub(super) async fn note_tries(&self, seq: u64, tries: Tries) -> bool {
        let text = serde_json::to_vec(&tries).unwrap_or_default();
        self.store(self.names.tries(seq), text, Storing::default()).await.is_ok()
    }
}

/// Puts the file of a result that counts into its place, unless it is there. The node that made it
/// may be dead, or do the same at this moment.
///
/// # Errors
/// It cannot be renamed: one line.
pub(super) async fn place(file: Option<FileRecord>) -> Result<(), String> {
    let Some(file) = file else { return Ok(()) };
    // A file system that hangs must not hold up the connection.
    let done = tokio::task::spawn_blocking(move || rename(&file)).await;
    done.unwrap_or_else(|why| Err(why.to_string()))
}

/// Removes what this node has made for nothing.
pub(super) async fn remove(file: Option<FileRecord>) {
    let Some(file) = file else { return };
    let _ = tokio::task::spawn_blocking(move || fs::remove_file(file.temporary.path())).await;
}

/// Whether the file of a result that was kept on disk is still what it was.
pub(super) async fn is_there(finished: Arc<Finished>) -> bool {
    let look = move || match &finished.record.file {
        None => true,
        Some(file) => is_made(file, &file.temporary.path()) || is_made(file, &file.target.path()),
    };
    tokio::task::spawn_blocking(look).await.unwrap_or(false)
}

fn rename(file: &FileRecord) -> Result<(), String> {
    let (temporary, target) = (file.temporary.path(), file.target.path());
    let folder = target.parent().unwrap_or_else(|| Path::new("/"));
    let error = |why: std::io::Error| format!("{}: {why}", target.display());
    match fs::rename(&temporary, &target) {
        Ok(()) => File::open(folder).and_then(|folder| folder.sync_all()).map_err(error),
        // It was renamed before; and perhaps something else was done to it since.
        Err(why) if why.kind() == ErrorKind::NotFound && folder.is_dir() => Ok(()),
        Err(why) => Err(error(why)),
    }
}

fn is_made(file: &FileRecord, path: &Path) -> bool {
    const NS: i64 = 1_000_000_000;
    fs::symlink_metadata(path).is_ok_and(|meta| {
        let mtime = meta.mtime().saturating_mul(NS).saturating_add(meta.mtime_nsec());
        (meta.len(), mtime) == (file.size, file.mtime)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;
    use crate::records::Words;

    #[test]
    fn a_file_is_placed_once_by_whichever_node_comes_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let words = |name: &str| Words(path(name).as_os_str().as_bytes().to_vec());
        fs::write(path("t"), "new").expect("writable");
        let meta = fs::metadata(path("t")).expect("there");
        let mtime = meta.mtime() * 1_000_000_000 + meta.mtime_nsec();
        let file = FileRecord { temporary: words("t"), target: words("f"), size: 3, mtime };
        assert!(is_made(&file, &path("t")));
        assert_eq!(rename(&file), Ok(()));
        assert_eq!(fs::read_to_string(path("f")).expect("placed"), "new");
        assert!(is_made(&file, &path("f")));
        fs::write(path("f"), "of a later step").expect("writable");
        assert_eq!(rename(&file), Ok(()), "a second time");
        assert_eq!(fs::read_to_string(path("f")).expect("there"), "of a later step");
        fs::write(path("t"), "new").expect("writable");
        fs::create_dir(path("d")).expect("writable");
        assert!(rename(&FileRecord { target: words("d"), ..file }).is_err());
    }
}
