//! The effects: everything that the engine may ask for.

use std::time::Duration;

use msup_protocol::codec::OutcomeFrame;
use msup_protocol::packed::WorkerId;

use super::task::outcome::Cause;
use super::task::policy::Counted;

/// One thing to do. Failures come back as events.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Put the task of this slot where workers find it.
    Publish {
        /// The slot.
        slot: u16,
    },
    /// Withdraw the task of this slot if no worker has claimed it.
    Withdraw {
        /// The slot.
        slot: u16,
    },
    /// Start a process for this worker slot.
    Spawn(WorkerId),
    /// Let this number of commands be started without a token.
    AllowStarts(u32),
    /// Whether workers that finish a command may start the next one without a token.
    AllowOneForOne(bool),
    /// Ask the user whether this task may start.
    Ask {
        /// The task's number in the input.
        seq: u64,
        value: Vec<u8>,
    },
    /// Look at the conditions of the next start.
    LookBeforeStart,
    /// Stop the task that has run for the shortest time. It runs again later.
    StopYoungest,
    /// Let this worker exit when it has no task.
    Dismiss(WorkerId),
    /// Stop this worker's attempt, and let the worker exit.
    Stop(WorkerId),
    /// Kill this worker, which has not taken up work.
    Kill(WorkerId),
    /// Attempts that are being stopped get no more time.
    KillNow,
    /// Show a task's output: the task has finished.
    Deliver {
        /// The task's number in the input.
        seq: u64,
        /// The slot it was in.
        slot: u16,
        /// Its last attempt's outcome; none when that attempt's worker was lost.
        outcome: Option<Box<OutcomeFrame>>,
        /// Its end, to be journaled once the output has been shown; none if the task is retried in
        /// a later generation.
        end: Option<Entry>,
    },
    /// Discard an attempt's output: the task is retried.
    Discard {
        /// The slot it was in.
        slot: u16,
    },
    /// Show nothing for the tasks with these numbers: they finished before this generation, or do
    /// not exist.
    Skip {
        /// The first one's number in the input, and the last one's.
        seq: u64,
        last: u64,
    },
    /// From now on an attempt may take this long.
    SetTimeout(Duration),
    /// Write this to the journal. Nothing has to be shown before.
    Record(Entry),
    /// The run halts, because this number of tasks have finished so; and whether running tasks may
    /// finish.
    Halt { what: Counted, count: u64, soon: bool },
    /// A task that has failed runs again, as was asked, or does not: nothing starts any more.
    AnswerRetry {
        /// The task's number in the input.
        seq: u64,
        is_taken: bool,
    },
    /// Say something on standard error.
    Say(String),
    /// The run is over and all workers are gone.
    Finish,
}

/// Tasks that another one has added to the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Emitted {
    /// The number of the first one; the others follow it.
    pub(crate) first: u64,
    pub(crate) values: Vec<Vec<u8>>,
}

/// What an attempt counts as when its task is retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Failed,
    /// It crashed its process.
    Crashed,
    /// It was killed from outside.
    Lost,
    /// There was no memory left for it.
    Starved,
}

/// A journal entry about tasks.
#[derive(Debug)]
pub(crate) enum Entry {
    /// An attempt is about to be published. Written before that.
    Start {
        /// The task's number in the input.
        seq: u64,
        value: Vec<u8>,
        /// Which attempt, from 1.
        attempt: u32,
        /// The task slot.
        slot: u16,
    },
    /// It was withdrawn before it had started.
    Withdrawn {
        /// The task's number in the input.
        seq: u64,
        value: Vec<u8>,
        attempt: u32,
    },
    /// An attempt has finished and another one follows, in a later generation if this one stops.
    Again {
        /// The task's number in the input.
        seq: u64,
        value: Vec<u8>,
        /// Which attempt, from 1.
        attempt: u32,
        cause: Cause,
        kind: Kind,
        /// The slot it was in.
        slot: u16,
    },
    /// An attempt has parked its task: another one follows after this time, with this state.
    Parked {
        /// The task's number in the input.
        seq: u64,
        value: Vec<u8>,
        /// Which attempt, from 1.
        attempt: u32,
        after: Duration,
        state: Vec<u8>,
        /// The slot it was in.
        slot: u16,
    },
    /// The task has finished, and its output was shown.
    End {
        /// The task's number in the input.
        seq: u64,
        value: Vec<u8>,
        /// The last attempt, from 1.
        attempt: u32,
        /// Why it did not succeed, and whether it is quarantined.
        failure: Option<(Cause, bool)>,
        /// How long the last attempt took, and its CPU time.
        wall: Duration,
        cpu: Duration,
        /// The tasks that it has emitted, if any.
        emitted: Option<Emitted>,
        /// The slot it was in, if it has run.
        slot: Option<u16>,
    },
    /// All input was read: the number of values.
    InputsEnd(u64),
}

impl Entry {
    /// The task slot of the attempt that has finished.
    pub(crate) fn slot_left(&self) -> Option<u16> {
        match *self {
            Entry::Again { slot, .. } | Entry::Parked { slot, .. } => Some(slot),
            Entry::End { slot, .. } => slot,
            Entry::Start { .. } | Entry::Withdrawn { .. } | Entry::InputsEnd(_) => None,
        }
    }
}
