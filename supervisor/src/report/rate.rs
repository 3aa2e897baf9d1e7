//! How fast tasks finish in this generation of a run.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// The rate covers this time, or the time since the beginning: long enough to be steady, short
/// enough to follow a change.
const OVER: Duration = Duration::from_secs(60);

/// How often a sample is kept.
const EVERY: Duration = Duration::from_secs(1);

/// Before this the rate is unknown.
const NOT_BEFORE: Duration = Duration::from_millis(500);

/// Tasks per time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate {
    per_second: f64,
}

/// The counts: when, and how many tasks had finished by then.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    samples: VecDeque<(Duration, u64)>,
}

impl Rate {
    /// `count` tasks in this time.
    pub(crate) fn of(count: u64, time: Duration) -> Option<Rate> {
        let per_second = count as f64 / time.as_secs_f64();
        (count > 0 && per_second.is_finite()).then_some(Rate { per_second })
    }

    /// How long `count` tasks take.
    pub(crate) fn time_for(self, count: u64) -> Duration {
        Duration::try_from_secs_f64(count as f64 / self.per_second).unwrap_or(Duration::MAX)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = match self.per_second {
            second if second >= 1.0 => (second, "s"),
            second if second * 60.0 >= 1.0 => (second * 60.0, "min"),
            second => (second * 3600.0, "h"),
        };
        let digits = usize::from(number < 9.95);
        write!(f, "{number:.digits$}/{unit}")
    }
}

impl Pace {
    /// At `now`, `ended` tasks had finished in this generation. Returns the rate.
    pub(crate) fn note(&mut self, now: Duration, ended: u64) -> Option<Rate> {
        if self.samples.is_empty() {
            self.samples.push_back((Duration::ZERO, 0));
        }
        let (since, before) = self.samples.front().copied().unwrap_or_default();
        let rate = if now < NOT_BEFORE {
            None
        } else {
            // Where none has finished recently, the rate since the beginning is used.
            let recent = Rate::of(ended.saturating_sub(before), now.saturating_sub(since));
            recent.or_else(|| Rate::of(ended, now))
        };
        let last = self.samples.back().map_or(Duration::ZERO, |(at, _)| *at);
        if now >= last + EVERY {
            self.samples.push_back((now, ended));
        }
        while self.samples.front().is_some_and(|(at, _)| now.saturating_sub(*at) > OVER) {
            self.samples.pop_front();
        }
        rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn rates_read_as_people_say_them() {
        let text = |count, time| Rate::of(count, seconds(time)).expect("some").to_string();
        assert_eq!(text(33, 1), "33/s");
        assert_eq!(text(33, 10), "3.3/s");
        assert_eq!(text(1, 2), "30/min");
        assert_eq!(text(1, 7200), "0.5/h");
        assert_eq!(Rate::of(0, seconds(1)), None);
        assert_eq!(Rate::of(1, Duration::ZERO), None);
    }

    #[test]
    fn what_came_at_the_very_beginning_counts() {
        let mut pace = Pace::default();
        pace.note(seconds(1), 8);
        pace.note(seconds(2), 8);
        assert_eq!(pace.note(seconds(5), 10).expect("some").to_string(), "2.0/s");
    }

    #[test]
    fn the_rate_follows_a_change_within_a_minute() {
        let mut pace = Pace::default();
        assert_eq!(pace.note(Duration::from_millis(100), 50), None, "it is too early");
        for second in 1..=100 {
            pace.note(seconds(second), second * 10);
        }
        for second in 101..=200 {
            let rate = pace.note(seconds(second), 1000 + (second - 100) * 2);
            if second == 200 {
                assert_eq!(rate.expect("some").to_string(), "2.0/s");
            }
        }
        for second in 201..=400 {
            let rate = pace.note(seconds(second), 1200);
            if second == 400 {
                assert_eq!(rate.expect("some").to_string(), "3.0/s", "that of the whole time");
            }
        }
    }
}
