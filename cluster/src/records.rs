//! What the messages of a job hold: its description, results, and how often a task was tried.
//! Descriptions are JSON. A result is JSON, too, with its value and the bytes of its outputs behind
//! it. The message of a task is its value.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use msup_protocol::codec::MadeFile;
use serde::{Deserialize, Serialize};

/// Increased whenever a field changes its meaning, or one is added that must not be ignored.
pub(crate) const SCHEMA: u32 = 1;

/// Any bytes: as text where they are text.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Either", into = "Either")]
pub struct Words(pub Vec<u8>);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Either {
    Text(String),
    Bytes(Vec<u8>),
}

impl From<Either> for Words {
    fn from(either: Either) -> Words {
        match either {
            Either::Text(text) => Words(text.into_bytes()),
            Either::Bytes(bytes) => Words(bytes),
        }
    }
}

impl From<Words> for Either {
    fn from(words: Words) -> Either {
        String::from_utf8(words.0).map_or_else(|not| Either::Bytes(not.into_bytes()), Either::Text)
    }
}

impl From<Words> for OsString {
    fn from(words: Words) -> OsString {
        OsString::from_vec(words.0)
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

impl Words {
    /// As a path.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        OsString::from_vec(self.0.clone()).into()
    }
}

/// The description of a job. Field names are the JSON's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    pub(crate) schema: u32,
    /// The release that has made it.
    pub(crate) version: String,
    /// No other job has it, whatever its name.
    pub id: String,
    /// Of the command, the folder and all values.
    pub digest: String,
    /// The number of tasks.
    pub total: u64,
    /// The flags of msup that the tasks are run with.
    pub flags: Vec<Words>,
    /// The command and its arguments.
    pub command: Vec<Words>,
    /// The number of arguments of each value.
    pub arguments: usize,
    /// The folder in which commands run.
    pub folder: Words,
    /// Variables that commands get besides those of the node.
    pub environment: Vec<(Words, Words)>,
    /// How often a task may crash, or be lost with its node.
    pub crash_limit: u32,
    /// When it was submitted, in seconds since 1970.
    pub submitted_s: u64,
    /// A node that is silent for this many milliseconds loses its tasks.
    pub lease_ms: u64,
    /// Results are kept for this many seconds after the last one.
    pub keep_s: u64,
    /// An output of more bytes is cut.
    pub max_output: u64,
}

impl Meta {
    /// Whether this release knows all of it.
    pub(crate) fn is_known(&self) -> bool {
        self.schema == SCHEMA
    }

    /// How long ago it was submitted, in seconds.
    pub(crate) fn age_s(&self) -> u64 {
        now_s().saturating_sub(self.submitted_s)
    }
}

/// The time in seconds since 1970.
pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// How a task has finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskState {
    /// It did what it should.
    Succeeded,
    /// It did not.
    Failed,
    /// It crashed, or was lost with its nodes, as often as allowed.
    Quarantined,
}

/// What a task has made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Where it was before the result was known: an absolute path.
    pub temporary: Words,
    /// Its place: an absolute path.
    pub target: Words,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last changed, in nanoseconds since 1970.
    pub mtime: i64,
}

impl From<MadeFile> for FileRecord {
    fn from(made: MadeFile) -> FileRecord {
        let MadeFile { temporary, target, size, mtime } = made;
        let [temporary, target] = [temporary, target].map(|path| Words(path.into_vec()));
        FileRecord { temporary, target, size, mtime }
    }
}

/// What an attempt used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// When it began, in microseconds since 1970; 0 if no attempt is known.
    pub began_us: u64,
    /// How long it took, in microseconds.
    pub wall_us: u64,
    /// Its CPU time in microseconds.
    pub cpu_us: u64,
    /// Peak memory in bytes of the largest of its processes.
    pub memory: u64,
}

/// The result of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultRecord {
    /// The task's number, from 1.
    pub seq: u64,
    /// Its value. It stands behind the JSON; a value that does not fit is left out.
    #[serde(skip)]
    pub value: Vec<u8>,
    /// Its length, 0 if it is left out.
    pub value_len: u64,
    /// Which execution of the task it is the result of: no other one has this name.
    pub execution: String,
    /// The machine that ran it.
    pub node: String,
    /// How it has finished.
    pub state: TaskState,
    /// Why it did not succeed.
    pub cause: Option<String>,
    /// The number of attempts on all nodes.
    pub attempts: u32,
    /// What its last attempt used.
    pub spent: Spent,
    /// The exit status that stands for it in a joblog.
    pub status: i16,
    /// The signal that has killed it, else 0.
    pub signal: u8,
    /// How many bytes of standard output and of standard error stand behind this record.
    pub here: [u64; 2],
    /// How many messages hold what comes before these.
    pub parts: [u32; 2],
    /// The file that it has made.
    pub file: Option<FileRecord>,
}

