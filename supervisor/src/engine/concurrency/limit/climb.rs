//! Far below the goal: doubling what is in flight as long as that makes use of the CPUs, halving it
//! as long as that costs nothing.
//!
//! Use as a function of commands in flight is taken to be concave: where a doubling gained nothing,
//! a further one gains nothing, and perhaps an earlier one had not either.

use std::time::Duration;

use super::stay::{
    COUNTED, DECIDED_AFTER, EVIDENCE, FEWER_AFTER, GAIN_AFTER, Level, MANY_QUEUED, NO_GAIN_AFTER,
    SPARE, Stay, believably_gained, clearly_gained, gained, surely_gained,
};
use super::walls::Walls;

/// Nobody asks whether a doubling is of use while none has ended: asking would take longer than it
/// is worth. Unless many wait in a common queue; who does may take long over it: so many per token
/// are started without asking.
const BLIND_QUEUED: f64 = 2.0;
/// Beyond so many per token nothing is started without asking once one has ended soon.
const BLIND_MANY: f64 = 8.0;
/// Once so many per token have ended, each within so many windows, or this time, asking takes
/// little time.
const ENDED: f64 = 2.0;
const SOON: f64 = 5.0;
const SOON_AT_LEAST: f64 = 0.1;

/// Windows that pass before what was started is like all others.
const SETTLING: u32 = 2;

/// So many times as many are tried; and where more were of no use before.
const STEP: f64 = 2.0;
const DOUBTFUL_STEP: f64 = 1.5;

/// On the way down it is looked after each so many commands that ended; and so many where some are
/// refused: they come back in bunches.
const WAY: u32 = 32;
const WAY_REFUSED: u32 = 64;

/// Fewer than so many times what was plainly too few are not tried again.
const BEYOND: f64 = 1.5;

/// So many generations of commands are watched where they are short; one where this part of the
/// CPUs is in use, which tells sooner than the number of those that end.
const GENERATIONS: f64 = 2.0;
const IN_USE: f64 = 0.5;
const GENERATION_AT_MOST: f64 = 0.25;
const CYCLE_AT_MOST: f64 = 2.0;

/// How long a target that was found to be enough is kept: at first, and at most.
const REST: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];
/// At least so long where some are known to be refused: what more are told to come back later costs
/// a while, and so does it to come down again.
const REST_REFUSED: Duration = Duration::from_secs(10);
/// A use that differs by so much from the one at which it was found, for so many windows, means
/// that things have changed; for so many where some are refused: those come back in bunches.
const CHANGED: f64 = 0.1;
const CHANGED_FOR: u32 = 5;
const CHANGED_FOR_REFUSED: u32 = 25;

