//! What was measured with one number of commands in flight, and whether another number gets more
//! done.

use super::window::Window;

/// This number of finished commands tells how many finish in a second.
const COUNTED: f64 = 8.0;

/// With less CPU time than this, in seconds, it tells nothing.
const USED: f64 = 0.01;

/// How many commands finish by chance has a variance of their number; a disk serves them more
/// regularly, but never more than this part of it says.
const REGULAR: f64 = 0.1;

/// Finished commands contradict CPU time if they differ by this number of standard errors.
const CONTRADICTS: f64 = 2.0;

/// Numbers in flight whose ratio has a smaller logarithm are the same.
const SAME: f64 = 1e-3;

/// The sum of a quantity over windows, and of its squares.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    total: f64,
    squares: f64,
}

impl Sum {
    fn add(&mut self, value: f64) {
        self.total += value;
        self.squares += value * value;
    }

    /// The variance of the mean of this number of windows, relative to its square.
    fn variance(&self, windows: f64) -> f64 {
        let spread = self.squares - self.total * self.total / windows;
        let of_mean = spread.max(0.0) / (windows - 1.0).max(1.0) / windows;
        of_mean / (self.total / windows).powi(2).max(1e-12)
    }
}

/// Windows with about the same number in flight, added up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Evidence {
    pub(super) windows: f64,
    /// In seconds.
    pub(super) span: f64,
    /// The number in flight × seconds; in the first window, and in the last.
    in_flight: f64,
    first: f64,
    last: f64,
    /// CPU seconds.
    used: Sum,
    /// Commands that finished.
    commands: Sum,
}

/// How what gets done grows with the number in flight: 1 if it doubles with it, 0 if it does not
/// grow; and the standard error of that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Gain {
    pub(super) slope: f64,
    pub(super) error: f64,
}

impl Evidence {
    pub(super) fn add(&mut self, window: &Window) {
        let span = window.span.as_secs_f64();
        self.last = f64::from(window.in_flight);
        if self.windows == 0.0 {
            self.first = self.last;
        }
        self.windows += 1.0;
        self.span += span;
        self.in_flight += span * f64::from(window.in_flight);
        // What msup itself uses shows nothing of what commands get done.
        self.used.add(window.used.saturating_sub(window.by_msup).as_secs_f64());
        self.commands.add(f64::from(window.ended.commands));
    }

    /// Whether it has been measured for this number of seconds.
    pub(super) fn lasts(&self, seconds: f64) -> bool {
        self.span >= seconds
    }

    /// Whether anything can be told from it.
    pub(super) fn tells(&self) -> bool {
        self.used.total >= USED || self.commands.total >= COUNTED
    }

    /// Whether the number in flight has grown meanwhile.
    pub(super) fn grows(&self) -> bool {
        self.last > self.first
    }

    /// The mean number in flight.
    fn level(&self) -> f64 {
        self.in_flight / self.span.max(1e-9)
    }

    /// The gain from `self` to `more`: by CPU time or by finished commands, whichever is known
    /// better; but CPU time may be used in vain, and commands that have finished contradict it.
    /// `None`: neither tells anything.
    pub(super) fn gain(&self, more: &Evidence) -> Option<Gain> {
        let by_use = self.gain_by(more, |one| one.used, USED, 0.0);
        let by_number = self.gain_by(more, |one| one.commands, COUNTED, REGULAR);
        let (Some(by_use), Some(by_number)) = (by_use, by_number) else {
            return by_use.or(by_number);
        };
        let is_contradicted = by_number.slope + CONTRADICTS * by_number.error < by_use.slope;
        let by_number_is_better = is_contradicted || by_number.error < by_use.error;
        Some(if by_number_is_better { by_number } else { by_use })
    }

