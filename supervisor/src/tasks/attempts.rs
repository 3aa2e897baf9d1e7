//! Which attempt each worker runs, and since when.

use std::time::Duration;

use msup_protocol::packed::WorkerId;
use msup_protocol::task::{Snapshot, State, Tasks};

/// How often they are looked at: a timeout is late by this at most.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// An attempt, as its task slot shows it. Equal sights are the same attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sight {
    pub(crate) slot: u16,
    pub(crate) seen: Snapshot,
}

/// The attempts of all workers when last looked at, by worker, each with the time of its first
/// sight.
#[derive(Debug)]
pub(crate) struct Attempts {
    sights: Vec<Option<(Sight, Duration)>>,
    next: Duration,
}

impl Attempts {
    pub(crate) fn new(max_workers: u16) -> Attempts {
        Attempts { sights: vec![None; usize::from(max_workers)], next: Duration::ZERO }
    }

    /// Looks again, if it is time. `now` leaves out the time in which everything stood still.
    pub(crate) fn look_if_due(&mut self, tasks: Tasks<'_>, now: Duration) -> bool {
        let is_due = now >= self.next;
        if is_due {
            self.look(tasks, now);
        }
        is_due
    }

    /// Looks again.
    pub(crate) fn look(&mut self, tasks: Tasks<'_>, now: Duration) {
        self.next = now + LOOK_EVERY;
        let mut sights = vec![None; self.sights.len()];
        for slot in 0..tasks.len() as u16 {
            let claimed = tasks.sighted(slot).filter(|seen| seen.state() == Some(State::Claimed));
            let Some((seen, worker)) = claimed.and_then(|seen| Some((seen, seen.owner()?))) else {
                continue;
            };
            // Any process of the run can write the word: its owner may be no worker.
            let Some(place) = sights.get_mut(usize::from(worker)) else { continue };
            let sight = Sight { slot, seen };
            let known = self.sights[usize::from(worker)].filter(|(known, _)| *known == sight);
            *place = known.or(Some((sight, now)));
        }
        self.sights = sights;
    }

    /// The attempt that this worker had when last looked at.
    pub(crate) fn of(&self, worker: WorkerId) -> Option<Sight> {
        self.sights.get(usize::from(worker)).copied().flatten().map(|(sight, _)| sight)
    }

    /// For how long a worker has had this attempt; zero if it was not looked at yet.
    pub(crate) fn age_of(&self, worker: WorkerId, attempt: Sight, now: Duration) -> Duration {
        let known = self.sights.get(usize::from(worker)).copied().flatten();
        let known = known.filter(|(known, _)| *known == attempt);
        known.map_or(Duration::ZERO, |(_, since)| now.saturating_sub(since))
    }

    /// The workers that have had their attempt for at least this long.
    pub(crate) fn older_than(&self, limit: Duration, now: Duration) -> Vec<(WorkerId, Sight)> {
        let workers = self.sights.iter().enumerate();
        let old = workers.filter_map(|(worker, sight)| {
            let (sight, since) = (*sight)?;
            (now.saturating_sub(since) >= limit).then_some((worker as WorkerId, sight))
        });
        old.collect()
    }

    /// The worker whose attempt was seen last, and that attempt.
    pub(crate) fn youngest(&self) -> Option<(WorkerId, Sight)> {
        let seen = self.sights.iter().enumerate().filter_map(|(worker, sight)| {
            let (sight, since) = (*sight)?;
            Some((since, worker as WorkerId, sight))
        });
        seen.max_by_key(|(since, ..)| *since).map(|(_, worker, sight)| (worker, sight))
    }

    /// All workers are gone, and the slots are others.
    pub(crate) fn forget(&mut self) {
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
    fn an_attempt_is_as_old_as_its_claim() {
        let sizes = Sizes { tokens: 2, workers: 4, tasks: 8, cell_bytes: 128 };
        let (segment, _fd) = segment::create(sizes, 2, "1", 0).expect("created");
        let tasks = segment.shared().tasks;
        for slot in 0..3 {
            assert!(tasks.publish(slot).is_some());
        }
        let mut attempts = Attempts::new(4);
        let workers = |attempts: &Attempts, ms| {
            let old = attempts.older_than(LIMIT, at(ms));
            old.into_iter().map(|(worker, _)| worker).collect::<Vec<_>>()
        };
        let [first, _second] = [0, 1].map(|worker| tasks.claim(worker).expect("ready"));
        assert!(attempts.look_if_due(tasks, at(0)));
        assert_eq!(workers(&attempts, 999), [0; 0]);
        assert_eq!(workers(&attempts, 1000), [0, 1]);
        let earlier = attempts.of(0).expect("it was looked at");
        assert_eq!(attempts.age_of(0, earlier, at(1000)), at(1000));
        assert!(!attempts.look_if_due(tasks, at(50)), "it looks ten times a second");
        // One finishes its task and goes on to the next.
        assert!(tasks.complete(0, first));
        let _third = tasks.claim(0).expect("ready");
        assert!(attempts.look_if_due(tasks, at(1100)));
        assert_eq!(workers(&attempts, 1100), [1], "the next attempt has just begun");
        assert_eq!(attempts.of(0).map(|sight| sight.slot), Some(2));
        assert_eq!(attempts.age_of(0, earlier, at(1200)), at(0), "that is another one");
        assert_eq!(attempts.youngest().map(|(worker, _)| worker), Some(0));
        attempts.forget();
        assert_eq!(attempts.of(1), None);
    }
}
