//! What msup writes to the client of `msup serve`: frames (docs/guide/serve.md).

use std::io::{self, Write};

use msup_protocol::codec::{self, NOTE, NodeNote};

use super::capture::{Broken, Piece};

/// The version of the protocol.
pub(crate) const PROTOCOL: u32 = 1;

/// A stream of more bytes comes in parts before its outcome.
const INLINE: u64 = 1 << 20;

const HELLO: u8 = 1;
const OUTCOME: u8 = 2;
const PART: u8 = 3;

/// The number of streams: result, standard output, standard error.
const STREAMS: usize = 3;

/// What the client is told of a finished task besides its streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    /// The number of its attempts.
    pub(crate) attempts: u32,
    pub(crate) state: StateCode,
    pub(crate) cause: CauseCode,
    /// Of its process, where there is one; else 0.
    pub(crate) status: u8,
    pub(crate) signal: u8,
    /// The cause in words.
    pub(crate) text: String,
}

/// How a task has finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum StateCode {
    Succeeded = 0,
    Failed = 1,
    Quarantined = 2,
}

/// Why it did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum CauseCode {
    None = 0,
    Exit = 1,
    Signal = 2,
    CannotStart = 3,
    Error = 4,
    Panic = 5,
    Trouble = 6,
    LostWorker = 7,
    OutOfMemory = 8,
    TimedOut = 9,
    LeftRunning = 10,
    Stopped = 11,
}

/// The first frame: this JSON.
pub(crate) fn hello(json: &serde_json::Value) -> Vec<u8> {
    let text = json.to_string();
    let mut frame = Vec::new();
    begin(&mut frame, HELLO, text.len());
    frame.extend(text.as_bytes());
    frame
}

/// What a node is told.
pub(crate) fn note(note: &NodeNote) -> Vec<u8> {
    let (mut frame, mut content) = (Vec::new(), Vec::new());
    // Paths and causes are far shorter than the longest frame.
    if codec::encode(note, &mut content).is_ok() {
        begin(&mut frame, NOTE, content.len());
        frame.append(&mut content);
    }
    frame
}

/// Writes the outcome of a task, with its streams in the order of their numbers. A stream that
/// cannot be read back fails the task.
///
/// # Errors
/// The client cannot be written to.
pub(super) fn write(
    task: u64,
    served: Served,
    streams: [Piece; STREAMS],
    to: &mut impl Write,
) -> io::Result<()> {
    let (mut rest, mut lost): ([Vec<u8>; STREAMS], _) = (Default::default(), None);
    for ((stream, piece), rest) in (0..).zip(streams).zip(&mut rest) {
        let copied = match piece.len() {
            0..=INLINE => piece.copy(rest),
            _ => piece.copy(&mut Parts { task, stream, to }),
        };
        match copied {
            Ok(()) => {}
            Err(Broken::Source(why)) => lost = Some(why),
            Err(Broken::Target(why)) => return Err(why),
        }
    }
    match lost {
        None => write_outcome(task, &served, &rest, to),
        Some(why) => {
            let text = format!("its output is lost: {why}");
            let (state, cause) = (StateCode::Failed, CauseCode::Trouble);
            let served = Served { state, cause, status: 0, signal: 0, text, ..served };
            write_outcome(task, &served, &Default::default(), to)
        }
    }
}

fn write_outcome(
    task: u64,
    served: &Served,
    rest: &[Vec<u8>; STREAMS],
    to: &mut impl Write,
) -> io::Result<()> {
    let Served { attempts, state, cause, status, signal, text } = served;
    let mut frame = Vec::new();
    let texts = || std::iter::once(text.as_bytes()).chain(rest.iter().map(Vec::as_slice));
    let len = texts().map(|text| size_of::<u32>() + text.len()).sum::<usize>();
    begin(&mut frame, OUTCOME, size_of::<u64>() + size_of::<u32>() + 4 + len);
    frame.extend(task.to_le_bytes());
    frame.extend(attempts.to_le_bytes());
    frame.extend([*state as u8, *cause as u8, *status, *signal]);
    for text in texts() {
        frame.extend((text.len() as u32).to_le_bytes());
        frame.extend(text);
    }
    to.write_all(&frame)
}

/// The length and the kind of a frame with this number of bytes of content.
fn begin(frame: &mut Vec<u8>, kind: u8, content: usize) {
    frame.extend((content as u32 + 1).to_le_bytes());
    frame.push(kind);
}

/// Writes each piece of a stream as a part.
struct Parts<'a, W> {
    task: u64,
    stream: u8,
    to: &'a mut W,
}

impl<W: Write> Write for Parts<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(INLINE as usize)];
        let mut header = Vec::new();
        begin(&mut header, PART, size_of::<u64>() + 1 + bytes.len());
        header.extend(self.task.to_le_bytes());
        header.push(self.stream);
        self.to.write_all(&header)?;
        self.to.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served() -> Served {
        let (state, cause) = (StateCode::Failed, CauseCode::Signal);
        Served { attempts: 2, state, cause, status: 0, signal: 11, text: "signal 11".into() }
    }

    /// Splits frames into kinds and contents.
    fn frames(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
        let mut frames = Vec::new();
        while let Some((len, rest)) = bytes.split_first_chunk::<4>() {
            let (frame, rest) = rest.split_at(u32::from_le_bytes(*len) as usize);
            frames.push((frame[0], &frame[1..]));
            bytes = rest;
        }
        frames
    }

    #[test]
    fn an_outcome_is_as_the_guide_says() {
        let mut out = Vec::new();
        let piece = |text: &[u8]| Piece::Bytes(text.to_vec());
        write(7, served(), [piece(b"r"), piece(b""), piece(b"err")], &mut out).expect("memory");
        let expected = [
            &7u64.to_le_bytes()[..],
            &2u32.to_le_bytes(),
            &[1, 2, 0, 11],
            b"\x09\0\0\0signal 11",
            b"\x01\0\0\0r",
            b"\0\0\0\0",
            b"\x03\0\0\0err",
        ];
        assert_eq!(frames(&out), [(OUTCOME, &expected.concat()[..])]);
    }

    #[test]
    fn a_large_stream_comes_in_parts_before_its_outcome() {
        let content: Vec<u8> = (0..=255).cycle().take(3 << 20).collect();
        let mut out = Vec::new();
        let nothing = || Piece::Bytes(Vec::new());
        let streams = [nothing(), Piece::Bytes(content.clone()), nothing()];
        write(9, served(), streams, &mut out).expect("memory");
        let frames = frames(&out);
        let (last, parts) = frames.split_last().expect("an outcome");
        assert_eq!(last.0, OUTCOME);
        let mut joined: Vec<u8> = Vec::new();
        for (kind, part) in parts {
            assert_eq!((*kind, &part[..8], part[8]), (PART, &9u64.to_le_bytes()[..], 1));
            joined.extend(&part[9..]);
        }
        assert!(joined == content);
    }
}
