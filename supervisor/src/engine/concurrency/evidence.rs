//! What was measured with one number of commands in flight, and whether another number gets more
//! done.

use super::window::Window;

/// This number of finished commands tells how many finish in a second.
const COUNTED: f64 = 16.0;

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
    /// The number in flight × seconds.
    in_flight: f64,
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
        self.windows += 1.0;
        self.span += span;
        self.in_flight += span * f64::from(window.in_flight);
        self.used.add(window.used.as_secs_f64());
        self.commands.add(f64::from(window.ended.commands));
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