impl ResultRecord {
    /// The message: the length of the JSON, the JSON, and what stands behind it. The value is left
    /// out if the message would be longer than `at_most`.
    pub(crate) fn message(mut self, outputs: [&[u8]; 2], at_most: usize) -> Vec<u8> {
        let value = std::mem::take(&mut self.value);
        self.value_len = value.len() as u64;
        let json = |record: &ResultRecord| serde_json::to_vec(record).unwrap_or_default();
        let whole = json(&self);
        let len = |parts: &[&[u8]]| parts.iter().map(|part| part.len()).sum::<usize>();
        let is_short = size_of::<u32>() + len(&[&whole, &value, outputs[0], outputs[1]]) <= at_most;
        if !is_short {
            self.value_len = 0;
        }
        let (json, value) = if is_short { (whole, &value[..]) } else { (json(&self), &[][..]) };
        [&(json.len() as u32).to_le_bytes(), &json[..], value, outputs[0], outputs[1]].concat()
    }

    /// Takes a message apart. `None` if it is none of these.
    pub(crate) fn of_message(message: &[u8]) -> Option<(ResultRecord, [Vec<u8>; 2])> {
        let (len, rest) = message.split_first_chunk::<4>()?;
        let (json, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        let mut record: ResultRecord = serde_json::from_slice(json).ok()?;
        let (value, rest) = rest.split_at_checked(usize::try_from(record.value_len).ok()?)?;
        record.value = value.to_vec();
        let (stdout, stderr) = rest.split_at_checked(usize::try_from(record.here[0]).ok()?)?;
        let is_whole = stderr.len() as u64 == record.here[1];
        is_whole.then(|| (record, [stdout.to_vec(), stderr.to_vec()]))
    }
}

/// How often a task was tried, on all nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tries {
    /// Attempts that have finished.
    pub(crate) attempts: u32,
    /// Of these, those that failed, and those that crashed.
    pub(crate) failures: u32,
    pub(crate) crashes: u32,
    /// How often it was given back.
    pub(crate) returned: u32,
}

impl Tries {
    /// How often nodes were lost that had the task, if it is handed out for the `nth` time.
    pub(crate) fn lost(&self, nth: u64) -> u32 {
        let before = u32::try_from(nth.saturating_sub(1)).unwrap_or(u32::MAX);
        before.saturating_sub(self.returned)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(value: Vec<u8>, here: [u64; 2]) -> ResultRecord {
        ResultRecord {
            seq: 7,
            value_len: value.len() as u64,
            value,
            execution: "e".into(),
            node: "n".into(),
            state: TaskState::Failed,
            cause: Some("exit 1".into()),
            attempts: 2,
            spent: Spent { began_us: 1, wall_us: 2, cpu_us: 3, memory: 4 },
            status: 1,
            signal: 0,
            here,
            parts: [0, 3],
            file: None,
        }
    }

    proptest! {
        #[test]
        fn a_result_comes_back_as_it_was(
            value in any::<Vec<u8>>(), stdout in any::<Vec<u8>>(), stderr in any::<Vec<u8>>(),
        ) {
            let record = record(value, [stdout.len() as u64, stderr.len() as u64]);
            let message = record.clone().message([&stdout, &stderr], usize::MAX);
            prop_assert_eq!(
                ResultRecord::of_message(&message),
                Some((record, [stdout, stderr]))
            );
        }

        #[test]
        fn any_bytes_are_a_result_or_none(
            bytes in any::<Vec<u8>>(), cut in any::<prop::sample::Index>(),
        ) {
            let _ = ResultRecord::of_message(&bytes);
            let message = record(b"v".to_vec(), [1, 1]).message([b"a", b"b"], usize::MAX);
            let cut = cut.index(message.len());
            prop_assert_eq!(ResultRecord::of_message(&message[..cut]), None);
        }
    }

    #[test]
    fn a_value_that_does_not_fit_is_left_out() {
        let message = record(vec![b'v'; 5000], [1, 0]).message([b"a", b""], 4096);
        assert!(message.len() < 4096);
        let (record, [stdout, _]) = ResultRecord::of_message(&message).expect("a result");
        assert_eq!((record.value, stdout), (Vec::new(), b"a".to_vec()));
    }

    #[test]
    fn a_task_that_was_given_back_was_not_lost() {
        let tries = Tries { returned: 2, ..Tries::default() };
        assert_eq!([1, 3, 4].map(|nth| tries.lost(nth)), [0, 0, 1]);
    }
}
