//! The events: everything that can happen to a run.

use std::time::Duration;

use msup_protocol::codec::OutcomeFrame;
use msup_protocol::exit::WorkerEnd;
use msup_protocol::packed::WorkerId;

use super::{Failure, OutputPressure, Permission, Window};

/// One thing that happened. The adapters observe, the engine decides.
#[derive(Debug)]
pub(crate) enum Event {
    /// More input was read, in order.
    Inputs(Vec<Input>),
    /// The next values, this number of them, are no tasks of this run: those of other shards.
    OfOthers(u64),
    /// All input was read.
    InputsEnded,
    /// Reading the input failed: why. What was read before counts.
    InputFailed(String),
    /// An attempt finished and its worker reported its outcome.
    Collected {
        /// The task's slot, free again.
        slot: u16,
        /// What the worker reported.
        outcome: Box<OutcomeFrame>,
        /// It was killed, and the kernel has just killed a process for lack of memory.
        starved: bool,
        /// Why the supervisor sent signals to its processes, if it did.
        killed: Option<Killed>,
    },
    /// A task's slot was free again before a worker claimed it.
    Withdrawn {
        /// The slot.
        slot: u16,
    },
    /// A task could not be put into its slot: why.
    CannotPublish {
        /// The slot.
        slot: u16,
        /// Why.
        why: String,
    },
    /// A worker has parked or claimed a task for the first time.
    WorkerSettled(WorkerId),
    /// A worker's process has exited; its tokens are reclaimed and its outcomes collected.
    WorkerGone {
        /// Which.
        worker: WorkerId,
        /// How.
        end: WorkerEnd,
        /// The slots of the tasks it had claimed, free again.
        claimed: Vec<u16>,
        /// It was killed, and the kernel has just killed a process for lack of memory.
        starved: bool,
        /// The one of these slots whose attempt was being stopped, and why.
        killed: Option<(u16, Killed)>,
    },
    /// The process for a worker could not be created: why.
    SpawnFailed {
        /// Which.
        worker: WorkerId,
        /// Why.
        why: String,
    },
    /// Earlier generations have given the numbers of emitted tasks up to this one. All of these
    /// that are run now have been taken in.
    Reserved(u64),
    /// The end of this task, which has emitted others, is in the journal, or will be before
    /// anything that is noted later.
    EndNoted(u64),
    /// The end of this task, which has emitted others, will not be in the journal: its output was
    /// lost before it was shown.
    EndLost(u64),
    /// The end of this task, which has emitted others, waits for its output to be shown, and that
    /// for the ends of all tasks before it (`-k`).
    EndAwaitsTurn(u64),
    /// The current state of tokens and workers.
    Looked(View),
    /// The resource use of commands over a window.
    Measured(Window),
    /// The conditions of a start were looked at.
    MayStart(Permission),
    /// The user has answered whether this task may start.
    Answered {
        /// The task's number in the input.
        seq: u64,
        starts: bool,
    },
    /// The user steers the run.
    Steered(Steering),
    /// What holds up the outputs of tasks.
    OutputPressure(OutputPressure),
    /// No process reads our standard output any more.
    OutputClosed {
        /// What runs would have no other effect: no files, no requested journal, no figures.
        in_vain: bool,
        /// Print no message about it.
        quiet: bool,
    },
    /// Standard output or standard error cannot be written any more: which of them, and why.
    OutputFailed(String),
    /// The segment was overwritten: all workers were killed, and there is a fresh, empty one.
    EpochEnded {
        /// What was found.
        why: String,
        /// Why there is no fresh one.
        failed: Option<String>,
        /// The slots of tasks that no worker had taken up, as far as known.
        unstarted: Vec<u16>,
    },
    /// There is no space left for the journal (the message), or there is space again (`None`).
    JournalFull(Option<String>),
    /// The journal cannot be relied on any more: why.
    JournalLost(String),
    /// A signal asks the run to stop: its number.
    StopSignal(u8),
}

