//! Frames: the content of a task's cell or file. The only module that knows the serializer.

mod command;
mod node;

pub use command::{Command, CommandInput, Extent, Folder, Place, SlotPlace};
pub use node::{FinishedTask, MadeFile, NOTE, NodeNote, NodeOrder, ORDER, QueuedTask, TriedKind};
use std::array;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// The largest frame in bytes. A decoder never allocates more, whatever the bytes say.
pub const MAX_FRAME: usize = 16 << 20;

/// One attempt of a task, from the supervisor to a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskFrame {
    /// The task's number in the input, from 1.
    pub seq: u64,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// What to do.
    pub work: Work,
}

/// What a task asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// Run this command.
    Command(Command),
    /// Give this value to the worker's own task function. The file that the task makes is written
    /// to `out`; empty if it makes none.
    Value {
        /// The value.
        value: ByteBuf,
        /// The path of the file.
        out: ByteBuf,
        /// What its last attempt left when it parked, if it did.
        state: Option<ByteBuf>,
    },
    /// Give this value to a program that keeps running.
    Line(Line),
}

/// A value for the standard input of a program that the worker keeps running from task to task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The program: that of the run, or of the stage of a pipeline.
    pub program: Program,
    /// The value, without the byte that ends it.
    pub value: ByteBuf,
}

/// A program that reads values, and answers each with a line of JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Program and arguments.
    pub argv: Vec<ByteBuf>,
    /// The byte that ends each value.
    pub terminator: u8,
    /// The limit on the data of each of its processes in bytes, 0 for none.
    pub memory: u64,
    /// How many milliseconds it has to exit after the end of its input.
    pub exits_within_ms: u64,
    /// The signals that it gets then, each with the milliseconds until the next one. SIGKILL comes
    /// last.
    pub signals: Vec<(i32, u64)>,
}

/// The result of an attempt, from a worker to the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeFrame {
    /// The result itself.
    pub verdict: Verdict,
    /// When the attempt began, in nanoseconds of `CLOCK_MONOTONIC`.
    pub began_ns: u64,
    /// Its wall time in nanoseconds.
    pub wall_ns: u64,
    /// The resources used, for commands.
    pub usage: Usage,
    /// Whether the command left processes running that the worker did not wait for.
    pub leaked: bool,
    /// What it wrote to standard output.
    pub stdout: Stream,
    /// What it wrote to standard error.
    pub stderr: Stream,
    /// What it reported to the program that submitted the task, if anything.
    pub result: Stream,
    /// The values of more tasks, as [`push_value`] writes them.
    pub emitted: Stream,
}

/// The resources that a command and the children it waited for used, mostly from the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Its process id, 0 when there was none.
    pub pid: u32,
    /// From its start to its exit without pauses of the run, in nanoseconds.
    pub wall_ns: u64,
    /// CPU time in nanoseconds.
    pub cpu_ns: u64,
    /// The number of its voluntary context switches.
    pub sleeps: u64,
    /// Peak memory in bytes of the largest of its processes.
    pub peak: u64,
    /// CPU time in nanoseconds that the worker itself has used since its last report.
    pub worker_ns: u64,
}

/// The result of an attempt whose worker survived it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The task function returned `Ok`.
    Done,
    /// It wants to be called again after this number of nanoseconds, with what it left as its
    /// result.
    Parked(u64),
    /// The task function returned an error: its text.
    Failed(String),
    /// The task function panicked: its message. The worker exits after this.
    Panicked(String),
    /// The command exited with this status.
    Exited(u8),
    /// The command was killed by this signal.
    Signaled(u8),
    /// The command could not be started: the system's error number, and an explanation if there is
    /// one.
    CannotStart(i32, String),
    /// The worker could not do its own part (read the task, keep the output): why.
    Trouble(String),
    /// The task or its output is gone, and not because of this attempt alone: why. It is retried.
    Lost(String),
}

/// What was written to one stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    /// All of it.
    Here(ByteBuf),
    /// In a file in the run's folder; both sides derive its name.
    File(LeftFile),
}

/// A file as its worker left it: tasks can replace it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftFile {
    /// Its length in bytes.
    pub len: u64,
    /// Its inode number.
    pub inode: u64,
    /// Its last modification, in seconds and nanoseconds since 1970.
    pub modified: (i64, i64),
}

impl LeftFile {
    /// This file as it is now.
    ///
    /// # Errors
    /// The system's error.
    pub fn of(file: &std::fs::File) -> std::io::Result<LeftFile> {
        use std::os::unix::fs::MetadataExt;
        let meta = file.metadata()?;
        let modified = (meta.mtime(), meta.mtime_nsec());
        Ok(LeftFile { len: meta.len(), inode: meta.ino(), modified })
    }
}

impl Stream {
    /// Nothing was written.
    #[must_use]
    pub fn nothing() -> Stream {
        Stream::Here(ByteBuf::new())
    }
}

