//! The msup that runs the tasks of a node: a child process, which speaks frames as the one of
//! `msup serve` does (docs/guide/serve.md). It is never waited for: what it says comes as news.

use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as BlockingStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

use msup_protocol::codec::{self, MAX_FRAME, NOTE, NodeNote, NodeOrder, ORDER};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::session::News;

/// The kinds of frames besides those of nodes.
const HELLO: u8 = 1;
const OUTCOME: u8 = 2;
const PART: u8 = 3;

/// Outputs of this many bytes together may wait for the server. With more, the next outcome is not
/// read, and the runner starts nothing new.
const WAITING_AT_MOST: usize = 256 << 20;

/// The streams of an outcome: its result, standard output, standard error.
const STREAMS: usize = 3;

/// The outcome of a task.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) seq: u64,
    /// The number of its attempts, on other nodes, too.
    pub(super) attempts: u32,
    /// 0: it has succeeded, 1: it has failed, 2: it is quarantined.
    pub(super) state: u8,
    /// Why it did not succeed.
    pub(super) text: String,
    /// Standard output and standard error.
    pub(super) outputs: [Vec<u8>; 2],
    /// How many bytes were cut off, because they are too many.
    pub(super) cut: u64,
    /// Room for its outputs among those that wait.
    pub(super) _room: OwnedSemaphorePermit,
}

/// What a runner says.
#[derive(Debug)]
pub(super) enum RunnerNews {
    Note(NodeNote),
    Outcome(Box<Outcome>),
    /// It says nothing any more.
    Gone,
}

/// The child process.
#[derive(Debug)]
pub(super) struct Runner {
    child: Option<Child>,
    orders: Option<UnboundedSender<Vec<u8>>>,
    socket: BlockingStream,
}

impl Runner {
    /// Starts it. An output of more than `max_output` bytes is cut.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn start(
        mut command: Command,
        max_output: u64,
        news: UnboundedSender<News>,
    ) -> io::Result<Runner> {
        let (ours, theirs) = BlockingStream::pair()?;
        ours.set_nonblocking(true)?;
        let socket = ours.try_clone()?;
        let output: OwnedFd = theirs.try_clone()?.into();
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::from(output));
        let child = command.spawn()?;
        // The command holds the other end until it is dropped: then its end can be seen.
        drop(command);
        let (reads, writes) = UnixStream::from_std(ours)?.into_split();
        let (orders, received) = unbounded_channel();
        tokio::spawn(write(writes, received));
        tokio::spawn(async move {
            let mut frames = Frames::new(reads, max_output);
            // What is no frame ends it as its exit does.
            while let Ok(Some(said)) = frames.next().await {
                if news.send(News::Runner(said)).is_err() {
                    return;
                }
            }
            let _ = news.send(News::Runner(RunnerNews::Gone));
        });
        Ok(Runner { child: Some(child), orders: Some(orders), socket })
    }

    pub(super) fn order(&self, order: &NodeOrder) {
        let mut content = Vec::new();
        if codec::encode(order, &mut content).is_err() {
            return;
        }
        let mut frame = (content.len() as u32 + 1).to_le_bytes().to_vec();
        frame.push(ORDER);
        frame.append(&mut content);
        if let Some(orders) = &self.orders {
            // It may be gone.
            let _ = orders.send(frame);
        }
    }

    /// There are no more orders: it finishes what it has, and exits.
    pub(super) fn close(&mut self) {
        self.orders = None;
    }

    /// Waits until it has exited.
    pub(super) async fn exited(&mut self) -> Option<ExitStatus> {
        let mut child = self.child.take()?;
        let waited = tokio::task::spawn_blocking(move || child.wait()).await;
        waited.ok()?.ok()
    }
}

impl Drop for Runner {
    /// A session that fails leaves no process behind: a runner without a node stops what runs, and
    /// exits. Nothing on this thread writes to it meanwhile.
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = self.socket.shutdown(Shutdown::Both);
            let _ = child.wait();
        }
    }
}

