//! What wakes the event loop: the bell of workers and threads, exits of workers, signals, time.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use msup_protocol::bell::{Bell, Wants};
use msup_protocol::layout::Shared;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{FdFlags, fcntl_setfd};

use super::error::RunError;
use crate::os::poller::Poller;
use crate::os::signals::Signals;

/// With this number of outcomes since it last slept the loop is woken for batches only, or after
/// `BATCH_WITHIN`.
const BATCH: usize = 32;
const BATCH_WITHIN: Duration = Duration::from_millis(1);

/// Children that have exited and are no workers are looked for this often at most: the kernel goes
/// through all children, of which there may be thousands. Until then they only take up their pids.
const REAP_EVERY: Duration = Duration::from_millis(10);

/// Keys of the poller; a worker's key is the number of its slot.
const KEY_BELL: u64 = 1 << 32;
const KEY_SIGNAL: u64 = 2 << 32;
const KEY_LIMIT: u64 = 3 << 32;
const KEY_TERMINAL: u64 = 4 << 32;

/// Everything that the loop waits for.
pub(super) struct Wakeups {
    doorbell: OwnedFd,
    pub(super) poller: Poller,
    pub(super) signals: Signals,
    /// The number of outcomes since the loop last slept.
    outcomes: usize,
    /// When children that have exited are looked for again, in the run's time.
    reaps_at: Duration,
}

impl Wakeups {
    /// Installs the handlers of signals, too.
    ///
    /// # Errors
    /// One of them cannot be made.
    pub(super) fn open() -> Result<Wakeups, RunError> {
        let doorbell = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC);
        let doorbell = doorbell.map_err(RunError::of("eventfd"))?;
        let signals = Signals::install().map_err(RunError::of("signals"))?;
        let poller = Poller::new().map_err(RunError::of("epoll"))?;
        poller.watch(&doorbell, KEY_BELL).map_err(RunError::of("epoll"))?;
        for pipe in signals.pipes() {
            poller.watch(pipe, KEY_SIGNAL).map_err(RunError::of("epoll"))?;
        }
        Ok(Wakeups { doorbell, poller, signals, outcomes: 0, reaps_at: Duration::ZERO })
    }

    /// A descriptor of the bell for a thread of this process.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub(super) fn doorbell(&self) -> Result<OwnedFd, RunError> {
        self.doorbell.try_clone().map_err(RunError::of("eventfd"))
    }

    /// A descriptor of the bell for workers to inherit, as they inherit the segment.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub(super) fn inherited_doorbell(&self) -> Result<OwnedFd, RunError> {
        let doorbell = self.doorbell()?;
        fcntl_setfd(&doorbell, FdFlags::empty())
            .map_err(RunError::of("descriptors for workers"))?;
        Ok(doorbell)
    }

    /// The loop wakes up when the command of `--limit` exits.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn watch_limit(&self, process: BorrowedFd<'_>) -> io::Result<()> {
        self.poller.watch(process, KEY_LIMIT)
    }

    /// The loop wakes up when a line was typed on the terminal.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn watch_terminal(&self, terminal: &OwnedFd) -> io::Result<()> {
        self.poller.watch(terminal, KEY_TERMINAL)
    }

    /// It wakes up for that no more.
    pub(super) fn forget_terminal(&self, terminal: &OwnedFd) {
        self.poller.forget(terminal);
    }

    /// Whether to look for children that have exited, now.
    pub(super) fn takes_exits(&mut self, now: Duration) -> bool {
        let is_due = now >= self.reaps_at && self.signals.child_exited();
        if is_due {
            self.reaps_at = now + REAP_EVERY;
        }
        is_due
    }

    /// This number of outcomes has come in.
    pub(super) fn note_outcomes(&mut self, outcomes: usize) {
        self.outcomes += outcomes;
    }

    /// Sleeps until something happens, or for this time. `has_news` is asked when workers can see
    /// that the loop is about to sleep. Returns the keys of what has become readable, of which
    /// those of workers are below [`KEY_BELL`].
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn sleep(
        &mut self,
        shared: &Shared<'_>,
        nap: Duration,
        has_news: impl Fn() -> bool,
    ) -> io::Result<impl Iterator<Item = u16>> {
        let bell = Bell::new(shared.header.bell(), self.doorbell.as_fd());
        let (wants, nap) = if self.outcomes >= BATCH {
            // Outcomes come in so fast that it is enough to be woken for batches, and to look now
            // and then.
            (Wants::Batches, nap.min(BATCH_WITHIN))
        } else {
            (Wants::Each, nap)
        };
        bell.arm(wants);
        let timeout = if has_news() {
            Duration::ZERO
        } else {
            self.outcomes = 0;
            nap
        };
        let keys = self.poller.wait(timeout)?;
        bell.disarm();
        Ok(keys.into_iter().filter(|key| *key < KEY_BELL).map(|key| key as u16))
    }

    /// Waits until something happens, or for this time.
    pub(super) fn wait(&self, time: Duration) {
        // It returns early if interrupted; callers wait in loops.
        let _ = self.poller.wait(time);
    }

    /// The same, and takes note of a bell that was rung.
    pub(super) fn wait_for_bell(&self, shared: &Shared<'_>, time: Duration) {
        self.wait(time);
        Bell::new(shared.header.bell(), self.doorbell.as_fd()).disarm();
    }
}
