//! Far below the goal: doubling what is in flight as long as that makes use of the CPUs, halving it as
//! long as that costs nothing.
//!
//! Use as a function of commands in flight is taken to be concave: where a doubling gained nothing, a
//! further one gains nothing, and perhaps an earlier one had not either.

use std::time::Duration;

use super::Ended;
use super::walls::Walls;

/// Nobody asks whether a doubling is of use while none has ended: asking would take longer than it is worth.
/// Unless so many wait in a common queue; who does may take long over it: so many per token are started
/// without asking.
const MANY_QUEUED: f64 = 0.25;
const BLIND_QUEUED: f64 = 2.0;
/// Beyond so many per token nothing is started without asking once one has ended soon.
const BLIND_MANY: f64 = 8.0;
/// Once so many per token have ended, each within so many windows, or this time, asking takes little time.
const ENDED: f64 = 2.0;
const SOON: f64 = 5.0;
const SOON_AT_LEAST: f64 = 0.1;

/// Windows that pass before what was started is like all others.
const SETTLING: u32 = 2;

/// So many times as many are tried; and where more were of no use before.
const STEP: f64 = 2.0;
const DOUBTFUL_STEP: f64 = 1.5;

/// On the way down it is looked after each so many commands that ended: with less than this part of what was done before,
/// the trial costs too much.
const WAY: u32 = 32;
const BEHIND: f64 = 0.7;

/// Fewer than so many times what was plainly too few are not tried again.
const BEYOND: f64 = 1.5;

/// Windows after which a gain counts, after which its absence does, and after which anything does.
const GAIN_AFTER: u32 = 2;
const NO_GAIN_AFTER: u32 = 6;
const DECIDED_AFTER: u32 = 12;
/// Going down, and going up where that was of no use before, is decided later, unless this part of what is expected
/// of twice as many comes of them.
const FEWER_AFTER: u32 = 25;
const CLEARLY: f64 = 0.5;
/// So many commands that ended tell how many do in a second.
const COUNTED: u32 = 16;
/// Where so many times as many are in flight as get on, that and a little is tried.
const SUPERFLUOUS: f64 = 1.75;
const SPARE: f64 = 1.25;
/// Numbers vary: so many standard errors from what the use says they contradict it. Those that do not get on were of use
/// only if the gain is so many above what is enough.
const CONTRADICTS: f64 = 1.5;
const CERTAIN: f64 = 1.0;
/// So many generations of commands are watched where they are short; one where this part of the CPUs is in use, which tells
/// sooner than the number of those that end.
const GENERATIONS: f64 = 2.0;
const IN_USE: f64 = 0.5;
const GENERATION_AT_MOST: f64 = 0.25;
const CYCLE_AT_MOST: f64 = 2.0;
/// With less CPU time than this nothing can be said.
const EVIDENCE: Duration = Duration::from_millis(10);

/// The parts of the gain that can be expected with which a doubling is kept early, is kept in the end, and
/// is given up early.
const CLEAR_GAIN: f64 = 0.4;
const GAIN: f64 = 0.08;
const NO_GAIN: f64 = 0.02;

/// How long a target that was found to be enough is kept: at first, and at most.
const REST: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];
/// A use that differs by so much from the one at which it was found means that things have changed.
const CHANGED: f64 = 0.1;
const CHANGED_FOR: u32 = 5;

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

/// What to do with the target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Move {
    Stay,
    Grow { at_most: f64 },
    To(f64),
}

/// Windows at one target, added up.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stay {
    target: f64,
    /// How many were really in flight, on average.
    in_flight: f64,
    windows: u32,
    span: Duration,
    used: Duration,
    /// Commands that ended, and how long they took.
    commands: u32,
    walls: Walls,
}

impl Stay {
    fn new(target: f64) -> Stay {
        let (span, used) = (Duration::ZERO, Duration::ZERO);
        let (in_flight, walls) = (target, Walls::default());
        Stay { target, in_flight, windows: 0, span, used, commands: 0, walls }
    }

    fn add(&mut self, level: Level) {
        self.windows += 1;
        self.span += level.span;
        let part = level.span.as_secs_f64() / self.span.as_secs_f64().max(1e-9);
        self.in_flight += part * (level.in_flight - self.in_flight);
        self.used += level.used;
        self.commands += level.ended.commands;
        self.walls.add_all(&level.ended.walls);
    }

