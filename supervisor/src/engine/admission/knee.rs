//! Near the goal: whether more in flight still get more done. A full CPU is not the aim but what it gets
//! done, and commands that fight for a disk, a cache or a lock use more CPU time each the more they are.
//!
//! Commands that ended per second, estimated as CPU time used by CPU time per command: the numbers that end
//! in a window vary much more than either.

use std::time::Duration;

use super::Window;

/// In flight within this of each other is one level.
const LEVEL: f64 = 0.2;
/// A step down.
const STEP: f64 = 0.7;

/// So many commands tell what one costs; and after so many windows it is told by those there are.
const COMMANDS: u32 = 32;
const WINDOWS: u32 = 50;
/// What the use varies by from window to window.
const USE_VARIES: f64 = 0.08;

/// So many standard errors less gives rise to a trial with fewer; so many more, and at least this part, make it
/// succeed.
const DOUBT: f64 = 2.0;
const SURE: f64 = 1.0;
const WORTH_IT: f64 = 0.005;

/// How long what was found is kept: at first, and at most.
const REST: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(60)];

/// Windows with about the same number in flight.
#[derive(Clone, Copy, Debug, Default)]
struct Stay {
    level: f64,
    windows: u32,
    span: f64,
    used: f64,
    /// Commands that ended, and mean and sum of squared deviations of their CPU time.
    commands: u32,
    mean: f64,
    squares: f64,
    /// Seconds until those that end have been started here.
    settling: f64,
}

impl Stay {
    fn new(level: f64, window: &Window) -> Stay {
        Stay { level, settling: window.ended.wall, ..Stay::default() }
    }

    fn add(&mut self, window: &Window) {
        let span = window.span.as_secs_f64();
        if self.settling > 0.0 {
            self.settling -= span;
            return;
        }
        self.windows += 1;
        self.span += span;
        self.used += window.used.as_secs_f64();
        let (n, m) = (f64::from(self.commands), f64::from(window.ended.commands));
        if m > 0.0 {
            let apart = window.ended.cpu - self.mean;
            self.mean += apart * m / (n + m);
            self.squares += window.ended.squares + apart * apart * n * m / (n + m);
            self.commands += window.ended.commands;
        }
    }

    fn is_telling(&self) -> bool {
        self.commands >= COMMANDS
    }

    /// Logarithm of the commands per second, and its variance.
    fn rate(&self) -> (f64, f64) {
        let n = f64::from(self.commands.max(2));
        let price = self.mean.max(1e-9);
        let spread = self.squares / (n - 1.0) / (price * price) / n;
        let variance = spread + USE_VARIES * USE_VARIES / f64::from(self.windows.max(1));
        ((self.used / self.span.max(1e-9) / price).max(1e-9).ln(), variance)
    }

    /// By how much more is done here than there, and that in standard errors.
    fn gain_over(&self, other: &Stay) -> (f64, f64) {
        let ((here, one), (there, two)) = (self.rate(), other.rate());
        let gain = here - there;
        (gain, gain / (one + two).sqrt())
    }
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Following the use.
    Free { here: Stay, below: Option<Stay> },
    /// Fewer, to see whether that is better than `from`.
    Fewer { here: Stay, from: Stay, best: Option<f64> },
    /// At most so many until it is time to look again; or any number, no fewer being better.
    Rest { at_most: Option<f64>, left: Duration },
}

/// Where the search stands.
#[derive(Debug)]
pub(super) struct Knee {
    phase: Phase,
    pause: Duration,
}

impl Default for Knee {
    fn default() -> Knee {
        Knee { phase: Phase::Free { here: Stay::default(), below: None }, pause: REST[0] }
    }
}

impl Knee {
    /// Takes in one more window with that target. How many may be in flight whatever the use says.
    pub(super) fn at_most(&mut self, target: f64, procs: f64, window: &Window) -> Option<f64> {
        match &mut self.phase {
            Phase::Free { here, below } => {
                let in_flight = f64::from(window.in_flight);
                if (in_flight - here.level).abs() > LEVEL * here.level {
                    if here.is_telling() {
                        *below = Some(*here);
                    }
                    *here = Stay::new(in_flight, window);
                }
                here.add(window);
                let (here, below) = (*here, (*below)?);
                let doubtful = below.level < here.level
                    && here.is_telling()
                    && here.gain_over(&below).1 < -DOUBT;
                if !doubtful {
                    return None;
                }
                self.fewer(below.level, here, None, window)
            }
            Phase::Fewer { here, from, best } => {
                // As many as the target says must be there for it to count.
                if f64::from(window.in_flight) <= (here.level * (1.0 + LEVEL)).max(here.level + 1.0) {
                    here.add(window);
                }
                let (here, from, best) = (*here, *from, *best);
                if !here.is_telling() && here.windows < WINDOWS {
                    return Some(here.level);
                }
                let (gain, errors) = here.gain_over(&from);
                if gain >= WORTH_IT && errors >= SURE {
                    let next = here.level * STEP;
                    if next <= procs {
                        return self.rest(Some(here.level));
                    }
                    return self.fewer(next, here, Some(here.level), window);
                }
                self.rest(best)
            }
            Phase::Rest { at_most, left } => {
                let at_most = *at_most;
                *left = left.saturating_sub(window.span);
                if left.is_zero() {
                    self.phase = Phase::Free { here: Stay::new(target, window), below: None };
                }
                at_most
            }
        }
    }

    /// The use is nowhere near the goal any more.
    pub(super) fn forget(&mut self) {
        *self = Knee::default();
    }

    fn fewer(&mut self, level: f64, from: Stay, best: Option<f64>, window: &Window) -> Option<f64> {
        self.phase = Phase::Fewer { here: Stay::new(level, window), from, best };
        Some(level)
    }

    fn rest(&mut self, at_most: Option<f64>) -> Option<f64> {
        self.phase = Phase::Rest { at_most, left: self.pause };
        self.pause = (self.pause * 2).min(REST[1]);
        at_most
    }
}