/// What to do with the target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Move {
    Stay,
    Grow { at_most: f64 },
    To(f64),
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
    /// Enough, until it is time to look again. `here` is how it has gone since.
    Rest { base: Stay, here: Stay, left: Duration, changed: u32 },
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
    /// They are to be asked for next.
    owes_fewer: bool,
    /// Commands that ended since this began, and how long they took.
    ended: f64,
    walls: Walls,
    /// So many windows still belong to a change of target, and so many seconds: what has just been
    /// started computes first, and those that end have been started before.
    settling: (u32, f64),
    /// So many were plainly too few.
    too_few: f64,
    /// Some were found not to get on: they have been told to come back later.
    refused: bool,
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
            owes_fewer: false,
            ended: 0.0,
            walls: Walls::default(),
            settling: (0, 0.0),
            too_few: 0.0,
            refused: false,
            cycle: 0.0,
        }
    }

    /// Whether a number is being tried, or was found by trying.
    pub(super) fn is_asking(&self) -> bool {
        !matches!(self.phase, Phase::Blind)
    }

    /// Whether some do not get on, having been told to come back later.
    pub(super) fn are_some_refused(&self) -> bool {
        self.refused
    }

    /// The use is near the goal: nothing to find out.
    pub(super) fn rest(&mut self) {
        self.phase = Phase::Blind;
        self.pause = REST[0];
        (self.ended, self.walls) = (0.0, Walls::default());
        self.too_few = 0.0;
        self.refused = false;
        self.owes_fewer = false;
    }

    /// What to do after one more window. It counts only when about as many are in flight as the
    /// target says: as long as there are fewer or more, commands start and do not end, or the other
    /// way round.
    pub(super) fn next(&mut self, level: Level, is_there: bool, queued: f64) -> Move {
        self.cycle = level.cycle.as_secs_f64().min(CYCLE_AT_MOST);
        let ended = f64::from(level.ended.commands);
        self.ended += ended;
        self.walls.add_all(&level.ended.walls);
        if let Phase::Down { base, way, gets_on, .. } = &mut self.phase {
            let (base, gets_on) = (*base, *gets_on);
            way.add(level);
            if way.commands >= if self.refused { WAY_REFUSED } else { WAY } {
                let costs = std::mem::replace(way, Stay::new(way.target)).falls_behind(&base);
                if costs && gets_on {
                    return self.stop_at(level.in_flight);
                }
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
                if let Some(fewer) = self.as_many_as_get_on(base, generation, level.cycle) {
                    return fewer;
                }
                // Where they are known to be short, or of a disk that has let none through yet, it
                // says nothing that none has ended.
                let is_dark = generation > 0.0 || (queued >= MANY_QUEUED && base.used < EVIDENCE);
                let can_count = match base.commands {
                    _ if base.windows >= DECIDED_AFTER => true,
                    0 => !is_dark,
                    commands => commands >= COUNTED,
                };
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
                    self.refused = true;
                    return self.back(base);
                }
                // It was not of use before: this time it takes more to believe it.
                let doubts = self.pause > REST[0];
                let gain = gained(&base, &here, here.windows, queued);
                // Those that were started together compute together: less than one of their cycles
                // says nothing.
                let tells = here.span >= level.cycle && here.has_seen(generation);
                match gain.filter(|_| tells).filter(|_| !doubts || here.windows >= FEWER_AFTER) {
                    Some(true) if doubts && !believably_gained(&base, &here) => self.back(base),
                    None => {
                        self.phase = Phase::Up { base, here };
                        Move::Stay
                    }
                    Some(true) => {
                        (self.pause, self.refused) = (REST[0], false);
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
                    Some(true) if !gets_on || surely_gained(&here, &base) != Some(false) => {
                        self.keep(base)
                    }
                    _ if gets_on => {
                        // Hardly fewer can be enough.
                        self.too_few = self.too_few.max(here.target / SPARE);
                        self.keep(here)
                    }
                    _ => self.down(here, here.target / 2.0, false),
                }
            }
            Phase::Rest { base, here, left, changed } => {
                self.resting(base, here, left, changed, level, generation)
            }
        }
    }

    /// More without a question, until there is somebody to ask.
    fn blind(&mut self, level: Level, queued: f64) -> Move {
        let span = level.span.as_secs_f64();
        let soon = (SOON * span).max(SOON_AT_LEAST);
        let are_short = self.ended > 0.0 && self.walls.median() <= soon;
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

    /// Seconds from start to end of what has ended lately, as is usual: a few that are told to come
    /// back later change nothing. 0 where that is too long to wait for.
    fn generation(&self) -> f64 {
        let usual = self.walls.median();
        if usual <= GENERATION_AT_MOST { usual } else { 0.0 }
    }

    fn look_again(&mut self, base: Stay) -> Move {
        let fewer = std::mem::take(&mut self.owes_fewer);
        if base.target < self.cap && !fewer {
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

    /// No more than that, where the others do not.
    fn as_many_as_get_on(&mut self, here: Stay, generation: f64, cycle: Duration) -> Option<Move> {
        let enough = here.suffice(generation, cycle)?;
        self.refused = true;
        Some(self.down(here, enough, true))
    }

    /// On the way down: those on it that were started together wake together, and who wakes too
    /// late leaves a place empty. From here it is seen anew how many get on.
    fn stop_at(&mut self, in_flight: f64) -> Move {
        let here = in_flight.max(self.procs);
        self.settling = (SETTLING, self.generation().max(self.cycle));
        self.phase = Phase::Base(Stay::new(here));
        Move::To(here)
    }

    /// Twice as many were of no use. Perhaps half as many are enough, unless that was just asked.
    fn back(&mut self, base: Stay) -> Move {
        self.asks_for_fewer = !self.asks_for_fewer;
        // It is asked only where it is known well how it goes here.
        self.owes_fewer = self.asks_for_fewer && base.windows < FEWER_AFTER;
        if self.asks_for_fewer && !self.owes_fewer {
            self.down(base, base.target / 2.0, false)
        } else {
            self.keep(base)
        }
    }

    fn keep(&mut self, base: Stay) -> Move {
        self.settling = (SETTLING, self.generation().max(self.cycle));
        let here = Stay::new(base.target);
        let least = if self.refused { REST_REFUSED } else { Duration::ZERO };
        self.phase = Phase::Rest { base, here, left: self.pause.max(least), changed: 0 };
        self.pause = (self.pause * 2).min(REST[1]);
        Move::To(base.target)
    }

    fn resting(
        &mut self,
        base: Stay,
        mut here: Stay,
        left: Duration,
        changed: u32,
        level: Level,
        generation: f64,
    ) -> Move {
        here.add(level);
        let cpus = level.used.as_secs_f64() / level.span.as_secs_f64().max(1e-9);
        let differs = (cpus - base.cpus()).abs() > CHANGED * self.procs;
        let changed = if differs { changed + 1 } else { 0 };
        let left = left.saturating_sub(level.span);
        let changed_for = if self.refused { CHANGED_FOR_REFUSED } else { CHANGED_FOR };
        if changed >= changed_for {
            self.rest();
        } else if left.is_zero() {
            // That is known far better by now than from the few windows in which it was tried.
            let fewer = self.as_many_as_get_on(here, generation, level.cycle);
            return fewer.unwrap_or_else(|| self.look_again(here));
        } else {
            self.phase = Phase::Rest { base, here, left, changed };
        }
        Move::Stay
    }
}

#[cfg(test)]
mod tests {
    use super::super::Ended;
    use super::*;

    const SPAN: Duration = Duration::from_millis(40);

    /// A window of commands that take so long from start to end, in seconds; so many of them ended.
    fn level(target: f64, in_flight: f64, commands: u32, wall: f64) -> Level {
        let mut ended = Ended::default();
        (0..commands).for_each(|_| ended.add(0.005, wall));
        let [used, cycle] = [30, 50].map(Duration::from_millis);
        Level { target, in_flight, span: SPAN, used, cycle, ended }
    }

    /// The first move that such windows lead to.
    fn moves_with(climb: &mut Climb, level: Level, is_there: bool, windows: u32) -> Option<Move> {
        let mut moves = (0..windows).map(|_| climb.next(level, is_there, 0.0));
        moves.find(|moved| *moved != Move::Stay)
    }

    /// Most are served soon; the others have been told to come back in a second, and have.
    #[test]
    fn some_that_come_back_later_do_not_make_all_slow() {
        let mut ended = Ended::default();
        (0..20).for_each(|_| ended.add(0.005, 0.07));
        (0..10).for_each(|_| ended.add(0.005, 1.07));
        let mut climb = Climb::new(2.0, 200.0);
        let some_late = Level { ended, ..level(32.0, 32.0, 0, 0.0) };
        assert_eq!(climb.next(some_late, true, 0.0), Move::Stay);
        assert!(climb.is_asking());
    }

    /// They are short, and none has ended for a few windows: more are not the answer yet.
    #[test]
    fn that_none_has_ended_yet_doubles_nothing() {
        let mut climb = Climb::new(2.0, 200.0);
        climb.next(level(16.0, 16.0, 20, 0.06), true, 0.0);
        assert_eq!(moves_with(&mut climb, level(16.0, 16.0, 0, 0.0), true, 10), None);
    }

    /// Seven and a bit get on, each place empty now and then: eight. A way down that lost something
    /// is gone on with from where it was lost.
    #[test]
    fn as_many_as_get_on_are_asked_for_again() {
        let mut climb = Climb::new(2.0, 200.0);
        let first = moves_with(&mut climb, level(32.0, 32.0, 5, 0.055), true, 50);
        assert_eq!(first, Some(Move::To(8.0)));
        let on_the_way = moves_with(&mut climb, level(8.0, 20.0, 2, 0.055), false, 32);
        assert_eq!(on_the_way, Some(Move::To(20.0)));
        let there = moves_with(&mut climb, level(20.0, 20.0, 5, 0.055), true, 50);
        assert_eq!(there, Some(Move::To(8.0)));
    }

    /// They come back in bunches: only so many windows in a row say that things have changed.
    #[test]
    fn bunches_change_nothing_where_some_are_refused() {
        let mut climb = Climb::new(2.0, 200.0);
        let usual = level(8.0, 8.0, 5, 0.055);
        moves_with(&mut climb, level(32.0, 32.0, 5, 0.055), true, 50);
        assert_eq!(moves_with(&mut climb, usual, true, 50), Some(Move::To(8.0)));
        let idle = Level { used: Duration::ZERO, ..usual };
        assert_eq!(moves_with(&mut climb, usual, true, 20), None);
        assert_eq!(moves_with(&mut climb, idle, true, CHANGED_FOR_REFUSED - 1), None);
        assert!(climb.is_asking() && climb.are_some_refused());
        assert_eq!(moves_with(&mut climb, usual, true, 1), None);
        assert_eq!(moves_with(&mut climb, idle, true, CHANGED_FOR_REFUSED), None);
        assert!(!climb.is_asking());
    }

    /// While it rested a server began to refuse all but some: fewer are tried then, not more.
    #[test]
    fn after_a_rest_it_is_asked_how_many_get_on() {
        let mut climb = Climb::new(2.0, 200.0);
        let all_get_on = moves_with(&mut climb, level(32.0, 32.0, 5, 0.15), true, 50);
        assert_eq!(all_get_on, Some(Move::To(64.0)));
        let of_no_use = moves_with(&mut climb, level(64.0, 64.0, 5, 0.3), true, 100);
        assert_eq!(of_no_use, Some(Move::To(32.0)));
        let windows = (REST[0].as_secs_f64() / SPAN.as_secs_f64()) as u32 + 10;
        let some_get_on = moves_with(&mut climb, level(32.0, 32.0, 5, 0.055), true, windows);
        assert_eq!(some_get_on, Some(Move::To(8.0)));
    }
}