    /// How many of those in flight it takes for what gets done, where that is far fewer than there are: Little's
    /// law, with the time that is usual. The others do not get on; they have been told to come back later.
    fn suffice(&self, generation: f64, cycle: Duration) -> Option<f64> {
        let rate = f64::from(self.commands) / self.span.as_secs_f64().max(1e-9);
        let enough = rate * self.walls.median();
        let tells = self.commands >= COUNTED
            && generation > 0.0
            && self.has_seen(generation)
            && self.span >= cycle;
        (tells && enough * SUPERFLUOUS <= self.target).then_some(enough * SPARE)
    }

    /// Whether it has lasted for so long, in seconds, or for as long as anything is waited for.
    fn has_seen(&self, generation: f64) -> bool {
        self.windows >= DECIDED_AFTER || self.span.as_secs_f64() >= generation
    }

    /// Commands per second, if enough have ended.
    fn rate(&self) -> Option<f64> {
        (self.commands >= COUNTED).then(|| f64::from(self.commands) / self.span.as_secs_f64())
    }

    /// Whether plainly less gets done than there.
    fn falls_behind(&self, other: &Stay) -> bool {
        self.rate().zip(other.rate()).is_some_and(|(here, there)| here < there * BEHIND)
    }

    /// CPUs in use.
    fn cpus(&self) -> f64 {
        if self.span.is_zero() { 0.0 } else { self.used.as_secs_f64() / self.span.as_secs_f64() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there is one in a run")]
enum Phase {
    /// Growing without a question.
    Blind,
    /// Finding out what the use is here, before anything is compared with it.
    Base(Stay),
    /// More: was it of use?
    Up { base: Stay, here: Stay },
    /// Fewer: is anything lost? `way` is how it went lately, on the way down, too.
    /// `gets_on`: so many do, it is not about the half.
    Down { here: Stay, base: Stay, way: Stay, gets_on: bool },
    /// Enough, until it is time to look again.
    Rest { base: Stay, left: Duration, changed: u32 },
}

/// Where the search stands.
#[derive(Debug)]
pub(super) struct Climb {
    procs: f64,
    cap: f64,
    phase: Phase,
    pause: Duration,
    /// Whether fewer were asked for when more were last found to be of no use.
    asks_for_fewer: bool,
    /// Commands that ended since this began, and how long they took together, in seconds.
    ended: f64,
    walls: f64,
    /// So many windows still belong to a change of target, and so many seconds: what has just been started
    /// computes first, and those that end have been started before.
    settling: (u32, f64),
    /// So many were plainly too few.
    too_few: f64,
    /// The cycle of those that compute most seldom, in seconds.
    cycle: f64,
}

impl Climb {
    pub(super) fn new(procs: f64, cap: f64) -> Climb {
        let (phase, pause) = (Phase::Blind, REST[0]);
        Climb {
            procs,
            cap,
            phase,
            pause,
            asks_for_fewer: false,
            ended: 0.0,
            walls: 0.0,
            settling: (0, 0.0),
            too_few: 0.0,
            cycle: 0.0,
        }
    }

    /// Whether a number is being tried, or was found by trying.
    pub(super) fn is_asking(&self) -> bool {
        !matches!(self.phase, Phase::Blind)
    }

    /// The use is near the goal: nothing to find out.
    pub(super) fn rest(&mut self) {
        self.phase = Phase::Blind;
        self.pause = REST[0];
        (self.ended, self.walls) = (0.0, 0.0);
        self.too_few = 0.0;
    }

    /// What to do after one more window. It counts only when about as many are in flight as the target
    /// says: as long as there are fewer or more, commands start and do not end, or the other way round.
    pub(super) fn next(&mut self, level: Level, is_there: bool, queued: f64) -> Move {
        self.cycle = level.cycle.as_secs_f64().min(CYCLE_AT_MOST);
        let ended = f64::from(level.ended.commands);
        self.ended += ended;
        self.walls += ended * level.ended.wall;
        if let Phase::Down { base, way, .. } = &mut self.phase {
            let base = *base;
            way.add(level);
            if way.commands >= WAY {
                let costs = std::mem::replace(way, Stay::new(way.target)).falls_behind(&base);
                if costs {
                    return self.keep(base);
                }
            }
        }
        if !is_there {
            return Move::Stay;
        }
        let span = level.span.as_secs_f64();
        if self.settling.0 > 0 || self.settling.1 > 0.0 {
            self.settling = (self.settling.0.saturating_sub(1), self.settling.1 - span);
            return Move::Stay;
        }
        let in_use = level.used.as_secs_f64() / span.max(1e-9) / self.procs;
        let generations = if in_use >= IN_USE { 1.0 } else { GENERATIONS };
        let generation = self.generation() * generations;
        match self.phase {
            Phase::Blind => self.blind(level, queued),
            Phase::Base(mut base) => {
                base.add(level);
                if let Some(enough) = base.suffice(generation, level.cycle) {
                    return self.down(base, enough, true);
                }
                let can_count =
                    base.commands == 0 || base.commands >= COUNTED || base.windows >= DECIDED_AFTER;
                if base.windows < GAIN_AFTER
                    || base.span < level.cycle
                    || !base.has_seen(generation)
                    || !can_count
                {
                    self.phase = Phase::Base(base);
                    return Move::Stay;
                }
                self.look_again(base)
            }
            Phase::Up { base, mut here } => {
                here.add(level);
                if here.suffice(generation, level.cycle).is_some() {
                    return self.back(base);
                }
                // It was not of use before: this time it takes more to believe it.
                let doubts = self.pause > REST[0];
                let gain = gained(&base, &here, here.windows, queued);
                // Those that were started together compute together: less than one of their cycles says nothing.
                let tells = here.span >= level.cycle && here.has_seen(generation);
                match gain.filter(|_| tells).filter(|_| !doubts || here.windows >= FEWER_AFTER) {
                    Some(true) if doubts && !clearly_gained(&base, &here) => self.back(base),
                    None => {
                        self.phase = Phase::Up { base, here };
                        Move::Stay
                    }
                    Some(true) => {
                        self.pause = REST[0];
                        self.look_again(here)
                    }
                    Some(false) => self.back(base),
                }
            }
            Phase::Down { mut here, base, way, gets_on } => {
                here.add(level);
                // The other way round: what twice as many would have gained.
                let clearly = clearly_gained(&here, &base);
                let by_number = here.rate().is_some() && base.rate().is_some();
                match gained(&here, &base, here.windows, queued) {
                    _ if here.windows < NO_GAIN_AFTER || !here.has_seen(generation) => {
                        self.phase = Phase::Down { here, base, way, gets_on };
                        Move::Stay
                    }
                    // What is stalled for a moment says nothing.
                    _ if clearly && by_number && here.span >= level.cycle => {
                        self.too_few = here.target;
                        self.keep(base)
                    }
                    _ if here.span < level.cycle || (here.windows < FEWER_AFTER && !clearly) => {
                        self.phase = Phase::Down { here, base, way, gets_on };
                        Move::Stay
                    }
                    Some(true) if !gets_on || surely_gained(&here, &base) => self.keep(base),
                    _ if gets_on => {
                        // Hardly fewer can be enough.
                        self.too_few = self.too_few.max(here.target / SPARE);
                        self.keep(here)
                    }
                    _ => self.down(here, here.target / 2.0, false),
                }
            }
            Phase::Rest { base, left, changed } => self.resting(base, left, changed, level),
        }
    }

    /// More without a question, until there is somebody to ask.
    fn blind(&mut self, level: Level, queued: f64) -> Move {
        let span = level.span.as_secs_f64();
        let soon = (SOON * span).max(SOON_AT_LEAST);
        let are_short = self.ended > 0.0 && self.walls <= self.ended * soon;
        let can_ask = are_short && self.ended >= ENDED * self.procs;
        let is_disk = queued >= MANY_QUEUED;
        let at_most = match are_short {
            _ if is_disk => self.procs * BLIND_QUEUED,
            true => self.procs * BLIND_MANY,
            false => self.cap,
        };
        if level.target < at_most && !can_ask {
            return Move::Grow { at_most };
        }
        if can_ask || is_disk || !are_short {
            self.settling = (SETTLING, self.generation());
            self.phase = Phase::Base(Stay::new(level.target));
        }
        Move::Stay
    }

    /// Seconds from start to end of those that have ended lately; 0 where that is too long to wait for.
    fn generation(&self) -> f64 {
        let mean = if self.ended > 0.0 { self.walls / self.ended } else { 0.0 };
        if mean <= GENERATION_AT_MOST { mean } else { 0.0 }
    }

    fn look_again(&mut self, base: Stay) -> Move {
        if base.target < self.cap {
            self.up(base)
        } else {
            self.down(base, base.target / 2.0, false)
        }
    }

    fn up(&mut self, base: Stay) -> Move {
        // Those that are told to come back later do not before that.
        self.settling = (SETTLING, self.generation().max(self.cycle));
        let step = if self.pause > REST[0] { DOUBTFUL_STEP } else { STEP };
        let more = (base.target * step).min(self.cap);
        self.phase = Phase::Up { base, here: Stay::new(more) };
        Move::To(more)
    }

    fn down(&mut self, base: Stay, to: f64, gets_on: bool) -> Move {
        let fewer = to.max(self.procs);
        if fewer >= base.target || fewer < self.too_few * BEYOND {
            return self.keep(base);
        }
        self.settling = (SETTLING, self.generation().max(self.cycle));
        let [here, way] = [Stay::new(fewer); 2];
        self.phase = Phase::Down { here, base, way, gets_on };
        Move::To(fewer)
    }

    /// Twice as many were of no use. Perhaps half as many are enough, unless that was just asked.
    fn back(&mut self, base: Stay) -> Move {
        self.asks_for_fewer = !self.asks_for_fewer;
        if self.asks_for_fewer {
            self.down(base, base.target / 2.0, false)
        } else {
            self.keep(base)
        }
    }

    fn keep(&mut self, base: Stay) -> Move {
        self.settling = (SETTLING, self.generation().max(self.cycle));
        self.phase = Phase::Rest { base, left: self.pause, changed: 0 };
        self.pause = (self.pause * 2).min(REST[1]);
        Move::To(base.target)
    }

    fn resting(&mut self, base: Stay, left: Duration, changed: u32, level: Level) -> Move {
        let cpus = level.used.as_secs_f64() / level.span.as_secs_f64().max(1e-9);
        let differs = (cpus - base.cpus()).abs() > CHANGED * self.procs;
        let changed = if differs { changed + 1 } else { 0 };
        let left = left.saturating_sub(level.span);
        if changed >= CHANGED_FOR {
            self.rest();
        } else if left.is_zero() {
            return self.look_again(Stay { target: level.target, ..base });
        } else {
            self.phase = Phase::Rest { base, left, changed };
        }
        Move::Stay
    }
}

/// By what part of them `many` are more than `few`.
fn more(few: &Stay, many: &Stay) -> f64 {
    (many.in_flight / few.in_flight.max(1e-9) - 1.0).max(1e-9)
}

/// Whether it is plain that many get more done than few.
fn clearly_gained(few: &Stay, many: &Stay) -> bool {
    let more = more(few, many);
    let by_use = many.cpus() / few.cpus().max(1e-9);
    let by_number = match (few.rate(), many.rate()) {
        (Some(few), Some(many)) => many / few,
        _ => by_use,
    };
    (by_use.min(by_number) - 1.0) / more >= CLEARLY
}

/// By what part of what so many more could do `many` got more done, as their number tells, and its standard error.
fn gain_by_number(few: &Stay, many: &Stay) -> Option<[f64; 2]> {
    let (more, ratio) = (more(few, many), many.rate()? / few.rate()?);
    let varies = (1.0 / f64::from(few.commands) + 1.0 / f64::from(many.commands)).sqrt();
    Some([(ratio - 1.0) / more, varies * ratio / more])
}

/// Whether it is certain that many get more done than few.
fn surely_gained(few: &Stay, many: &Stay) -> bool {
    gain_by_number(few, many).is_none_or(|[part, error]| part - CERTAIN * error >= GAIN)
}

/// Whether going from `few` to `many` was of use; `None` as long as nobody can tell. So many `windows` of the last one
/// of the two have been seen.
fn gained(few: &Stay, many: &Stay, windows: u32, queued: f64) -> Option<bool> {
    let (before, after) = (few.cpus(), many.cpus());
    if many.used < EVIDENCE {
        // They hardly compute: that there is no harm is all that can be said, and not of a disk.
        let patient = queued >= MANY_QUEUED;
        return (windows >= DECIDED_AFTER || (windows >= NO_GAIN_AFTER && !patient))
            .then_some(!patient);
    }
    let by_use = (after - before) / (before * more(few, many)).max(1e-9);
    // CPU time may be used in vain; what counts is what gets done, as far as its number tells.
    let (part, surely) = match gain_by_number(few, many) {
        Some([by_number, error]) => {
            let is_contradicted = by_number + CONTRADICTS * error < by_use;
            (if is_contradicted { by_number } else { by_use }, by_use.min(by_number))
        }
        None if few.rate().is_some() && windows < DECIDED_AFTER => return None,
        None => (by_use, by_use),
    };
    match windows {
        _ if windows >= DECIDED_AFTER => Some(part >= GAIN),
        _ if windows >= GAIN_AFTER && surely >= CLEAR_GAIN => Some(true),
        _ if windows >= NO_GAIN_AFTER && part < NO_GAIN => Some(false),
        _ => None,
    }
}