/// What the user wants of a run that goes on.
#[derive(Debug)]
pub(crate) enum Steering {
    /// From now on this number of tasks may run at once; a file may say it, too (`-j FILE`).
    Jobs(u32),
    /// There is this number of tokens from now on.
    Procs(u32),
    /// Nothing new starts from now on, or tasks start again.
    Pause(bool),
    /// A task runs again that has failed in this generation.
    Retry(Failure),
}

/// One value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) value: Vec<u8>,
    /// Its number, from 1, where some before it are skipped, or where it is a task of a queue; else
    /// the next one.
    pub(crate) seq: Option<u64>,
    /// How many values between it and the one before are no tasks of this run.
    pub(crate) others: u64,
    pub(crate) turn: Turn,
    pub(crate) earlier: Earlier,
}

/// When a task starts, among those that never ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn {
    /// Tasks of a higher rank start first, and of each rank the longest; with 0 they start in the
    /// order of the input.
    pub(crate) rank: u16,
    /// Their expected duration, where that decides the order.
    pub(crate) expected: Duration,
}

impl Turn {
    /// In the order of the input.
    pub(crate) const NEXT: Turn = Turn { rank: 0, expected: Duration::ZERO };
}

/// What happened to a task before this generation of the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Earlier {
    #[default]
    Nothing,
    /// It has not finished.
    Tried(Tried),
    Succeeded,
    /// It has run in another run, perhaps without success, and is not run again.
    PassedOver {
        /// It is known that it failed there.
        has_failed: bool,
    },
    /// It is not run at all: why.
    Refused(String),
    /// It failed, after this number of attempts: why, and whether it is quarantined.
    Failed {
        cause: String,
        attempts: u32,
        quarantined: bool,
    },
}

/// Why the supervisor stops an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Killed {
    /// It exceeded this time limit.
    TimedOut(Duration),
    /// The run is stopped.
    Stopped,
    /// It makes room for others, and runs again later.
    Displaced,
    /// The user wants it: its task has failed.
    ByUser,
    /// Its command has exited and left processes running for longer than allowed: their names.
    LeftRunning(String),
    /// The same, where the run was told not to wait for them: this is no failure.
    Leftovers,
}

/// What happens to processes that a command leaves running in its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// The task waits until they have exited. After this time they are stopped, and the task has
    /// failed.
    Wait(Duration),
    /// They are left alone.
    Alone,
    /// They are stopped at once.
    Kill,
}

/// What earlier generations know of an unfinished task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tried {
    /// The number of attempts that have started.
    pub(crate) attempts: u32,
    /// How many of them failed, and how many crashed their process.
    pub(crate) failures: u32,
    pub(crate) crashes: u32,
    /// It was in flight when a generation died; and how often nothing else was.
    pub(crate) is_suspect: bool,
    pub(crate) alone: u32,
    /// It has parked: how long it still waits, and the state that it left.
    pub(crate) parked: Option<(Duration, Vec<u8>)>,
    /// It has emitted tasks, and its output was lost.
    pub(crate) has_emitted: bool,
}

/// One look at the segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// Idle tokens.
    pub(crate) idle: u32,
    /// Tokens that commands use beyond those they have.
    pub(crate) owed: u32,
    /// Tokens held by workers, granted to workers, and charged to commands.
    pub(crate) running: u32,
    pub(crate) granted: u32,
    pub(crate) foreign: u32,
    /// Tasks that workers have claimed.
    pub(crate) in_flight: u32,
    /// Tokens whose workers are in blocking calls.
    pub(crate) blocked: u32,
    /// Tasks that no worker has claimed.
    pub(crate) ready: u32,
    /// Workers in the middle of a task that wait for a token.
    pub(crate) waiting: u32,
    /// Parked workers, in ascending order, each with the number of tasks it has claimed so far.
    pub(crate) parked: Vec<(WorkerId, u64)>,
}
