//! A worker's slot: its park futex, its announcement and its counters.

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// The state of a slot's process. The supervisor sets the first two, the worker the third.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    /// No process.
    Vacant = 0,
    /// A process was or is being started for it.
    Starting = 1,
    /// The process has mapped the segment and runs its task loop.
    Attached = 2,
}

/// Whether a worker keeps its token in blocking calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Pinned {
    /// It gives the token up.
    No = 0,
    /// It keeps it, and is not in a blocking call.
    Computing = 1,
    /// It keeps it, and is in one.
    Blocking = 2,
}

/// What a worker counts. Each counter stands alone; the supervisor reads them at any time.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Counters {
    /// Blocking calls after which the worker still had its token.
    pub fast_exits: AtomicU64,
    /// Blocking calls after which it had to get another token.
    pub slow_exits: AtomicU64,
    /// Tokens handed straight to a waiting worker.
    pub handoffs: AtomicU64,
    /// Tokens taken from another worker's blocking call.
    pub steals: AtomicU64,
    /// Nanoseconds spent waiting for a token in the middle of a task.
    pub wait_ns: AtomicU64,
    /// Tasks claimed.
    pub tasks: AtomicU64,
    /// Tasks that have pinned the worker's token.
    pub pins: AtomicU64,
}

/// Adds to a counter that only the caller's process writes.
#[inline]
pub fn count(counter: &AtomicU64, by: u64) {
    // One writer, so no read-modify-write is needed: a counter must not cost as much as a token.
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
}

/// One worker's place in the segment. Other workers write only its park futex; the supervisor also
/// writes its status and its order to leave.
#[repr(C, align(128))]
#[derive(Debug, Default)]
pub struct WorkerSlot {
    /// Goes up by one at every wake; the worker sleeps on it.
    pub park: AtomicU32,
    status: AtomicU32,
    leave: AtomicU32,
    command: AtomicU32,
    left: AtomicU32,
    looked_at: AtomicU32,
    pinned: AtomicU32,
    ticket: AtomicU64,
    /// What the worker has counted since the slot was prepared for it.
    pub counters: Counters,
}

impl WorkerSlot {
    /// The state of the slot's process. A value that is no status reads as `Vacant`.
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

    /// When the worker announced that it waits for a token, in [`crate::sync::now_ns`]; 0 if it
    /// does not wait. This is the worker's ticket: the smallest is the oldest.
    #[must_use]
    pub fn ticket(&self) -> u64 {
        self.ticket.load(Ordering::Acquire)
    }

    pub(crate) fn set_ticket(&self, since_ns: u64) {
        self.ticket.store(since_ns, Ordering::Release);
    }

    /// Whether the supervisor wants this worker to exit as soon as it has no task.
    #[must_use]
    pub fn told_to_leave(&self) -> bool {
        // ORDERING: SeqCst. The worker sets its parked bit, then reads this word. The supervisor
        // writes this word, then wakes the worker. One of them sees the other.
        self.leave.load(Ordering::SeqCst) != 0
    }

    /// Tells the worker to exit; wake it afterwards.
    pub fn tell_to_leave(&self) {
        self.leave.store(1, Ordering::SeqCst);
    }

    /// The process id of the command that this worker runs, 0 if it runs none. A hint like all
    /// others: a reader that acts on it asks the kernel whose process that is.
    #[must_use]
    pub fn command(&self) -> u32 {
        // ORDERING: SeqCst. A worker clears its command, then looks for words charged to it. The
        // supervisor charges a word, then reads this word. One of them sees the other.
        self.command.load(Ordering::SeqCst)
    }

    /// Sets the running command, 0 for none.
    pub fn set_command(&self, pid: u32) {
        self.command.store(pid, Ordering::SeqCst);
    }

    /// The number of processes that the worker's command has left running in its session and that
    /// the worker waits for; 0 while the command itself runs. A hint like [`WorkerSlot::command`].
    #[must_use]
    pub fn left(&self) -> u32 {
        self.left.load(Ordering::Relaxed)
    }

    /// Sets the number of processes that the command has left running.
    pub fn set_left(&self, count: u32) {
        self.left.store(count, Ordering::Relaxed);
    }

    /// Whether the supervisor wants to see what the worker's command has written so far.
    #[must_use]
    pub fn is_looked_at(&self) -> bool {
        self.looked_at.load(Ordering::Acquire) != 0
    }

    /// The supervisor's: wants to see that. Send the worker a SIGCHLD afterwards: that ends its
    /// wait.
    pub fn look_at_output(&self) {
        self.looked_at.store(1, Ordering::Release);
    }

    /// The worker's: what its command has written so far is in the files of its streams, or in
    /// those beside them ([`crate::codec::look_file`]).
    pub fn show_output(&self) {
        self.looked_at.store(0, Ordering::Release);
    }

    /// Whether the worker keeps its token in blocking calls, and is in one. A value that is neither
    /// reads as `No`.
    #[must_use]
    pub fn pinned(&self) -> Pinned {
        // ORDERING: SeqCst. A worker sets its own, then counts those of all. Of two workers that do
        // that at the same time, at least one sees the other.
        match self.pinned.load(Ordering::SeqCst) {
            1 => Pinned::Computing,
            2 => Pinned::Blocking,
            _ => Pinned::No,
        }
    }

    /// Sets it.
    pub fn set_pinned(&self, pinned: Pinned) {
        self.pinned.store(pinned as u32, Ordering::SeqCst);
    }

    /// Prepares the slot for a new process. The old one's death is confirmed and its words are
    /// reclaimed. The park word keeps counting: a late wake for the old owner stays harmless.
    pub fn prepare(&self) {
        self.leave.store(0, Ordering::Relaxed);
        self.command.store(0, Ordering::Relaxed);
        self.left.store(0, Ordering::Relaxed);
        self.looked_at.store(0, Ordering::Relaxed);
        self.pinned.store(0, Ordering::Relaxed);
        self.set_ticket(0);
        let Counters { fast_exits, slow_exits, handoffs, steals, wait_ns, tasks, pins } =
            &self.counters;
        for counter in [fast_exits, slow_exits, handoffs, steals, wait_ns, tasks, pins] {
            counter.store(0, Ordering::Relaxed);
        }
        self.set_status(Status::Starting);
    }
}
