//! What happens when, in virtual time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use msup_protocol::packed::WorkerId;

/// Something that will happen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Happening {
    Look,
    Reads,
    Fault,
    /// A process is up; these are about one life of a worker.
    Up(WorkerId, u32),
    Finishes(WorkerId, u32),
    /// These are about one attempt that is being stopped.
    Climbs(WorkerId, u64),
    Yields(WorkerId, u64),
    Dies(WorkerId, u32, u8),
    /// The output with this number is kept, and may have to wait.
    Kept(u64),
    Shown(u64, String),
    Space,
    /// The conditions of a start were looked at.
    Answers,
    PressureEnds,
}

/// The clock, and what lies ahead.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    now: Duration,
    ahead: BinaryHeap<Reverse<(Duration, u64, Happening)>>,
    /// The number of entries so far: those for the same time happen in their order.
    entered: u64,
}

impl Agenda {
    pub(super) fn now(&self) -> Duration {
        self.now
    }

    /// The number of entries so far.
    pub(super) fn entered(&self) -> u64 {
        self.entered
    }

    pub(super) fn enter(&mut self, at: Duration, happening: Happening) {
        self.entered += 1;
        self.ahead.push(Reverse((at, self.entered, happening)));
    }

    /// Nothing happens for this time.
    pub(super) fn rest(&mut self, time: Duration) {
        self.now += time;
    }

    /// What happens next. It is now that time.
    pub(super) fn next(&mut self) -> Option<Happening> {
        let Reverse((at, _, happening)) = self.ahead.pop()?;
        self.now = self.now.max(at);
        Some(happening)
    }

    /// Takes out all that lies ahead, the last first.
    pub(super) fn take_all(&mut self) -> Vec<Happening> {
        let ahead = std::mem::take(&mut self.ahead).into_sorted_vec();
        ahead.into_iter().map(|Reverse((_, _, happening))| happening).collect()
    }

    /// Nothing lies ahead any more.
    pub(super) fn clear(&mut self) {
        self.ahead.clear();
    }
}
