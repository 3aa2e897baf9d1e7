//! Everything the engine may ask for.

use msup_protocol::codec::OutcomeFrame;
use msup_protocol::packed::WorkerId;

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
    /// Let this worker leave when it has no task.
    Dismiss(WorkerId),
    /// End this worker and its command now.
    End(WorkerId),
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
    /// Say something on standard error.
    Say(String),
    /// The run is over and every worker gone.
    Finish,
}
