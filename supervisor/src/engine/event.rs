//! Everything that can happen to a run.

use std::time::Duration;

use msup_protocol::codec::OutcomeFrame;
use msup_protocol::packed::WorkerId;

use super::Window;

/// One thing that happened. The adapters observe, the engine decides.
#[derive(Debug)]
pub(crate) enum Event {
    /// More input was read, in order.
    Inputs(Vec<Input>),
    /// All input was read.
    InputsEnded,
    /// The input cannot be read on: why. What was read before counts.
    InputFailed(String),
    /// An attempt ended and its worker told how.
    Collected {
        /// The task's slot, free again.
        slot: u16,
        /// What the worker reported.
        outcome: OutcomeFrame,
        /// It was killed, and the kernel has just ended somebody because there was no memory left.
        starved: bool,
        /// Why the supervisor sent signals to its processes, if it did.
        killed: Option<Killed>,
    },
    /// A task's slot was free again before anybody claimed it.
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
    /// A worker's process has ended, its tokens are reclaimed and its outcomes collected.
    WorkerEnded {
        /// Which.
        worker: WorkerId,
        /// How.
        end: WorkerEnd,
        /// The slots of the tasks it had claimed, free again.
        claimed: Vec<u16>,
        /// It was killed, and the kernel has just ended somebody because there was no memory left.
        starved: bool,
        /// The one of these slots whose attempt was being stopped, and why.
        killed: Option<(u16, Killed)>,
    },
    /// No process could be made for a worker: why.
    SpawnFailed {
        /// Which.
        worker: WorkerId,
        /// Why.
        why: String,
    },
    /// How tokens and workers stand now.
    Looked(View),
    /// What commands used over a window.
    Measured(Window),
    /// Output is waiting to be written faster than it is taken, or no longer so.
    OutputPressure(bool),
    /// Nobody reads our standard output any more.
    OutputClosed {
        /// Nothing else would come of what runs: no files, no journal that was asked for, no figures.
        in_vain: bool,
        /// Nothing is to be said of it.
        quiet: bool,
    },
    /// Standard output cannot be written any more: why.
    OutputFailed(String),
    /// Somebody has written over the segment: every worker was ended, and there is a fresh one, empty.
    EpochEnded {
        /// What was found.
        why: String,
        /// Why there is no fresh one.
        failed: Option<String>,
        /// The slots of tasks that no worker had taken up, as far as that is known.
        unstarted: Vec<u16>,
    },
    /// There is no space left for the journal, which is here, or again.
    JournalFull(Option<String>),
    /// The journal cannot be relied on any more: why.
    JournalLost(String),
    /// A signal asks to stop: its number.
    StopSignal(u8),
}

/// One value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) value: Vec<u8>,
    /// Its number, from 1, where some before it are passed over; else the next one.
    pub(crate) seq: Option<u64>,
    /// How long its task is expected to take, where that decides the order.
    pub(crate) expected: Duration,
    pub(crate) earlier: Earlier,
}

/// What became of a task before this generation of the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Earlier {
    #[default]
    Nothing,
    /// It has not ended.
    Tried(Tried),
    Succeeded,
    /// It is not run at all: why.
    Refused(String),
    /// It did not, after so many attempts: why, and whether it is quarantined.
    Failed {
        cause: String,
        attempts: u32,
        quarantined: bool,
    },
}

/// Why the supervisor stops an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Killed {
    /// It took longer than it may.
    TimedOut,
    /// The run is stopped.
    Stopped,
    /// Its command has exited and left processes running for longer than they may: their names.
    LeftRunning(String),
    /// The same, where the run was told not to wait for them: that is no failure.
    Leftovers,
}

/// What becomes of processes that a command leaves running in its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// Its task is not finished before they have exited. After this time they are stopped, and it has failed.
    Wait(Duration),
    /// They are left alone.
    Alone,
    /// They are stopped at once.
    Kill,
}

/// What earlier generations know of a task that has not ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tried {
    /// How many attempts have started.
    pub(crate) attempts: u32,
    /// How many of them failed, and how many brought their process down.
    pub(crate) failures: u32,
    pub(crate) crashes: u32,
    /// It was in flight when a generation died; and how often nothing else was.
    pub(crate) is_suspect: bool,
    pub(crate) alone: u32,
}

/// How a worker's process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WorkerEnd {
    /// With this exit status.
    Exited(u8),
    /// By this signal.
    Signaled(u8),
}

impl std::fmt::Display for WorkerEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            WorkerEnd::Exited(status) => write!(f, "exit status {status}"),
            WorkerEnd::Signaled(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// One look at the segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// Idle tokens.
    pub(crate) idle: u32,
    /// Tokens that commands use beyond those they have.
    pub(crate) owed: u32,
    /// Tokens in workers' hands, on their way to them, and charged to commands.
    pub(crate) running: u32,
    pub(crate) granted: u32,
    pub(crate) foreign: u32,
    /// Tasks that workers have claimed.
    pub(crate) in_flight: u32,
    /// Tokens whose workers are in blocking calls.
    pub(crate) blocked: u32,
    /// Tasks that nobody has claimed.
    pub(crate) ready: u32,
    /// Workers in the middle of a task that wait for a token.
    pub(crate) waiting: u32,
    /// Parked workers, each with the number of tasks it has claimed so far.
    pub(crate) parked: Vec<(WorkerId, u64)>,
}
