//! The time limit of attempts: fixed, or a multiple of the median of those that succeeded.

use std::time::Duration;

use super::policy::{LEAST, Timeout};

/// A time limit that is never reached.
const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);

/// A median moves a little with each task: only a change by more than this part of the limit, one
/// in 16, is announced.
const NOTABLE: u32 = 16;

/// The time limit, and what workers know of it.
#[derive(Debug)]
pub(in crate::engine) struct TimeLimit {
    timeout: Option<Timeout>,
    median: Median,
    /// The limit that was last announced.
    announced: Option<Duration>,
}

impl TimeLimit {
    pub(in crate::engine) fn new(timeout: Option<Timeout>) -> TimeLimit {
        TimeLimit { timeout, median: Median::default(), announced: None }
    }

    /// An attempt succeeded after this time.
    pub(in crate::engine) fn note(&mut self, wall: Duration) {
        if let Some(Timeout::Medians(_)) = self.timeout {
            self.median.note(wall);
        }
    }

    /// Whether a limit was announced.
    pub(in crate::engine) fn is_announced(&self) -> bool {
        self.announced.is_some()
    }

    /// The limit, if it has changed since it was last announced.
    pub(in crate::engine) fn announce(&mut self) -> Option<Duration> {
        let limit = match self.timeout? {
            Timeout::After(limit) => limit,
            // Workers that know any limit check now and then whether it has changed.
            Timeout::Medians(times) => {
                self.median.get().map_or(FOREVER, |median| median.mul_f64(times))
            }
        };
        let is_apart = |old: Duration| old.abs_diff(limit) > old / NOTABLE;
        if !self.announced.is_none_or(is_apart) {
            return None;
        }
        self.announced = Some(limit);
        Some(limit)
    }
}

/// The median of the last `KEPT` noted times.
#[derive(Debug, Default)]
struct Median {
    sorted: Vec<Duration>,
    /// The same in order of arrival; the next one goes to index `next`.
    recent: Vec<Duration>,
    next: usize,
}

impl Median {
    const KEPT: usize = 255;

    fn note(&mut self, time: Duration) {
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

    /// The median, once enough times are known.
    fn get(&self) -> Option<Duration> {
        (self.sorted.len() as u64 >= LEAST).then(|| self.sorted[self.sorted.len() / 2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
