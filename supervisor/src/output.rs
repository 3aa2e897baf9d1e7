//! Writing what tasks wrote: each task's in one piece, in a thread of its own, so that a full pipe or
//! a slow disk never holds up the event loop.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use indicatif::ProgressBar;

/// With more than this waiting to be written, nothing new is started.
const PRESSURE_BYTES: u64 = 32 << 20;

/// Outputs that wait for their turn (`-k`) beyond this many bytes go to a file.
const HELD_BYTES: u64 = 16 << 20;

/// What a task wrote to one stream.
#[derive(Debug)]
pub(crate) enum Piece {
    /// In memory.
    Bytes(Vec<u8>),
    /// In a file of the run's folder; it is opened only when it is written and removed then.
    File(PathBuf),
    /// Among other held outputs in a file without a name: from where, how many bytes.
    Spooled(Arc<File>, u64, u64),
}

impl Piece {
    fn in_memory(&self) -> u64 {
        match self {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::File(_) | Piece::Spooled(..) => 0,
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Piece::Bytes(bytes) if bytes.is_empty())
    }
}

/// What one task wrote; it has reached its end.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// The task's number in the input.
    pub(crate) seq: u64,
    pub(crate) stdout: Piece,
    pub(crate) stderr: Piece,
}

impl Delivery {
    fn in_memory(&self) -> u64 {
        self.stdout.in_memory() + self.stderr.in_memory()
    }
}

/// How outputs are written.
#[derive(Debug)]
pub(crate) struct Style {
    /// In the order of the input.
    pub(crate) keep_order: bool,
    /// Where outputs that wait for their turn go when they are many.
    pub(crate) folder: PathBuf,
    /// The bar to hide while standard error is written.
    pub(crate) bar: Option<ProgressBar>,
}

/// The writer's end that the event loop holds.
#[derive(Debug)]
pub(crate) struct Output {
    sender: Sender<Delivery>,
    state: Arc<State>,
    thread: JoinHandle<()>,
    keep_order: bool,
}

#[derive(Debug, Default)]
struct State {
    waiting_bytes: AtomicU64,
    closed: AtomicBool,
}

impl Output {
    pub(crate) fn start(style: Style) -> Output {
        let (sender, receiver) = channel();
        let state = Arc::new(State::default());
        let keep_order = style.keep_order;
        let writer = Writer {
            style,
            state: Arc::clone(&state),
            stdout: BufWriter::with_capacity(64 << 10, io::stdout()),
            held: BTreeMap::new(),
            held_bytes: 0,
            next: 1,
        };
        let thread = thread::spawn(move || writer.run(&receiver));
        Output { sender, state, thread, keep_order }
    }

    /// Hands over what a task wrote.
    pub(crate) fn deliver(&self, delivery: Delivery) {
        if !self.keep_order && delivery.stdout.is_empty() && delivery.stderr.is_empty() {
            return;
        }
        self.state.waiting_bytes.fetch_add(delivery.in_memory(), Ordering::Relaxed);
        // The writer only ends when this end is dropped.
        let _ = self.sender.send(delivery);
    }

    /// Whether too much waits to be written.
    pub(crate) fn is_under_pressure(&self) -> bool {
        self.state.waiting_bytes.load(Ordering::Relaxed) > PRESSURE_BYTES
    }

    /// Whether nobody reads standard output any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.state.closed.load(Ordering::Relaxed)
    }

    /// Waits until everything is written. Whether it all went out.
    pub(crate) fn finish(self) -> bool {
        drop(self.sender);
        self.thread.join().is_ok() && !self.state.closed.load(Ordering::Relaxed)
    }
}

struct Writer {
    style: Style,
    state: Arc<State>,
    stdout: BufWriter<io::Stdout>,
    held: BTreeMap<u64, Delivery>,
    held_bytes: u64,
    next: u64,
}

impl Writer {
    fn run(mut self, deliveries: &Receiver<Delivery>) {
        while let Ok(first) = deliveries.recv() {
            self.take(first);
            while let Ok(next) = deliveries.try_recv() {
                self.take(next);
            }
            self.flush();
        }
        // With `-k` after a stop: what was held back behind tasks that never ran.
        for delivery in std::mem::take(&mut self.held).into_values() {
            self.write(delivery);
        }
        self.flush();
    }

    fn take(&mut self, delivery: Delivery) {
        if !self.style.keep_order {
            let bytes = delivery.in_memory();
            self.write(delivery);
            self.state.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return;
        }
        let bytes = delivery.in_memory();
        // Held outputs are bounded by spilling; they must not stop the task they wait for.
        self.state.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.held_bytes += bytes;
        self.held.insert(delivery.seq, delivery);
        while let Some(delivery) = self.held.remove(&self.next) {
            self.next += 1;
            self.held_bytes = self.held_bytes.saturating_sub(delivery.in_memory());
            self.write(delivery);
        }
        if self.held_bytes > HELD_BYTES {
            self.spill();
        }
    }

    /// Moves what is held in memory to one more file; on failure it simply stays in memory.
    fn spill(&mut self) {
        let Ok(file) = nameless_file(&self.style.folder).map(Arc::new) else { return };
        let mut at = 0;
        let pieces = self.held.values_mut().flat_map(|held| [&mut held.stdout, &mut held.stderr]);
        for piece in pieces.filter(|piece| piece.in_memory() > 0) {
            if let Piece::Bytes(bytes) = piece
                && file.write_all_at(bytes, at).is_ok()
            {
                let len = bytes.len() as u64;
                *piece = Piece::Spooled(Arc::clone(&file), at, len);
                at += len;
            }
        }
        self.held_bytes = self.held.values().map(Delivery::in_memory).sum();
    }

    fn write(&mut self, delivery: Delivery) {
        if !self.state.closed.load(Ordering::Relaxed) {
            let written = copy(delivery.stdout, &mut self.stdout);
            self.note(written);
        }
        if !delivery.stderr.is_empty() {
            self.flush();
            let write = || {
                // When standard error is gone there is nobody to tell.
                let _ = copy(delivery.stderr, &mut io::stderr().lock());
            };
            match &self.style.bar {
                Some(bar) => bar.suspend(write),
                None => write(),
            }
        }
    }

    fn flush(&mut self) {
        let flushed = self.stdout.flush();
        self.note(flushed);
    }

    fn note(&self, written: io::Result<()>) {
        if written.is_err() {
            self.state.closed.store(true, Ordering::Relaxed);
        }
    }
}

fn copy(piece: Piece, to: &mut impl Write) -> io::Result<()> {
    match piece {
        Piece::Bytes(bytes) => to.write_all(&bytes),
        Piece::File(path) => {
            let file = File::open(&path);
            let _ = std::fs::remove_file(&path);
            io::copy(&mut file?, to).map(drop)
        }
        Piece::Spooled(file, at, len) => {
            let mut bytes = vec![0; len as usize];
            file.read_exact_at(&mut bytes, at)?;
            to.write_all(&bytes)
        }
    }
}

fn nameless_file(folder: &Path) -> io::Result<File> {
    let path = folder.join("held");
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}
