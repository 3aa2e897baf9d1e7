//! Writes the output of tasks and the messages of msup, each in one piece, in a thread of its own:
//! a full pipe, a stopped terminal or a slow disk never holds up the event loop.

mod capture;
mod error;
pub(crate) mod files;
pub(crate) mod filing;
pub(crate) mod frames;
mod keeping;
mod lines;
mod live;
pub(crate) mod replay;
mod screen;
mod spilled;
mod writer;

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

pub(crate) use capture::{Delivery, Piece};
pub(crate) use error::OutputError;
use filing::Filing;
pub(crate) use live::LivePipe;
pub(crate) use spilled::{OpenOnes, Spilled};

use crate::journal::Keeper;
use crate::os::terminal;
use crate::os::threads;
use crate::report::bar::Progress;
use crate::template::Looks;
use live::LiveNotes;
use rustix::event::{EventfdFlags, eventfd};
use writer::Writer;

/// With more than this waiting to be written, nothing new is started.
const BACKLOG: u64 = 32 << 20;

/// With more outputs than this waiting for their turn (`-k`), only tasks are started that they may
/// wait for.
const HELD: u64 = 1 << 18;

/// Outputs that wait for their turn (`-k`) beyond this many bytes go to a file.
const HELD_IN_MEMORY: u64 = 16 << 20;

/// How long the bar may take to disappear.
const HIDE_WITHIN: Duration = Duration::from_secs(1);

/// How often the reader of standard output is checked.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How outputs are written.
#[derive(Debug)]
pub(crate) struct Style {
    /// In the order of the input.
    pub(crate) keep_order: bool,
    /// The folder for outputs that wait for their turn when they are large.
    pub(crate) folder: PathBuf,
    /// Whether there is a progress bar.
    pub(crate) bar: bool,
    /// Keeps outputs with the run.
    pub(crate) keeper: Option<Keeper>,
    /// For the client of `msup serve`: the first frame.
    pub(crate) hello: Option<Vec<u8>>,
    /// Outputs are filed instead of being shown.
    pub(crate) filing: Option<Filing>,
    /// Outputs are shown line by line while commands run.
    pub(crate) live: Option<LivePipe>,
}

/// Why standard output, or standard error, takes no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unwritable {
    /// No process reads it any more.
    Closed,
    /// A system error, with the name of the stream.
    Other(String),
}

/// The event loop's handle to the writer. Nothing here waits.
#[derive(Debug)]
pub(crate) struct Output {
    sender: Option<Sender<Message>>,
    state: Arc<State>,
    keep_order: bool,
    /// Rung after each message, if the writer waits for parts of outputs, too.
    wake: Option<Arc<OwnedFd>>,
    /// When the reader was last checked.
    looked: Instant,
}

#[derive(Debug)]
enum Message {
    Deliver(Box<Delivery>),
    /// For the client of `msup serve`.
    Frame(Vec<u8>),
    Say(String),
    /// Remove the bar, and confirm it.
    Hide(Sender<()>),
    /// The bar may be drawn again.
    Unhide,
    /// There will be no more deliveries.
    Close,
}

#[derive(Debug)]
struct State {
    backlog: AtomicU64,
    held: AtomicU64,
    /// Something has been written to standard output.
    has_shown: AtomicBool,
    /// Outputs that could not be read back.
    lost: AtomicU64,
    closed: AtomicBool,
    ended: AtomicBool,
    failure: OnceLock<Unwritable>,
    progress: Mutex<Option<Progress>>,
    /// Tasks whose outputs have been shown.
    shown: Mutex<Vec<u64>>,
    /// Tasks whose outputs are kept with the run, and have to wait.
    kept: Mutex<Vec<u64>>,
    /// Tasks whose outputs are not kept with the run because a write has failed.
    unkept: Mutex<Vec<u64>>,
    /// Tasks whose outputs are not kept, and have to wait for their turn.
    behind: Mutex<Vec<u64>>,
    /// Tasks whose outputs are neither shown nor kept, and never will be.
    missing: Mutex<Vec<u64>>,
    live: LiveNotes,
    /// Written whenever the event loop should look here again.
    doorbell: OwnedFd,
}

