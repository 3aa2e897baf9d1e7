//! What users say about failures: how often a task is tried, how long it may take, when the run is given up.

use std::time::Duration;

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Policy {
    /// A task that fails is tried so often in all.
    pub(crate) tries: u32,
    /// How long it waits before it is tried again: about the first time, and at most.
    pub(crate) backoff: [Duration; 2],
    /// A task that brings its process down so often is quarantined.
    pub(crate) crash_limit: u32,
    pub(crate) timeout: Option<Timeout>,
    pub(crate) halt: Option<Halt>,
    /// How long what runs may take to end when the run is to stop; `None`: as long as it likes.
    pub(crate) drain: Option<Duration>,
}

impl Default for Policy {
    fn default() -> Policy {
        let backoff = [Duration::from_millis(200), Duration::from_secs(30)];
        Policy { tries: 1, backoff, crash_limit: 3, timeout: None, halt: None, drain: None }
    }
}

/// How long an attempt may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Timeout {
    After(Duration),
    /// So many times the median of those that succeeded.
    Medians(f64),
}

/// When the run is given up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Halt {
    /// What runs is ended; else it may end.
    pub(crate) now: bool,
    pub(crate) what: Counted,
    pub(crate) at: Threshold,
}

/// Which ends count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    Fail,
    Success,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Threshold {
    Number(u64),
    /// Of those that have ended, once there are [`LEAST`].
    Percent(f64),
}

/// A share of fewer than this says nothing (as in GNU parallel).
const LEAST: u64 = 3;

impl Halt {
    /// Whether it is time, with so many ends.
    pub(super) fn is_due(&self, succeeded: u64, failed: u64) -> bool {
        let ended = succeeded + failed;
        let counted = match self.what {
            Counted::Fail => failed,
            Counted::Success => succeeded,
            Counted::Done => ended,
        };
        match self.at {
            Threshold::Number(number) => counted >= number,
            Threshold::Percent(percent) => {
                ended >= LEAST && counted as f64 * 100.0 >= percent * ended as f64
            }
        }
    }
}

/// Waiting before another try: twice as long each time, and anything between nothing and that, so that those
/// that failed together do not come back together.
#[derive(Debug)]
pub(super) struct Backoff {
    range: [Duration; 2],
    state: u64,
}

impl Backoff {
    pub(super) fn new(range: [Duration; 2], seed: u64) -> Backoff {
        // Neighbouring seeds must not begin alike.
        Backoff { range, state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    /// Before the try that follows the `nth` failure.
    pub(super) fn delay(&mut self, nth: u32) -> Duration {
        let [first, most] = self.range;
        let ceiling = first.saturating_mul(2_u32.saturating_pow(nth.saturating_sub(1))).min(most);
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        ceiling.mul_f64((self.state >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

/// The median of the last so many times that were noted.
#[derive(Debug, Default)]
pub(super) struct Median {
    sorted: Vec<Duration>,
    /// The same in the order in which they came; the next one takes this place.
    recent: Vec<Duration>,
    next: usize,
}

impl Median {
    const KEPT: usize = 255;

    pub(super) fn note(&mut self, time: Duration) {
        if self.recent.len() < Median::KEPT {
            self.recent.push(time);
        } else {
            let old = std::mem::replace(&mut self.recent[self.next], time);
            self.next = (self.next + 1) % Median::KEPT;
            let at = self.sorted.partition_point(|known| *known < old);
            self.sorted.remove(at);
        }
        let at = self.sorted.partition_point(|known| *known < time);
        self.sorted.insert(at, time);
    }

    /// Once there are enough of them.
    pub(super) fn get(&self) -> Option<Duration> {
        (self.sorted.len() as u64 >= LEAST).then(|| self.sorted[self.sorted.len() / 2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_it_is_time_to_halt() {
        let halt = |what, at| Halt { now: true, what, at };
        assert!(!halt(Counted::Fail, Threshold::Number(2)).is_due(9, 1));
        assert!(halt(Counted::Fail, Threshold::Number(2)).is_due(0, 2));
        assert!(halt(Counted::Success, Threshold::Number(1)).is_due(1, 5));
        assert!(halt(Counted::Done, Threshold::Number(3)).is_due(1, 2));
        let half = halt(Counted::Fail, Threshold::Percent(50.0));
        assert!(!half.is_due(0, 2), "two say nothing");
        assert!(!half.is_due(2, 1) && half.is_due(2, 2));
    }

    #[test]
    fn waiting_grows_to_its_ceiling_and_varies() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new([ms(200), ms(1000)], 42);
        for (nth, ceiling) in [(1, 200), (2, 400), (3, 800), (4, 1000), (40, 1000)] {
            let delays: Vec<Duration> = (0..200).map(|_| backoff.delay(nth)).collect();
            assert!(delays.iter().all(|delay| *delay <= ms(ceiling)));
            assert!(delays.iter().any(|delay| *delay > ms(ceiling) * 9 / 10));
            assert!(delays.iter().any(|delay| *delay < ms(ceiling) / 10));
        }
    }

    #[test]
    fn the_median_follows() {
        let ms = Duration::from_millis;
        let mut median = Median::default();
        median.note(ms(1));
        median.note(ms(2));
        assert_eq!(median.get(), None);
        median.note(ms(1000));
        assert_eq!(median.get(), Some(ms(2)));
        for _ in 0..Median::KEPT {
            median.note(ms(50));
        }
        assert_eq!((median.get(), median.sorted.len()), (Some(ms(50)), Median::KEPT));
    }
}