/// No attempt takes longer, waits longer or uses more CPU time: 30 years, in nanoseconds.
pub const NS_AT_MOST: u64 = 30 * 365 * 86_400 * 1_000_000_000;
/// No command sleeps more often: a million times a second for a year.
const SLEEPS_AT_MOST: u64 = 365 * 86_400 * 1_000_000;
/// No process has more memory than a virtual address can span: 57 bits on the largest machines.
const PEAK_AT_MOST: u64 = 1 << 57;
/// The kernel's limit on process ids.
const PID_AT_MOST: u32 = 1 << 22;
/// The kernel's highest error number and highest signal.
const ERRNO_AT_MOST: i32 = 4095;
const SIGNAL_AT_MOST: u8 = 64;

/// A number that no worker can have measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {number}")]
pub struct OutOfRange {
    what: &'static str,
    number: i128,
}

impl OutcomeFrame {
    /// Checks that every number is in its range. Any program can be a worker and report anything,
    /// and the supervisor calculates with these numbers. Sums of thousands of them fit their types.
    ///
    /// # Errors
    /// The first number that is out of range.
    pub fn check(&self) -> Result<(), OutOfRange> {
        // Whatever `began_ns` says, it is taken for a time since the machine started.
        let OutcomeFrame { verdict, wall_ns, usage, stdout, stderr, result, emitted, .. } = self;
        let Usage { pid, wall_ns: command_ns, cpu_ns, sleeps, peak, worker_ns } = *usage;
        let len = |stream: &Stream| match stream {
            // Part of the frame, whose length was checked.
            Stream::Here(_) => 0,
            Stream::File(left) => left.len,
        };
        for (what, number, at_most) in [
            ("a duration of", *wall_ns, NS_AT_MOST),
            ("a command's duration of", command_ns, NS_AT_MOST),
            ("CPU time of", cpu_ns, NS_AT_MOST),
            ("a worker's CPU time of", worker_ns, NS_AT_MOST),
            ("a number of sleeps of", sleeps, SLEEPS_AT_MOST),
            ("a peak of memory of", peak, PEAK_AT_MOST),
            ("a process id of", pid.into(), PID_AT_MOST.into()),
            ("an output's length of", len(stdout), i64::MAX as u64),
            ("an output's length of", len(stderr), i64::MAX as u64),
            ("a result's length of", len(result), i64::MAX as u64),
            ("a length of values of", len(emitted), EMITTED_AT_MOST as u64),
        ] {
            in_range(what, number.into(), 0..=at_most.into())?;
        }
        match verdict {
            Verdict::Signaled(signal) => {
                in_range("signal", (*signal).into(), 1..=SIGNAL_AT_MOST.into())
            }
            Verdict::CannotStart(errno, _) => {
                // Zero: the worker could not even ask the kernel.
                in_range("error number", (*errno).into(), 0..=ERRNO_AT_MOST.into())
            }
            Verdict::Parked(after_ns) => {
                in_range("a wait of", (*after_ns).into(), 0..=NS_AT_MOST.into())
            }
            Verdict::Done
            | Verdict::Lost(_)
            | Verdict::Exited(_)
            | Verdict::Failed(_)
            | Verdict::Panicked(_)
            | Verdict::Trouble(_) => Ok(()),
        }
    }
}

fn in_range(
    what: &'static str,
    number: i128,
    range: std::ops::RangeInclusive<i128>,
) -> Result<(), OutOfRange> {
    if range.contains(&number) { Ok(()) } else { Err(OutOfRange { what, number }) }
}

/// The bytes are no frame, or too long.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// It cannot be encoded within [`MAX_FRAME`].
    #[error("a frame of {0} bytes is larger than {MAX_FRAME}")]
    TooLarge(usize),
    /// Not an encoder's output.
    #[error("malformed frame: {0}")]
    Malformed(String),
}

/// Encodes a frame into `bytes`, which is emptied first.
///
/// # Errors
/// [`CodecError::TooLarge`].
pub fn encode<T: Serialize>(frame: &T, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
    bytes.clear();
    bincode::serde::encode_into_std_write(frame, bytes, bincode::config::standard())
        .map_err(|why| CodecError::Malformed(why.to_string()))?;
    if bytes.len() > MAX_FRAME { Err(CodecError::TooLarge(bytes.len())) } else { Ok(()) }
}

/// Decodes a frame that must span exactly `bytes`.
///
/// # Errors
/// [`CodecError::Malformed`], also for bytes left over.
pub fn decode<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T, CodecError> {
    let config = bincode::config::standard().with_limit::<MAX_FRAME>();
    match bincode::serde::decode_from_slice(bytes, config) {
        Ok((frame, used)) if used == bytes.len() => Ok(frame),
        Ok((_, used)) => {
            Err(CodecError::Malformed(format!("{} bytes left over", bytes.len() - used)))
        }
        Err(why) => Err(CodecError::Malformed(why.to_string())),
    }
}

/// The name, in the run's folder, of a task's frame that is too large for its slot.
#[must_use]
pub fn task_file(index: u16, publication: u64) -> String {
    format!("{index}.{publication}.task")
}

/// No value has more bytes: it must fit a frame.
pub const VALUE_AT_MOST: usize = 15 << 20;

