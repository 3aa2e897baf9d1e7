//! The waiting line: workers in the middle of a task that want a token again, and parked workers.
//!
//! A *waiter* announces itself with a ticket (the time since which it waits) and goes before any
//! new task, oldest first. A *parked* worker has nothing to do and may get a token when a task is
//! ready. Announcements are hints: a worker that no longer waits declines a grant.

use crate::bitmap::Bits;
use crate::crash;
use crate::packed::WorkerId;
use crate::park::Park;
use crate::slot::{Pinned, Status, WorkerSlot};
use crate::sync::Ordering;

/// A worker that has announced that it waits for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// Which worker.
    pub worker: WorkerId,
    /// Since when it waits, in [`crate::sync::now_ns`].
    pub since_ns: u64,
}

/// The waiting line of a segment.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    slots: &'a [WorkerSlot],
    announced: Bits<'a>,
    parked: Bits<'a>,
}

impl<'a> Line<'a> {
    /// The line over these slots.
    #[must_use]
    pub fn new(slots: &'a [WorkerSlot], announced: Bits<'a>, parked: Bits<'a>) -> Line<'a> {
        Line { slots, announced, parked }
    }

    /// A worker's slot; `None` if there is no such worker.
    #[must_use]
    pub fn slot(self, worker: WorkerId) -> Option<&'a WorkerSlot> {
        self.slots.get(usize::from(worker))
    }

    /// The number of slots.
    #[must_use]
    pub fn len(self) -> usize {
        self.slots.len()
    }

    /// The workers that keep their tokens in blocking calls.
    pub fn pinned(self) -> impl Iterator<Item = &'a WorkerSlot> {
        let is_pinned =
            |slot: &&WorkerSlot| slot.status() == Status::Attached && slot.pinned() != Pinned::No;
        self.slots.iter().filter(is_pinned)
    }

    /// Whether there are no slots at all.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.slots.is_empty()
    }

    /// Puts `me` in line as of `since_ns`. The caller scans the tokens again afterwards.
    pub fn announce(self, me: WorkerId, since_ns: u64) {
        if let Some(slot) = self.slot(me) {
            slot.set_ticket(since_ns);
            self.announced.set(me);
        }
    }

    /// Takes `me` out of the line. The caller declines what it was granted meanwhile.
    pub fn withdraw(self, me: WorkerId) {
        if let Some(slot) = self.slot(me) {
            slot.set_ticket(0);
            self.announced.clear(me);
        }
    }

    /// Whether `me` is in line: sysmon may have passed it over.
    #[must_use]
    pub fn is_announced(self, me: WorkerId) -> bool {
        self.announced.has(me)
    }

    /// sysmon's: no process grants to `worker` until it announces itself again. Wake it afterwards.
    /// Its ticket stays: only the worker itself changes that.
    pub fn pass_over(self, worker: WorkerId) {
        self.announced.clear(worker);
        self.parked.clear(worker);
    }

    /// Marks `me` as parked. The caller checks tasks and tokens again before it sleeps.
    pub fn park(self, me: WorkerId) {
        self.parked.set(me);
    }

    /// Clears the mark. The caller declines what it was granted meanwhile.
    pub fn unpark(self, me: WorkerId) {
        self.parked.clear(me);
    }

    /// Whether any worker waits for a token in the middle of a task.
    #[must_use]
    pub fn has_waiters(self) -> bool {
        self.announced.any()
    }

    /// The number of workers that wait for a token in the middle of a task.
    #[must_use]
    pub fn waiting(self) -> u32 {
        self.announced.count()
    }

    /// The waiters. A worker whose bit is set without a ticket is just joining or leaving.
    pub fn waiters(self) -> impl Iterator<Item = Waiter> + 'a {
        self.announced.iter().filter_map(move |worker| {
            let since_ns = self.slot(worker)?.ticket();
            (since_ns != 0).then_some(Waiter { worker, since_ns })
        })
    }

    /// The worker that has waited longest.
    #[must_use]
    pub fn oldest(self) -> Option<Waiter> {
        self.waiters().min_by_key(|waiter| waiter.since_ns)
    }

    /// The parked worker with the lowest slot number, so that the others may stay idle for long.
    #[must_use]
    pub fn a_parked(self) -> Option<WorkerId> {
        self.parked.iter().next()
    }

    /// The parked workers.
    pub fn parked(self) -> impl Iterator<Item = WorkerId> + 'a {
        self.parked.iter()
    }

    /// Whether this worker is parked.
    #[must_use]
    pub fn is_parked(self, worker: WorkerId) -> bool {
        self.parked.has(worker)
    }

    /// The number of parked workers.
    #[must_use]
    pub fn parked_count(self) -> u32 {
        self.parked.count()
    }

    /// Makes `worker` check the words again, whether it sleeps or is about to.
    pub fn wake(self, park: &impl Park, worker: WorkerId) {
        if let Some(slot) = self.slot(worker) {
            // ORDERING: SeqCst; pairs with the load of the park word before a rescan. Either the
            // sleeper's futex wait sees the new value, or its rescan sees what was changed before.
            slot.park.fetch_add(1, Ordering::SeqCst);
            // CRASH: bump_before_wake. Asleep on a word that has changed: woken on the reap.
            crash::point("bump_before_wake");
            park.wake(&slot.park);
        }
    }
}
