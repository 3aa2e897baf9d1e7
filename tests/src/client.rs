//! A client of `msup serve`.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

/// A running `msup serve`, and the socket to it.
#[derive(Debug)]
pub struct Client {
    /// The process.
    pub msup: Child,
    socket: UnixStream,
}

/// A frame from msup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The first one.
    Hello(serde_json::Value),
    /// A task has finished.
    Outcome(Outcome),
    /// The task, the stream and its bytes.
    Part(u64, u8, Vec<u8>),
}

/// The outcome of a task, as docs/guide/serve.md describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its number, from 1.
    pub task: u64,
    /// The number of attempts.
    pub attempts: u32,
    /// How it has finished, and why.
    pub state: u8,
    /// The number of the cause.
    pub cause: u8,
    /// The exit status and the signal.
    pub ended: (u8, u8),
    /// The cause in words.
    pub text: String,
    /// Result, standard output, standard error.
    pub streams: [Vec<u8>; 3],
}

impl Client {
    /// Starts this command with one end of a socket as its standard input and output.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn start(command: &mut Command) -> Client {
        let (socket, other) = UnixStream::pair().expect("a socket");
        let output: OwnedFd = other.try_clone().expect("a descriptor").into();
        let input: OwnedFd = other.into();
        command.stdin(Stdio::from(input)).stdout(Stdio::from(output));
        let msup = command.spawn().expect("it is built");
        // The command holds the other end until it is given something else.
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Client { msup, socket }
    }

    /// Sends tasks with these values.
    pub fn send<V: AsRef<[u8]>>(&mut self, values: impl IntoIterator<Item = V>) {
        let frames: Vec<u8> = values.into_iter().flat_map(|value| task(value.as_ref())).collect();
        self.send_raw(&frames);
    }

    /// Sends these bytes. msup may be gone.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        let _ = self.socket.write_all(bytes);
    }

    /// There are no more tasks.
    ///
    /// # Panics
    /// The socket is not open.
    pub fn end(&mut self) {
        self.socket.shutdown(Shutdown::Write).expect("it is open");
    }

    /// The next frame; `None` at the end.
    ///
    /// # Panics
    /// What comes is no frame.
    pub fn next_frame(&mut self) -> Option<Frame> {
        let mut length = [0; 4];
        match self.socket.read_exact(&mut length) {
            Ok(()) => {}
            Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => return None,
            Err(why) => panic!("{why}"),
        }
        let mut frame = vec![0; u32::from_le_bytes(length) as usize];
        self.socket.read_exact(&mut frame).expect("a whole frame");
        Some(read(&frame))
    }

    /// The outcomes until msup has no more, by number. Parts are put together.
    ///
    /// # Panics
    /// The first frame is no hello, or a task has two outcomes.
    pub fn outcomes(&mut self) -> Vec<Outcome> {
        assert!(matches!(self.next_frame(), Some(Frame::Hello(_))), "the first frame is a hello");
        let (mut outcomes, mut parts) = (Vec::new(), [const { Vec::new() }; 3]);
        while let Some(frame) = self.next_frame() {
            match frame {
                Frame::Hello(_) => panic!("a second hello"),
                Frame::Part(_, stream, bytes) => parts[usize::from(stream)].extend(bytes),
                Frame::Outcome(mut outcome) => {
                    for (whole, rest) in parts.iter_mut().zip(&mut outcome.streams) {
                        whole.append(rest);
                        std::mem::swap(whole, rest);
                    }
                    outcomes.push(outcome);
                }
            }
        }
        outcomes.sort_by_key(|outcome| outcome.task);
        outcomes
    }

    /// Closes the socket; `msup serve` may still run.
    #[must_use]
    pub fn leave(self) -> Child {
        self.msup
    }
}

/// The frame of a task.
fn task(value: &[u8]) -> Vec<u8> {
    let length = (value.len() as u32 + 1).to_le_bytes();
    [&length[..], &[1], value].concat()
}

fn read(frame: &[u8]) -> Frame {
    let (kind, mut rest) = frame.split_first().expect("a kind");
    match kind {
        1 => Frame::Hello(serde_json::from_slice(rest).expect("JSON")),
        2 => {
            let rest = &mut rest;
            let (task, attempts) = (u64::from_le_bytes(take(rest)), u32::from_le_bytes(take(rest)));
            let [state, cause, status, signal] = take(rest);
            let text = String::from_utf8(bytes(rest)).expect("UTF-8");
            let streams = [(); 3].map(|()| bytes(rest));
            assert!(rest.is_empty(), "bytes left over");
            let ended = (status, signal);
            Frame::Outcome(Outcome { task, attempts, state, cause, ended, text, streams })
        }
        3 => {
            let rest = &mut rest;
            let (task, [stream]) = (u64::from_le_bytes(take(rest)), take(rest));
            Frame::Part(task, stream, rest.to_vec())
        }
        kind => panic!("a frame of kind {kind}"),
    }
}

fn take<const N: usize>(from: &mut &[u8]) -> [u8; N] {
    let (taken, rest) = from.split_first_chunk().expect("a whole frame");
    *from = rest;
    *taken
}

fn bytes(from: &mut &[u8]) -> Vec<u8> {
    let length = u32::from_le_bytes(take(from)) as usize;
    let (taken, rest) = from.split_at(length);
    *from = rest;
    taken.to_vec()
}
