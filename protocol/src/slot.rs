//! A worker's slot: its park futex, its announcement, and what it counted.

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// How far a slot's process has come. The supervisor sets the first two, the worker the third.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    /// No process.
    Vacant = 0,
    /// A process was or is being spawned for it.
    Starting = 1,
    /// The process has mapped the segment and runs its task loop.
    Attached = 2,
}

/// What a worker counts, each by itself alone; the supervisor reads them any time.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Counters {
    /// Blocking calls after which the worker still had its token.
    pub fast_exits: AtomicU64,
    /// Blocking calls after which it had to get another one.
    pub slow_exits: AtomicU64,
    /// Tokens handed straight to somebody who waited.
    pub handoffs: AtomicU64,
    /// Tokens taken out of somebody else's blocking call.
    pub steals: AtomicU64,
    /// Nanoseconds spent waiting for a token in the middle of a task.
    pub wait_ns: AtomicU64,
    /// Tasks claimed.
    pub tasks: AtomicU64,
}

/// Adds to a counter that only the caller's process writes.
#[inline]
pub fn count(counter: &AtomicU64, by: u64) {
    // One writer, so no read-modify-write is needed: a counter must not cost what a token costs.
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
}

/// One worker's place in the segment. Others write only its park futex; the supervisor its order.
#[repr(C, align(128))]
#[derive(Debug, Default)]
pub struct WorkerSlot {
    /// Goes up by one whenever somebody wants the worker to look again; the worker sleeps on it.
    pub park: AtomicU32,
    status: AtomicU32,
    leave: AtomicU32,
    command: AtomicU32,
    left: AtomicU32,
    ticket: AtomicU64,
    /// What the worker has counted since the slot was prepared for it.
    pub counters: Counters,
}

impl WorkerSlot {
    /// How far the slot's process has come. A value that is no status reads as `Vacant`.
    #[must_use]
    pub fn status(&self) -> Status {
        match self.status.load(Ordering::Acquire) {
            1 => Status::Starting,
            2 => Status::Attached,
            _ => Status::Vacant,
        }
    }

    /// Sets the status.
    pub fn set_status(&self, status: Status) {
        self.status.store(status as u32, Ordering::Release);
    }

    /// When the worker announced that it waits for a token, in [`crate::sync::now_ns`]; 0 if it does
    /// not wait. The smallest is the oldest: it is the worker's ticket.
    #[must_use]
    pub fn ticket(&self) -> u64 {
        self.ticket.load(Ordering::Acquire)
    }

    pub(crate) fn set_ticket(&self, since_ns: u64) {
        self.ticket.store(since_ns, Ordering::Release);
    }

    /// Whether the supervisor wants this worker to leave as soon as it has no task.
    #[must_use]
    pub fn told_to_leave(&self) -> bool {
        // ORDERING: SeqCst. The worker puts itself among the parked, then looks here; the supervisor
        // writes here, then wakes. One of them sees the other.
        self.leave.load(Ordering::SeqCst) != 0
    }

    /// Tells the worker to leave; wake it afterwards.
    pub fn tell_to_leave(&self) {
        self.leave.store(1, Ordering::SeqCst);
    }

    /// The process id of the command that this worker runs, 0 when it runs none. A hint like all others:
    /// who acts on it asks the kernel whose process that is.
    #[must_use]
    pub fn command(&self) -> u32 {
        // ORDERING: SeqCst. A worker takes its command back, then looks for words charged to it; the
        // supervisor charges a word, then looks here. One of them sees the other.
        self.command.load(Ordering::SeqCst)
    }

    /// Says which command runs, 0 for none.
    pub fn set_command(&self, pid: u32) {
        self.command.store(pid, Ordering::SeqCst);
    }

    /// How many processes the worker's command has left running in its session, which the worker waits for; 0 while
    /// the command itself runs. A hint like [`WorkerSlot::command`].
    #[must_use]
    pub fn left(&self) -> u32 {
        self.left.load(Ordering::Relaxed)
    }

    /// Says how many processes the command has left running.
    pub fn set_left(&self, count: u32) {
        self.left.store(count, Ordering::Relaxed);
    }

    /// Makes the slot ready for a new process. The old one's death is confirmed and its words are
    /// reclaimed. The park word keeps counting: a late wake for the old owner stays harmless.
    pub fn prepare(&self) {
        self.leave.store(0, Ordering::Relaxed);
        self.command.store(0, Ordering::Relaxed);
        self.left.store(0, Ordering::Relaxed);
        self.set_ticket(0);
        let Counters { fast_exits, slow_exits, handoffs, steals, wait_ns, tasks } = &self.counters;
        for counter in [fast_exits, slow_exits, handoffs, steals, wait_ns, tasks] {
            counter.store(0, Ordering::Relaxed);
        }
        self.set_status(Status::Starting);
    }
}
