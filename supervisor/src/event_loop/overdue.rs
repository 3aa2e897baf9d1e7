//! Task loops whose task takes too long (`--timeout`): the worker is ended, and the task has failed. Commands are
//! ended by their workers.

use std::time::Duration;

use msup_protocol::packed::WorkerId;
use msup_protocol::task::{Snapshot, State, Tasks};

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a worker had claimed when last looked at.
#[derive(Clone, Copy, Debug)]
struct Sight {
    slot: u16,
    seen: Snapshot,
    since: Duration,
    told: bool,
}

/// Since when each worker has had its task.
#[derive(Debug)]
pub(super) struct Overdue {
    sights: Vec<Option<Sight>>,
    next: Duration,
}

impl Overdue {
    pub(super) fn new(max_workers: u16) -> Overdue {
        Overdue { sights: vec![None; usize::from(max_workers)], next: Duration::ZERO }
    }

    /// Who has had its task for longer than the limit, and has not been named before. In `now` the time in which
    /// everything stood still is left out.
    pub(super) fn look(
        &mut self,
        tasks: Tasks<'_>,
        now: Duration,
        limit: Duration,
    ) -> Vec<WorkerId> {
        if now < self.next {
            return Vec::new();
        }
        self.next = now + LOOK_EVERY;
        let mut sights = vec![None; self.sights.len()];
        for slot in 0..tasks.len() as u16 {
            let claimed = tasks.sighted(slot).filter(|seen| seen.state() == Some(State::Claimed));
            let Some((seen, worker)) = claimed.and_then(|seen| Some((seen, seen.owner()?))) else {
                continue;
            };
            // The word is anybody's: its owner may be nobody.
            let Some(place) = sights.get_mut(usize::from(worker)) else { continue };
            let known = self.sights[usize::from(worker)];
            let known = known.filter(|known| (known.slot, known.seen) == (slot, seen));
            *place = known.or(Some(Sight { slot, seen, since: now, told: false }));
        }
        self.sights = sights;
        let mut due = Vec::new();
        for (worker, sight) in self.sights.iter_mut().enumerate() {
            let Some(sight) = sight.as_mut().filter(|sight| !sight.told) else { continue };
            if now.saturating_sub(sight.since) >= limit {
                sight.told = true;
                due.push(worker as WorkerId);
            }
        }
        due
    }

    /// The slot of the task for whose sake this worker, which is dead now, was ended; `None` if it had ended that
    /// task in time after all. Ask before the slot is vacated.
    pub(super) fn ended_for(&mut self, dead: WorkerId, tasks: Tasks<'_>) -> Option<u16> {
        let sight = self.sights.get_mut(usize::from(dead))?.take()?;
        let has_it = tasks.sighted(sight.slot) == Some(sight.seen);
        (sight.told && has_it).then_some(sight.slot)
    }

    /// Everybody is gone, and the slots are others.
    pub(super) fn forget(&mut self) {
        self.sights.fill(None);
    }
}

#[cfg(test)]
mod tests {
    use msup_protocol::layout::Sizes;
    use msup_protocol::segment;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn only_the_task_for_whose_sake_a_worker_was_ended_has_timed_out() {
        let sizes = Sizes { tokens: 2, workers: 4, tasks: 8, cell_bytes: 128 };
        let (segment, _fd) = segment::create(sizes, 2, "1", 0).expect("created");
        let tasks = segment.shared().tasks;
        for slot in 0..3 {
            assert!(tasks.publish(slot).is_some());
        }
        let mut overdue = Overdue::new(4);
        let [first, _second] = [0, 1].map(|worker| tasks.claim(worker).expect("ready"));
        assert_eq!(overdue.look(tasks, at(0), LIMIT), [0; 0]);
        assert_eq!(overdue.look(tasks, at(999), LIMIT), [0; 0]);
        assert_eq!(overdue.look(tasks, at(1050), LIMIT), [0; 0], "it looks ten times a second");
        assert_eq!(overdue.look(tasks, at(1100), LIMIT), [0, 1]);
        assert_eq!(overdue.look(tasks, at(1300), LIMIT), [0; 0], "they were told");
        // One had just ended its task, and gone on to the next.
        assert!(tasks.complete(0, first));
        let _third = tasks.claim(0).expect("ready");
        assert_eq!(overdue.ended_for(0, tasks), None);
        assert_eq!(overdue.ended_for(1, tasks), Some(1));
        assert_eq!(overdue.ended_for(1, tasks), None, "it was dead already");
        assert_eq!(overdue.look(tasks, at(1400), LIMIT), [0; 0], "the next one has just begun");
    }
}
