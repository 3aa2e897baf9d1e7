//! Near the goal: whether more in flight still get more done. A full CPU is not the aim but what it
//! gets done, and commands that fight for a disk, a cache or a lock use more CPU time each the more
//! they are.
//!
//! Commands that ended per second, estimated as CPU time used by CPU time per command: the numbers
//! that end in a window vary much more than either.

use std::time::Duration;

use super::Window;

/// In flight within this of each other is one level.
const LEVEL: f64 = 0.2;
/// A step down.
const STEP: f64 = 0.6;

/// So many commands tell what one costs, over so many windows; and after so many it is told by
/// those there are.
const COMMANDS: u32 = 32;
const WINDOWS: [u32; 2] = [12, 50];
/// What the use varies by from window to window.
const USE_VARIES: f64 = 0.08;

/// So many standard errors less gives rise to a trial with fewer.
const DOUBT: f64 = 2.0;
/// Fewer that keep the CPUs as busy, but for this part, need not do more to be preferred. Where
/// they do not, they must do more by so many standard errors.
const AS_BUSY: f64 = 0.005;
const SURE: f64 = 1.0;
/// Of those that wait in a queue they share, fewer are preferred even if they do less, by this part
/// at most: they are in each other's way less, and what is measured varies by more than that.
const AS_MUCH: f64 = 0.01;
/// CPUs that become idle by this part, for so many windows, end a trial early.
const IDLER: f64 = 0.05;
const IDLER_FOR: u32 = 4;

/// Fewer are tried without a doubt only where so many wait in a queue they share, or where a
/// command was this much cheaper when there were fewer: mostly more do not hurt, and trying costs
/// more than it finds.
const QUEUED: f64 = 0.1;
const CHEAPER: f64 = 0.95;
const NEWEST: f64 = 0.1;

/// How long what was found is kept: at first, and at most.
const REST: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(60)];

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
        self.commands >= COMMANDS && self.windows >= WINDOWS[0]
    }

    /// CPUs in use.
    fn cpus(&self) -> f64 {
        self.used / self.span.max(1e-9)
    }

    /// Logarithm of the commands per second, and its variance.
    fn rate(&self) -> (f64, f64) {
        let n = f64::from(self.commands.max(2));
        let price = self.mean.max(1e-9);
        let spread = self.squares / (n - 1.0) / (price * price) / n;
        let variance = spread + USE_VARIES * USE_VARIES / f64::from(self.windows.max(1));
        ((self.cpus() / price).max(1e-9).ln(), variance)
    }

    /// By how much more is done here than there, and that in standard errors.
    fn gain_over(&self, other: &Stay) -> (f64, f64) {
        let ((here, one), (there, two)) = (self.rate(), other.rate());
        let gain = here - there;
        (gain, gain / (one + two).sqrt())
    }
}

/// What a command costs in CPU time with so many in flight, by powers of two.
#[derive(Clone, Copy, Debug, Default)]
struct Prices([(u32, f64); 16]);

impl Prices {
    fn note(&mut self, window: &Window) {
        let at = window.in_flight.max(1).ilog2().min(15) as usize;
        let (number, mean) = &mut self.0[at];
        *number = (*number + window.ended.commands).min(4 * COMMANDS);
        let weight = f64::from(window.ended.commands) / f64::from((*number).max(1));
        *mean += weight * (window.ended.cpu - *mean);
    }

    /// The lowest one with at most half as many.
    fn below(&self, level: f64) -> Option<f64> {
        let half = (level / 2.0).max(1.0).log2() as usize;
        let known = self.0.iter().take(half + 1).filter(|(number, _)| *number >= COMMANDS / 2);
        known.map(|(_, mean)| *mean).min_by(f64::total_cmp)
    }
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Following the use.
    Free { here: Stay, below: Option<Stay> },
    /// Fewer, to see whether that is better than `from`.
    Fewer { here: Stay, from: Stay, best: Option<Stay> },
    /// At most as many as there, until it is time to look again; or any number, no fewer being
    /// better.
    Rest { best: Option<Stay>, left: Duration },
}

