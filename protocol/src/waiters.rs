//! Who waits: workers in the middle of a task that want a token back, and parked workers.
//!
//! A *waiter* announces itself with a ticket (the time since which it waits) and is served before any
//! new task, oldest first. A *parked* worker has nothing to do and may be given a token when a task
//! is ready. Announcements are hints: a grant to somebody who no longer waits is declined by it.

use crate::bitmap::Bits;
use crate::crash;
use crate::packed::WorkerId;
use crate::park::Park;
use crate::slot::WorkerSlot;
use crate::sync::Ordering;

/// A worker that has announced that it waits for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// Which worker.
    pub worker: WorkerId,
    /// Since when, in [`crate::sync::now_ns`].
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

    /// A worker's slot; `None` when there is no such worker.
    #[must_use]
    pub fn slot(self, worker: WorkerId) -> Option<&'a WorkerSlot> {
        self.slots.get(usize::from(worker))
    }

    /// How many slots there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.slots.len()
    }

    /// Whether there are no slots at all.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.slots.is_empty()
    }

    /// Puts `me` in line as of `since_ns`. The caller looks at the tokens again afterwards.
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

    /// sysmon's: nobody grants to `worker` again before it says that it still wants a token. Wake it
    /// afterwards. Its ticket stays as it is: that is the worker's own.
    pub fn pass_over(self, worker: WorkerId) {
        self.announced.clear(worker);
        self.parked.clear(worker);
    }

    /// Puts `me` among the parked. The caller looks at tasks and tokens again before it sleeps.
    pub fn park(self, me: WorkerId) {
        self.parked.set(me);
    }

    /// Takes `me` out of the parked. The caller declines what it was granted meanwhile.
    pub fn unpark(self, me: WorkerId) {
        self.parked.clear(me);
    }

    /// Whether anybody waits for a token in the middle of a task.
    #[must_use]
    pub fn somebody_waits(self) -> bool {
        self.announced.any()
    }

    /// How many wait for a token in the middle of a task.
    #[must_use]
    pub fn waiting(self) -> u32 {
        self.announced.count()
    }

    /// Who waits. A set bit without a ticket is one that is just coming or going.
    pub fn waiters(self) -> impl Iterator<Item = Waiter> + 'a {
        self.announced.iter().filter_map(move |worker| {
            let since_ns = self.slot(worker)?.ticket();
            (since_ns != 0).then_some(Waiter { worker, since_ns })
        })
    }

    /// Who has waited longest.
    #[must_use]
    pub fn oldest(self) -> Option<Waiter> {
        self.waiters().min_by_key(|waiter| waiter.since_ns)
    }

    /// A parked worker, the one with the lowest slot: the others may then be idle for long.
    #[must_use]
    pub fn a_parked(self) -> Option<WorkerId> {
        self.parked.iter().next()
    }

    /// The parked workers.
    pub fn parked(self) -> impl Iterator<Item = WorkerId> + 'a {
        self.parked.iter()
    }

    /// How many are parked.
    #[must_use]
    pub fn parked_count(self) -> u32 {
        self.parked.count()
    }

    /// Makes `worker` look at the words again, whether it sleeps or is just about to.
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