impl Output {
    /// Starts the writer. It writes to the eventfd when pressure falls, standard output fails, or
    /// everything is written.
    ///
    /// # Errors
    /// [`OutputError`].
    pub(crate) fn start(style: Style, doorbell: OwnedFd) -> Result<Output, OutputError> {
        let (sender, receiver) = channel();
        let state = Arc::new(State::new(doorbell));
        let keep_order = style.keep_order;
        let wake = style.live.as_ref().map(|_| eventfd(0, EventfdFlags::NONBLOCK));
        let wake = wake.transpose().map_err(std::io::Error::from)?.map(Arc::new);
        let writer = Writer::new(style, wake.clone(), Arc::clone(&state))?;
        threads::start("output", move || writer.run(&receiver))?;
        Ok(Output { sender: Some(sender), state, keep_order, wake, looked: Instant::now() })
    }

    /// Hands over a task's output. Returns whether there is anything to show, so that
    /// [`Output::shown`] will report it.
    pub(crate) fn deliver(&self, delivery: Delivery) -> bool {
        // What it has written before is with the writer.
        let is_empty = delivery.is_empty() && self.wake.is_none();
        if self.keep_order || !is_empty {
            self.send(Message::Deliver(Box::new(delivery)));
        }
        !is_empty
    }

    /// Tells the client of `msup serve` something besides the outcomes.
    pub(crate) fn tell(&self, frame: Vec<u8>) {
        self.send(Message::Frame(frame));
    }

    /// The tasks whose outputs have been shown since the last time.
    pub(crate) fn shown(&self) -> Vec<u64> {
        take(&self.state.shown)
    }

    /// The tasks whose outputs have been kept with the run since the last time, and cannot be shown
    /// yet, or at all.
    pub(crate) fn kept(&self) -> Vec<u64> {
        take(&self.state.kept)
    }

    /// The tasks whose outputs could not be kept since the last time, although those of others
    /// were. It is told before such an output is told as shown.
    pub(crate) fn unkept(&self) -> Vec<u64> {
        take(&self.state.unkept)
    }

    /// The tasks whose outputs wait for their turn since the last time, and are not kept with the
    /// run.
    pub(crate) fn behind(&self) -> Vec<u64> {
        take(&self.state.behind)
    }

    /// The tasks whose outputs could be neither shown nor kept since the last time.
    pub(crate) fn missing(&self) -> Vec<u64> {
        take(&self.state.missing)
    }

    /// How many bytes of standard output the tasks have written that have finished since the last
    /// time. It is told before their outputs are told as shown.
    pub(crate) fn received(&self) -> Vec<(u64, u64)> {
        take(&self.state.live.received)
    }

    /// Whether outputs are shown while tasks run.
    pub(crate) fn is_live(&self) -> bool {
        self.wake.is_some()
    }

    /// How the output of a task looks that is about to be started.
    pub(crate) fn will_look(&self, seq: u64, looks: Looks) {
        self.state.live.set(seq, looks);
    }

    /// Prints one or several lines on standard error.
    pub(crate) fn say(&self, text: String) {
        self.send(Message::Say(text));
    }

    /// Shows this on the bar, when it is next drawn.
    pub(crate) fn show(&self, progress: Progress) {
        if let Ok(mut shown) = self.state.progress.try_lock() {
            *shown = Some(progress);
        }
    }

    /// Removes the bar, and waits for that, but not for a terminal that is stuck.
    pub(crate) fn hide(&self) {
        let (hidden, told) = channel();
        self.send(Message::Hide(hidden));
        let _ = told.recv_timeout(HIDE_WITHIN);
    }

    /// Lets the bar be drawn again.
    pub(crate) fn unhide(&self) {
        self.send(Message::Unhide);
    }

    /// Whether too much waits to be written.
    pub(crate) fn is_behind(&self) -> bool {
        self.state.backlog.load(Ordering::Relaxed) > BACKLOG
    }

    /// Whether too many outputs wait for their turn.
    pub(crate) fn holds_too_many(&self) -> bool {
        self.state.held.load(Ordering::Relaxed) > HELD
    }

