//! Everything the engine may ask for.

use std::time::Duration;

use msup_protocol::codec::OutcomeFrame;
use msup_protocol::packed::WorkerId;

use super::task::outcome::Cause;

/// One thing to do. Failures come back as events.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Put the task of this slot where workers find it.
    Publish {
        /// The slot.
        slot: u16,
    },
    /// Take the task of this slot back if nobody has claimed it.
    Withdraw {
        /// The slot.
        slot: u16,
    },
    /// Start a process for this worker slot.
    Spawn(WorkerId),
    /// Let so many commands be started without a token.
    AllowStarts(u32),
    /// Let workers that end a command start the next one without a token, or no longer.
    AllowOneForOne(bool),
    /// Let no command be started without a token where so many are in flight.
    LimitInFlight(u32),
    /// Let this worker leave when it has no task.
    Dismiss(WorkerId),
    /// Stop this worker's attempt, and let the worker leave.
    End(WorkerId),
    /// Kill this worker, which has not taken up work.
    Kill(WorkerId),
    /// Whatever is being stopped gets no more time.
    KillNow,
    /// Show what a task wrote: it has reached its end.
    Deliver {
        /// The task's number in the input.
        seq: u64,
        /// The slot it was in.
        slot: u16,
        /// Its last attempt's outcome; none when the last attempt's worker was lost.
        outcome: Option<OutcomeFrame>,
    },
    /// Throw away what an attempt wrote: the task is tried again.
    Discard {
        /// The slot it was in.
        slot: u16,
    },
    /// Nothing is to be shown of the tasks with these numbers: they have ended before this generation, or are none.
    Skip {
        /// The first one's number in the input, and the last one's.
        seq: u64,
        last: u64,
    },
    /// From now on an attempt may take so long.
    SetTimeout(Duration),
    /// Write this down.
    Record(Entry),
    /// Say something on standard error.
    Say(String),
    /// The run is over and every worker gone.
    Finish,
}

/// What an attempt counts as after which the task is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Failed,
    /// It brought its process down.
    Crashed,
    /// It was killed from outside.
    Lost,
    /// There was no memory left for it.
    Starved,
}

/// What is written down of a task.
#[derive(Debug)]
pub(crate) enum Entry {
    /// An attempt is about to be published. Before it is.
    Start {
        /// The task's number in the input.
        seq: u64,
        value: Vec<u8>,
        /// Which attempt, from 1.
        attempt: u32,
        /// The task slot.
        slot: u16,
    },
    /// It was taken back before it had started.
    Withdrawn {
        /// The task's number in the input.
        seq: u64,
        value: Vec<u8>,
        attempt: u32,
    },
    /// An attempt has ended, and another one follows, in a later generation if this one stops.
    Again {
        /// The task's number in the input.
        seq: u64,
        value: Vec<u8>,
        /// Which attempt, from 1.
        attempt: u32,
        cause: Cause,
        kind: Kind,
    },
    /// The task has reached its end: once what it wrote, which was delivered before, has been shown.
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
    },
    /// All input was read: so many values.
    InputsEnd(u64),
}
