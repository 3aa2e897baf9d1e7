//! What was measured with one number in flight, and whether another number gets more done.
//!
//! Little is seen of commands that are slow, so chance is reckoned with: what a few windows show is
//! believed only as far as they agree with each other.

use std::time::Duration;

use super::Ended;
use super::walls::Walls;

/// Windows after which a gain counts, after which its absence does, and after which anything does.
pub(super) const GAIN_AFTER: u32 = 2;
pub(super) const NO_GAIN_AFTER: u32 = 6;
pub(super) const DECIDED_AFTER: u32 = 12;
/// Going down, and going up where that was of no use before, is decided later, unless this part of
/// what is expected of twice as many comes of them.
pub(super) const FEWER_AFTER: u32 = 25;
const CLEARLY: f64 = 0.5;
/// So many commands that ended tell how many do in a second.
pub(super) const COUNTED: u32 = 16;
/// Where so many times as many are in flight as get on, that and a little is tried: between two
/// commands a place is empty for a while.
const SUPERFLUOUS: f64 = 1.75;
pub(super) const SPARE: f64 = 1.12;
/// Numbers vary: so many standard errors from what the use says they contradict it. Those that do
/// not get on were of use only if the gain is so many above what is enough.
const CONTRADICTS: f64 = 1.5;
const CERTAIN: f64 = 1.0;
/// With a larger standard error it is decided as late as what goes down.
const VAGUE: f64 = 0.5;
/// The variance of how many end in a window, by their mean: where it is by chance it is 1. At least
/// and at most.
const REGULAR: f64 = 0.1;
const IRREGULAR: f64 = 2.0;
/// The kernel counts CPU time in ticks of about so long, in seconds.
const TICK: f64 = 0.004;
/// With less CPU time than this nothing can be said.
pub(super) const EVIDENCE: Duration = Duration::from_millis(10);

/// The parts of the gain that can be expected with which a doubling is kept early, is kept in the
/// end, and is given up early.
const CLEAR_GAIN: f64 = 0.4;
const GAIN: f64 = 0.08;
const NO_GAIN: f64 = 0.02;

/// With less than this part of what was done before, a trial costs too much.
const BEHIND: f64 = 0.7;

/// Where so many wait in a common queue it is a disk, or a lock: who does may take long over it.
pub(super) const MANY_QUEUED: f64 = 0.25;

/// One window at a target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Level {
    pub(super) target: f64,
    pub(super) in_flight: f64,
    pub(super) span: Duration,
    pub(super) used: Duration,
    pub(super) cycle: Duration,
    pub(super) ended: Ended,
}

/// Windows at one target, added up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stay {
    pub(super) target: f64,
    /// How many were really in flight, on average.
    in_flight: f64,
    pub(super) windows: u32,
    pub(super) span: Duration,
    pub(super) used: Duration,
    /// Commands that ended, and how long they took.
    pub(super) commands: u32,
    walls: Walls,
    /// The squares of seconds used and of commands that ended, of each window.
    squares: [f64; 2],
}

impl Stay {
    pub(super) fn new(target: f64) -> Stay {
        let (span, used) = (Duration::ZERO, Duration::ZERO);
        let (in_flight, walls) = (target, Walls::default());
        Stay { target, in_flight, windows: 0, span, used, commands: 0, walls, squares: [0.0; 2] }
    }

    pub(super) fn add(&mut self, level: Level) {
        self.windows += 1;
        self.span += level.span;
        let part = level.span.as_secs_f64() / self.span.as_secs_f64().max(1e-9);
        self.in_flight += part * (level.in_flight - self.in_flight);
        self.used += level.used;
        self.commands += level.ended.commands;
        self.squares[0] += level.used.as_secs_f64().powi(2);
        self.squares[1] += f64::from(level.ended.commands).powi(2);
        self.walls.add_all(&level.ended.walls);
    }

    /// How many of those in flight it takes for what gets done, where that is far fewer than there
    /// are: Little's law, with the time that is usual. The others do not get on; they have been
    /// told to come back later.
    pub(super) fn suffice(&self, generation: f64, cycle: Duration) -> Option<f64> {
        let rate = f64::from(self.commands) / self.span.as_secs_f64().max(1e-9);
        let enough = rate * self.walls.median();
        let tells = self.commands >= COUNTED
            && generation > 0.0
            && self.has_seen(generation)
            && self.span >= cycle;
        (tells && enough * SUPERFLUOUS <= self.target).then_some((enough * SPARE).round())
    }

    /// Whether it has lasted for so long, in seconds, or for as long as anything is waited for.
    pub(super) fn has_seen(&self, generation: f64) -> bool {
        self.windows >= DECIDED_AFTER || self.span.as_secs_f64() >= generation
    }

    /// Commands per second, if enough have ended.
    pub(super) fn rate(&self) -> Option<f64> {
        (self.commands >= COUNTED).then(|| f64::from(self.commands) / self.span.as_secs_f64())
    }

