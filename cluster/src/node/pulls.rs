//! How many tasks a node has asked for that have not come yet. It asks only for workers that are
//! idle, and, where tasks are short, for those that will be by the time a task arrives.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A request waits at the server for so long.
pub(super) const EXPIRES: Duration = Duration::from_secs(10);

/// An answer to a request that has expired takes no longer. Then the request counts as lost.
const PATIENCE: Duration = Duration::from_secs(3);

/// Requests that wait at once: the server keeps a list of those of all nodes.
const AT_ONCE: usize = 16;

/// After an answer that is neither a task nor the end of a request, none is sent for this time.
const PAUSE: Duration = Duration::from_secs(1);

/// A task arrives within this time: as many more are asked for as will start within it.
const ON_THE_WAY: Duration = Duration::from_millis(50);

/// How far back the rate of finished tasks is measured.
const MEASURED: Duration = Duration::from_millis(500);

/// No more than this number beyond idle workers.
const AHEAD_AT_MOST: usize = 4096;

/// A request.
#[derive(Debug)]
struct Request {
    name: u32,
    /// How many tasks have not come.
    left: u32,
    until: Instant,
}

/// The requests of a node.
#[derive(Debug)]
pub(super) struct Pulls {
    /// In the order in which the server answers them.
    requests: VecDeque<Request>,
    next: u32,
    not_before: Instant,
    /// When tasks have finished lately.
    finished: VecDeque<Instant>,
}

impl Pulls {
    pub(super) fn new(now: Instant) -> Pulls {
        let (requests, finished) = Default::default();
        Pulls { requests, next: 0, not_before: now, finished }
    }

    /// A new request, if there should be one: its name and the number of tasks. `capacity`: how
    /// many tasks there can be here, of which `held` are.
    pub(super) fn ask(&mut self, capacity: u32, held: u32, now: Instant) -> Option<(u32, u32)> {
        while self.requests.front().is_some_and(|first| now >= first.until) {
            self.requests.pop_front();
        }
        if capacity == 0 || now < self.not_before || self.requests.len() >= AT_ONCE {
            return None;
        }
        let wanted = capacity.saturating_add(self.ahead(now));
        let awaited: u32 = self.requests.iter().map(|request| request.left).sum();
        let free = wanted.saturating_sub(held.saturating_add(awaited));
        // Many small requests would cost more than they bring.
        let is_enough = awaited == 0 || free >= wanted.div_ceil(4);
        if free == 0 || !is_enough {
            return None;
        }
        let name = self.next;
        self.next = self.next.wrapping_add(1);
        self.requests.push_back(Request { name, left: free, until: now + EXPIRES + PATIENCE });
        Some((name, free))
    }

    /// How many tasks will start within the time that one takes to arrive.
    fn ahead(&mut self, now: Instant) -> u32 {
        while self.finished.front().is_some_and(|at| now.duration_since(*at) > MEASURED) {
            self.finished.pop_front();
        }
        let share = MEASURED.as_millis() / ON_THE_WAY.as_millis();
        (self.finished.len() / share as usize).min(AHEAD_AT_MOST) as u32
    }

    /// A task has come.
    pub(super) fn arrived(&mut self) {
        if let Some(first) = self.requests.front_mut() {
            first.left -= 1;
            if first.left == 0 {
                self.requests.pop_front();
            }
        }
    }

    /// A task has finished here.
    pub(super) fn finished(&mut self, now: Instant) {
        self.finished.push_back(now);
    }

    /// No more tasks come for this request.
    pub(super) fn ended(&mut self, name: u32) {
        self.requests.retain(|request| request.name != name);
    }

    /// The server could not take it.
    pub(super) fn refused(&mut self, name: u32, now: Instant) {
        self.ended(name);
        self.not_before = now + PAUSE;
    }

    /// The connection was new: the server has forgotten all requests.
    pub(super) fn lose(&mut self) {
        self.requests.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_idle_workers_are_asked_for() {
        let now = Instant::now();
        let mut pulls = Pulls::new(now);
        assert_eq!(pulls.ask(8, 0, now), Some((0, 8)));
        assert_eq!(pulls.ask(8, 0, now), None, "they are on their way");
        (0..8).for_each(|_| pulls.arrived());
        assert_eq!(pulls.ask(8, 8, now), None, "all workers have one");
        assert_eq!(pulls.ask(8, 7, now), Some((1, 1)));
        assert_eq!(pulls.ask(0, 0, now), None);
    }

    #[test]
    fn short_tasks_are_asked_for_before_workers_are_idle() {
        let now = Instant::now();
        let mut pulls = Pulls::new(now);
        (0..200).for_each(|_| pulls.finished(now));
        assert_eq!(pulls.ask(2, 2, now), Some((0, 20)));
        let later = now + 2 * MEASURED;
        pulls.lose();
        assert_eq!(pulls.ask(2, 2, later), None);
    }

    #[test]
    fn requests_that_are_lost_are_repeated() {
        let now = Instant::now();
        let mut pulls = Pulls::new(now);
        assert!(pulls.ask(4, 0, now).is_some());
        let later = now + EXPIRES + PATIENCE;
        assert_eq!(pulls.ask(4, 0, later), Some((1, 4)), "it has expired");
        pulls.lose();
        assert_eq!(pulls.ask(4, 0, later), Some((2, 4)));
        pulls.refused(2, later);
        assert_eq!(pulls.ask(4, 0, later), None, "not at once");
        assert_eq!(pulls.ask(4, 0, later + PAUSE), Some((3, 4)));
    }
}