    /// Checks now and then whether the reader has gone since output was shown. Where tasks write
    /// nothing, no reader is needed.
    pub(crate) fn look_for_reader(&mut self) {
        if self.looked.elapsed() < LOOK_EVERY || !self.state.has_shown.load(Ordering::Relaxed) {
            return;
        }
        self.look_for_reader_now();
    }

    /// Checks it now: a task has missed it.
    pub(crate) fn look_for_reader_now(&mut self) {
        self.looked = Instant::now();
        if terminal::reader_is_gone() {
            let _ = self.state.failure.set(Unwritable::Closed);
        }
    }

    /// Whether standard output takes no more, and why.
    pub(crate) fn failure(&self) -> Option<&Unwritable> {
        self.state.failure.get()
    }

    /// Whether all that was delivered is shown, or about to be: nothing was lost on the way.
    pub(crate) fn is_whole(&self) -> bool {
        self.failure().is_none() && self.state.lost.load(Ordering::Relaxed) == 0
    }

    /// There will be no more deliveries. Messages may follow.
    pub(crate) fn close(&self) {
        self.send(Message::Close);
    }

    /// Whether everything is written since [`Output::close`], and the bar gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.state.closed.load(Ordering::Acquire)
    }

    /// There will be nothing more at all.
    pub(crate) fn end(&mut self) {
        self.sender = None;
        self.wake();
    }

    /// Whether the writer has finished, since [`Output::end`].
    pub(crate) fn has_ended(&self) -> bool {
        self.state.ended.load(Ordering::Acquire)
    }

    fn send(&self, message: Message) {
        self.state.backlog.fetch_add(message.weight(), Ordering::Relaxed);
        if let Some(sender) = &self.sender {
            // The writer only stops when this handle is dropped.
            let _ = sender.send(message);
        }
        self.wake();
    }

    fn wake(&self) {
        if let Some(wake) = &self.wake {
            let _ = rustix::io::write(wake, &1u64.to_ne_bytes());
        }
    }
}

impl Message {
    fn weight(&self) -> u64 {
        match self {
            Message::Deliver(delivery) => delivery.weight(),
            Message::Frame(frame) => frame.len() as u64,
            Message::Say(text) => text.len() as u64,
            Message::Hide(_) | Message::Unhide | Message::Close => 0,
        }
    }
}

impl State {
    fn new(doorbell: OwnedFd) -> State {
        State {
            backlog: AtomicU64::new(0),
            held: AtomicU64::new(0),
            has_shown: AtomicBool::new(false),
            lost: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            failure: OnceLock::new(),
            progress: Mutex::new(None),
            shown: Mutex::new(Vec::new()),
            kept: Mutex::new(Vec::new()),
            unkept: Mutex::new(Vec::new()),
            behind: Mutex::new(Vec::new()),
            missing: Mutex::new(Vec::new()),
            live: LiveNotes::default(),
            doorbell,
        }
    }

    /// Tells the event loop of tasks: `told` is one of the lists above.
    fn tell(&self, told: &Mutex<Vec<u64>>, tasks: &mut Vec<u64>) {
        if !tasks.is_empty() {
            told.lock().unwrap_or_else(PoisonError::into_inner).append(tasks);
            self.ring();
        }
    }

    fn note_lost(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    fn ring(&self) {
        let _ = rustix::io::write(&self.doorbell, &1u64.to_ne_bytes());
    }

    /// A sum of what waits went from `before` to `now`: rings if that ended the pressure.
    fn fell(&self, before: u64, now: u64, limit: u64) {
        if before > limit && now <= limit {
            self.ring();
        }
    }

    fn lift(&self, weight: u64) {
        let before = self.backlog.fetch_sub(weight, Ordering::Relaxed);
        self.fell(before, before - weight, BACKLOG);
    }

    fn holds(&self, now: u64) {
        let before = self.held.swap(now, Ordering::Relaxed);
        self.fell(before, now, HELD);
    }
}

fn take<T>(told: &Mutex<Vec<T>>) -> Vec<T> {
    std::mem::take(&mut *told.lock().unwrap_or_else(PoisonError::into_inner))
}