    /// The variances of the use and of the rate, as parts of their squares. What a disk lets
    /// through is more regular than chance, what waits for a neighbour less.
    fn vary(&self) -> [f64; 2] {
        let windows = f64::from(self.windows.max(1));
        let of_sum = |sum: f64, squares: f64| {
            let spread = (squares * windows - sum * sum).max(0.0) / (windows - 1.0).max(1.0);
            spread / (sum * sum).max(1e-12)
        };
        let (used, commands) = (self.used.as_secs_f64(), f64::from(self.commands));
        let by_chance = 1.0 / commands.max(1.0);
        let of_rate = of_sum(commands, self.squares[1]);
        [
            of_sum(used, self.squares[0]) + TICK / used.max(1e-9),
            of_rate.clamp(REGULAR * by_chance, IRREGULAR * by_chance),
        ]
    }

    /// Whether plainly less gets done than there.
    pub(super) fn falls_behind(&self, other: &Stay) -> bool {
        self.rate().zip(other.rate()).is_some_and(|(here, there)| here < there * BEHIND)
    }

    /// CPUs in use.
    pub(super) fn cpus(&self) -> f64 {
        if self.span.is_zero() { 0.0 } else { self.used.as_secs_f64() / self.span.as_secs_f64() }
    }
}

/// By what part of them `many` are more than `few`.
fn more(few: &Stay, many: &Stay) -> f64 {
    (many.in_flight / few.in_flight.max(1e-9) - 1.0).max(1e-9)
}

/// Whether it is plain that many get more done than few.
pub(super) fn clearly_gained(few: &Stay, many: &Stay) -> bool {
    let more = more(few, many);
    let by_use = many.cpus() / few.cpus().max(1e-9);
    let by_number = match (few.rate(), many.rate()) {
        (Some(few), Some(many)) => many / few,
        _ => by_use,
    };
    (by_use.min(by_number) - 1.0) / more >= CLEARLY
}

/// By what part of what so many more could do `many` got more done, and its standard error: as the
/// CPU time tells that they used, and as their number does, if enough have ended.
fn gains(few: &Stay, many: &Stay) -> ([f64; 2], Option<[f64; 2]>) {
    let more = more(few, many);
    let ([use_before, rate_before], [use_after, rate_after]) = (few.vary(), many.vary());
    let gain = |ratio: f64, varies: f64| [(ratio - 1.0) / more, varies.sqrt() * ratio / more];
    let by_use = gain(many.cpus() / few.cpus().max(1e-9), use_before + use_after);
    let rates = many.rate().zip(few.rate());
    (by_use, rates.map(|(after, before)| gain(after / before, rate_before + rate_after)))
}

/// Whether it is certain that many get more done than few, by their number; `None` where too few
/// have ended.
pub(super) fn surely_gained(few: &Stay, many: &Stay) -> Option<bool> {
    gains(few, many).1.map(|[part, error]| part - CERTAIN * error >= GAIN)
}

/// Whether so much more got done, or so certainly, that it can be believed where more were of no
/// use before.
pub(super) fn believably_gained(few: &Stay, many: &Stay) -> bool {
    clearly_gained(few, many) || surely_gained(few, many) == Some(true)
}

/// Whether going from `few` to `many` was of use; `None` as long as nobody can tell. So many
/// `windows` of the last one of the two have been seen.
pub(super) fn gained(few: &Stay, many: &Stay, windows: u32, queued: f64) -> Option<bool> {
    let patient = queued >= MANY_QUEUED;
    if many.used < EVIDENCE {
        // They hardly compute: that there is no harm is all that can be said, and not of a disk.
        return (windows >= DECIDED_AFTER || (windows >= NO_GAIN_AFTER && !patient))
            .then_some(!patient);
    }
    let (by_use, by_number) = gains(few, many);
    // What is known better tells; but CPU time may be used in vain, and what counts is what gets
    // done.
    let ([part, error], least) = match by_number {
        Some(by_number) => {
            let is_contradicted = by_number[0] + CONTRADICTS * by_number[1] < by_use[0];
            let tells =
                if is_contradicted || by_number[1] < by_use[1] { by_number } else { by_use };
            (tells, by_use[0].min(by_number[0]))
        }
        None if few.rate().is_some() && windows < DECIDED_AFTER => return None,
        None => (by_use, by_use[0]),
    };
    // Those that wait for a disk come and go in bursts.
    let is_vague = patient && error > VAGUE;
    let decided_after = if is_vague { FEWER_AFTER } else { DECIDED_AFTER };
    match windows {
        _ if windows >= decided_after && is_vague => Some(part - CERTAIN * error >= GAIN),
        _ if windows >= decided_after => Some(part >= GAIN),
        _ if windows >= GAIN_AFTER && least >= CLEAR_GAIN && least - CERTAIN * error >= GAIN => {
            Some(true)
        }
        _ if windows >= NO_GAIN_AFTER && part < NO_GAIN => Some(false),
        _ => None,
    }
}