/// What to do with the target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Advice {
    /// Whatever the use says.
    None,
    AtMost(f64),
    /// As many as before the trial.
    Back(f64),
}

/// Where the search stands.
#[derive(Debug)]
pub(super) struct Knee {
    phase: Phase,
    pause: Duration,
    queued: f64,
    prices: Prices,
}

impl Default for Knee {
    fn default() -> Knee {
        Knee {
            phase: Phase::Free { here: Stay::default(), below: None },
            pause: REST[0],
            queued: 0.0,
            prices: Prices::default(),
        }
    }
}

impl Knee {
    /// Takes in one more window with that target. What to do about it.
    pub(super) fn advise(&mut self, target: f64, procs: f64, window: &Window) -> Advice {
        self.prices.note(window);
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
                let (here, below) = (*here, *below);
                let less =
                    |below: &Stay| below.level < here.level && here.gain_over(below).1 < -DOUBT;
                if !here.is_telling() || here.level <= procs {
                    return Advice::None;
                }
                if let Some(below) = below.filter(less) {
                    return self.fewer(below.level, here, None, window);
                }
                let cheaper =
                    self.prices.below(here.level).is_some_and(|low| low < here.mean * CHEAPER);
                let may_hurt = self.is_queued() || cheaper;
                let is_time = may_hurt && here.span >= self.pause.as_secs_f64() / 2.0;
                if is_time {
                    self.fewer(here.level * STEP, here, None, window)
                } else {
                    Advice::None
                }
            }
            Phase::Fewer { here, from, best } => {
                // As many as the target says must be there for it to count.
                if f64::from(window.in_flight) <= (here.level * (1.0 + LEVEL)).max(here.level + 1.0)
                {
                    here.add(window);
                }
                let (here, from, best) = (*here, *from, *best);
                let is_idler =
                    here.windows >= IDLER_FOR && here.cpus() < from.cpus() * (1.0 - IDLER);
                if !is_idler && !here.is_telling() && here.windows < WINDOWS[1] {
                    return Advice::AtMost(here.level);
                }
                let (gain, errors) = here.gain_over(&from);
                let as_busy = here.cpus() >= from.cpus() * (1.0 - AS_BUSY);
                let is_better = match as_busy {
                    _ if self.is_queued() => gain >= -AS_MUCH,
                    true => gain >= 0.0,
                    false => errors >= SURE,
                };
                if is_idler || !is_better {
                    self.rest(best);
                    return Advice::Back(from.level);
                }
                let next = here.level * STEP;
                if next < procs {
                    self.rest(Some(here));
                    return Advice::AtMost(here.level);
                }
                self.fewer(next, here, Some(here), window)
            }
            Phase::Rest { best, left } => {
                let best = *best;
                *left = left.saturating_sub(window.span);
                if left.is_zero() {
                    self.phase = Phase::Free { here: Stay::new(target, window), below: best };
                }
                best.map_or(Advice::None, |best| Advice::AtMost(best.level))
            }
        }
    }

    /// This share of the commands waits in a queue they share.
    pub(super) fn note_queue(&mut self, queued: f64) {
        self.queued += NEWEST * (queued - self.queued);
    }

    /// Whether many wait in a queue they share.
    pub(super) fn is_queued(&self) -> bool {
        self.queued >= QUEUED
    }

    /// The use is nowhere near the goal any more. If that is because of a trial, that is over.
    pub(super) fn forget(&mut self) -> Advice {
        if let Phase::Fewer { from, best, .. } = self.phase {
            self.rest(best);
            return Advice::Back(from.level);
        }
        if !matches!(self.phase, Phase::Rest { .. }) {
            *self = Knee { queued: self.queued, ..Knee::default() };
        }
        Advice::None
    }

    fn fewer(&mut self, level: f64, from: Stay, best: Option<Stay>, window: &Window) -> Advice {
        let level = level.max(1.0);
        self.phase = Phase::Fewer { here: Stay::new(level, window), from, best };
        Advice::AtMost(level)
    }

    fn rest(&mut self, best: Option<Stay>) {
        self.phase = Phase::Rest { best, left: self.pause };
        self.pause = (self.pause * 2).min(REST[1]);
    }
}