async fn write(mut to: OwnedWriteHalf, mut orders: UnboundedReceiver<Vec<u8>>) {
    while let Some(mut bytes) = orders.recv().await {
        while let Ok(mut more) = orders.try_recv() {
            bytes.append(&mut more);
        }
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

/// Reads frames, and puts together the parts of outputs.
struct Frames {
    from: BufReader<OwnedReadHalf>,
    /// Of the outcome that comes next.
    parts: [Vec<u8>; STREAMS],
    cut: u64,
    max_output: u64,
    room: Arc<Semaphore>,
}

impl Frames {
    fn new(from: OwnedReadHalf, max_output: u64) -> Frames {
        let room = Arc::new(Semaphore::new(WAITING_AT_MOST));
        let from = BufReader::with_capacity(64 << 10, from);
        Frames { from, parts: Default::default(), cut: 0, max_output, room }
    }

    /// What is said next; `None` at the end.
    async fn next(&mut self) -> io::Result<Option<RunnerNews>> {
        loop {
            let len = match self.from.read_u32_le().await {
                Ok(len) => len as usize,
                Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                Err(why) => return Err(why),
            };
            if len == 0 || len > 4 * MAX_FRAME {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let mut frame = vec![0; len];
            self.from.read_exact(&mut frame).await?;
            let (kind, content) = (frame[0], &frame[1..]);
            match kind {
                HELLO => {}
                NOTE => {
                    let note = codec::decode(content).map_err(io::Error::other)?;
                    return Ok(Some(RunnerNews::Note(note)));
                }
                PART => {
                    let stream = content.get(8).copied().unwrap_or_default();
                    self.add(stream.into(), content.get(9..).unwrap_or_default());
                }
                OUTCOME => return self.outcome(content).await.map(Some),
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    /// Adds bytes to a stream, as far as they are kept.
    fn add(&mut self, stream: usize, bytes: &[u8]) {
        let kept: usize = self.parts[1..].iter().map(Vec::len).sum();
        let room = (self.max_output as usize).saturating_sub(kept);
        if let Some(part) = self.parts.get_mut(stream).filter(|_| stream > 0) {
            let (first, rest) = bytes.split_at(bytes.len().min(room));
            part.extend_from_slice(first);
            self.cut += rest.len() as u64;
        }
    }

    async fn outcome(&mut self, mut content: &[u8]) -> io::Result<RunnerNews> {
        let bad = || io::Error::from(io::ErrorKind::InvalidData);
        let from = &mut content;
        let seq = u64::from_le_bytes(take(from).ok_or_else(bad)?);
        let attempts = u32::from_le_bytes(take(from).ok_or_else(bad)?);
        let [state, _cause, _status, _signal] = take(from).ok_or_else(bad)?;
        let text = String::from_utf8_lossy(piece(from).ok_or_else(bad)?).into_owned();
        for stream in 0..STREAMS {
            let rest = piece(from).ok_or_else(bad)?;
            self.add(stream, rest);
        }
        let [_result, stdout, stderr] = std::mem::take(&mut self.parts);
        let bytes = (stdout.len() + stderr.len()).min(WAITING_AT_MOST) as u32;
        // It is never closed.
        let room = Arc::clone(&self.room).acquire_many_owned(bytes).await;
        let _room = room.map_err(io::Error::other)?;
        let (outputs, cut) = ([stdout, stderr], std::mem::take(&mut self.cut));
        let outcome = Outcome { seq, attempts, state, text, outputs, cut, _room };
        Ok(RunnerNews::Outcome(Box::new(outcome)))
    }
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*taken)
}

fn piece<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = u32::from_le_bytes(take(from)?) as usize;
    let (taken, rest) = from.split_at_checked(len)?;
    *from = rest;
    Some(taken)
}