    /// By a quantity of which at least this much is needed. `regular`: the least variance of it,
    /// relative to its mean.
    fn gain_by(
        &self,
        more: &Evidence,
        of: impl Fn(&Evidence) -> Sum,
        least: f64,
        regular: f64,
    ) -> Option<Gain> {
        let grown = (more.level() / self.level().max(1e-9)).ln();
        let (few, many) = (of(self), of(more));
        if grown.abs() < SAME || few.total < least || many.total < least {
            return None;
        }
        let ratio = (many.total / more.span) / (few.total / self.span);
        let variance =
            |sum: Sum, one: &Evidence| sum.variance(one.windows).max(regular / sum.total);
        let error = (variance(few, self) + variance(many, more)).sqrt();
        Some(Gain { slope: ratio.ln() / grown, error: error / grown.abs() })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::window::Ended;
    use super::*;

    /// Windows of 40 ms with this number in flight, CPU time and number of finished commands.
    fn seen(in_flight: u32, windows: &[(f64, u32)]) -> Evidence {
        let mut evidence = Evidence::default();
        for (used_ms, finished) in windows {
            let span = Duration::from_millis(40);
            let used = Duration::from_secs_f64(used_ms / 1000.0);
            let ended = Ended { commands: *finished, wall: 0.1 };
            evidence.add(&Window { span, used, in_flight, ended, ..Window::default() });
        }
        evidence
    }

    #[test]
    fn twice_as_much_from_twice_as_many_is_a_gain_of_one() {
        let few = seen(4, &[(10.0, 0); 6]);
        for (used, slope) in [(20.0, 1.0), (10.0, 0.0), (5.0, -1.0)] {
            let gain = few.gain(&seen(8, &[(used, 0); 6])).expect("CPU time");
            assert!((gain.slope - slope).abs() < 1e-9 && gain.error < 1e-6, "{gain:?}");
        }
    }

    #[test]
    fn the_error_says_how_much_the_windows_differ() {
        let few = seen(4, &[(8.0, 0), (12.0, 0), (8.0, 0), (12.0, 0)]);
        let many = seen(8, &[(16.0, 0), (24.0, 0), (16.0, 0), (24.0, 0)]);
        let gain = few.gain(&many).expect("CPU time");
        // The mean of four windows that differ by a fifth: 0.115 each, and both errors add up.
        let expected = 0.2 * (4.0_f64 / 3.0).sqrt() / 2.0 * 2_f64.sqrt() / 2_f64.ln();
        assert!((gain.error - expected).abs() < 1e-9, "{gain:?}, and not {expected}");
    }

    #[test]
    fn what_msup_uses_itself_tells_nothing() {
        let seen = |in_flight, by_msup| {
            let (span, used) = (Duration::from_millis(40), Duration::from_millis(10));
            let mut evidence = Evidence::default();
            (0..6).for_each(|_| {
                evidence.add(&Window { span, used, by_msup, in_flight, ..Window::default() });
            });
            evidence
        };
        let all = Duration::from_millis(10);
        assert_eq!(seen(1024, all).gain(&seen(2048, all)), None);
        let none = Duration::ZERO;
        assert!(seen(1024, none).gain(&seen(2048, none)).is_some(), "commands use it");
    }

    #[test]
    fn little_tells_nothing() {
        assert_eq!(seen(4, &[(0.1, 1); 6]).gain(&seen(8, &[(0.1, 1); 6])), None);
        assert_eq!(
            seen(4, &[(10.0, 9); 6]).gain(&seen(4, &[(20.0, 9); 6])),
            None,
            "the same number"
        );
    }

    #[test]
    fn cpu_time_that_gets_nothing_done_is_no_gain() {
        let few = seen(4, &[(10.0, 5); 12]);
        let many = seen(8, &[(20.0, 5); 12]);
        let gain = few.gain(&many).expect("both");
        assert!(gain.slope.abs() < 1e-9, "{gain:?}");
        let served = few.gain(&seen(8, &[(20.0, 10); 12])).expect("both");
        assert!((served.slope - 1.0).abs() < 1e-9, "{served:?}");
    }
}