/// The number of bytes that a task may leave when it parks.
pub const STATE_AT_MOST: usize = 64 << 10;

/// The number of streams of an attempt: standard output, standard error, its result, and the values
/// of more tasks.
pub const STREAMS: usize = 4;

/// The number of bytes of values that one attempt may emit, with their lengths.
pub const EMITTED_AT_MOST: usize = 64 << 20;

/// Adds a value of one more task.
pub fn push_value(values: &mut Vec<u8>, value: &[u8]) {
    values.extend((value.len() as u32).to_le_bytes());
    values.extend(value);
}

/// The values that were added. `None` if this is not what [`push_value`] writes.
#[must_use]
pub fn values(mut bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut values = Vec::new();
    while !bytes.is_empty() {
        let (len, rest) = bytes.split_first_chunk()?;
        let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        values.push(value.to_vec());
        bytes = rest;
    }
    Some(values)
}

/// What the names of an attempt's streams are made of, in this order.
const STREAM_ENDINGS: [&str; STREAMS] = ["out", "err", "result", "emitted"];

/// The names, in the run's folder, of an attempt's streams.
#[must_use]
pub fn stream_files(index: u16, publication: u64) -> [String; STREAMS] {
    array::from_fn(|stream| stream_file(index, publication, stream))
}

/// The name, in the run's folder, of one of an attempt's streams.
#[must_use]
pub fn stream_file(index: u16, publication: u64, stream: usize) -> String {
    let ending = STREAM_ENDINGS[stream];
    format!("{index}.{publication}.{ending}")
}

/// The name of the file that shows what is in memory of a stream whose file has this name, while
/// its attempt runs. It is written when the supervisor asks for it.
#[must_use]
pub fn look_file(stream_file: &str) -> String {
    format!("{stream_file}.look")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn frames_survive() {
        let task = TaskFrame {
            seq: 7,
            attempt: 2,
            work: Work::Command(Command {
                argv: vec![ByteBuf::from(*b"cat"), ByteBuf::from(vec![0xff, b'\n', 0xfe])],
                env: vec![(ByteBuf::from(*b"A"), ByteBuf::new())],
                slot_marks: vec![SlotPlace { argument: 1, at: 2, digits: 3 }],
                stops: true,
                place: Place {
                    folder: Folder::Given(b"d".to_vec().into()),
                    nice: Some(-3),
                    slot_variable: b"GPU".to_vec().into(),
                },
                threads: 1,
                memory: 0,
                input: CommandInput::Parts(vec![Extent { at: 1 << 40, len: 7 }]),
                announced: [ByteBuf::from(*b"cat\n"), ByteBuf::new()],
            }),
        };
        let mut bytes = Vec::new();
        encode(&task, &mut bytes).expect("small");
        assert_eq!(decode::<TaskFrame>(&bytes).expect("whole"), task);
        bytes.push(0);
        assert!(decode::<TaskFrame>(&bytes).is_err(), "a byte left over");
    }

    #[test]
    fn a_line_survives_with_its_program() {
        let program = Program {
            argv: vec![ByteBuf::from(*b"./count"), ByteBuf::from(vec![0xff])],
            terminator: 0,
            memory: 1 << 30,
            exits_within_ms: 10_000,
            signals: vec![(15, 10_000)],
        };
        let line = Line { program, value: ByteBuf::from(*b"a\nb") };
        let task = TaskFrame { seq: 1, attempt: 1, work: Work::Line(line) };
        let mut bytes = Vec::new();
        encode(&task, &mut bytes).expect("small");
        assert_eq!(decode::<TaskFrame>(&bytes).expect("whole"), task);
    }

    #[test]
    fn a_lying_length_allocates_nothing() {
        // The frame claims a value of 2^63 bytes.
        let mut bytes = vec![1, 1, 1, 253];
        bytes.extend((1u64 << 63).to_le_bytes());
        assert!(decode::<TaskFrame>(&bytes).is_err());
    }

    #[test]
    fn too_large_a_frame_is_refused() {
        let value =
            |value: Vec<u8>| Work::Value { value: value.into(), out: ByteBuf::new(), state: None };
        let huge = TaskFrame { seq: 1, attempt: 1, work: value(vec![0; MAX_FRAME]) };
        assert!(matches!(encode(&huge, &mut Vec::new()), Err(CodecError::TooLarge(_))));
    }

    #[test]
    fn values_survive() {
        let all = [b"a".to_vec(), vec![], vec![0; 70_000]];
        let mut bytes = Vec::new();
        all.iter().for_each(|value| push_value(&mut bytes, value));
        assert_eq!(values(&bytes).as_deref(), Some(&all[..]));
        assert_eq!(values(&[]), Some(vec![]));
        for cut in [1, 4, 9, bytes.len() - 1] {
            assert_eq!(values(&bytes[..cut]).filter(|v| v.len() == 3), None, "{cut} bytes");
        }
        assert_eq!(values(&[255; 4]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_decode_without_a_panic(bytes: Vec<u8>) {
            let _ = decode::<TaskFrame>(&bytes);
            let _ = decode::<OutcomeFrame>(&bytes);
        }
    }
}
