//! How many commands may be in flight, so that the CPUs are full with the fewest of them.
//!
//! Commands cannot be made to wait, so this controls an average. Over windows of some tens of
//! milliseconds the use of the CPUs is measured. Below the goal the target grows, at or above it
//! the target shrinks a little, so that it settles at the knee.
//!
//! Waiting is not always an idle CPU that more commands could fill: on a full disk, behind a lock
//! or a server that admits only so many, more commands only get into each other's way. So far below
//! the goal every doubling is a trial: it is kept only if the use rose with it ([`climb`]). Near
//! the goal, too, fewer are tried when more seem to get less done ([`knee`]).

mod climb;
mod gaps;
mod knee;
mod stay;
mod walls;

#[cfg(test)]
mod tests;

use std::time::Duration;

use climb::{Climb, Move};
use gaps::Gaps;
use knee::{Advice, Knee};
use stay::Level;
use walls::Walls;

/// The use of the CPUs that is aimed at. More of it costs many more commands in flight.
const GOAL: f64 = 0.99;

/// How strongly the target follows a use below the goal, and how much at most in one window.
const GROWTH: f64 = 1.2;
const GROWTH_AT_MOST: f64 = 2.0;

/// What the target loses in a window at the goal.
const SHRINK: f64 = 0.006;
/// The same when this share of the commands could run: hardly any of them waits any more. Unless
/// there are hardly more than tokens, so many per token: of few, all wait at once more often.
const SHRINK_FAST: f64 = 0.1;
const CROWDED: f64 = 0.8;
const HARDLY_MORE: f64 = 2.0;
/// At most so much when it is not they that fill the CPUs.
const SHRINK_TAKEN: f64 = 0.02;
/// And so much when no CPU idles: that is known late, too.
const SHRINK_NONE_IDLES: f64 = 0.0015;
/// What it loses more for each time so many commands per token that could run beyond the first.
const SHRINK_SURPLUS: f64 = 0.02;
const SEVERAL: f64 = 4.0;
/// So far below what is in flight the target may be.
const LEAD: f64 = 0.15;

/// A window whose use differs by so much from what it was counts by itself.
const LEAP: f64 = 0.2;

/// A window with so little use is as good as empty.
const EMPTY: f64 = 0.4;

/// The ramp is over when the CPUs have been full for so long, or when so many commands have ended
/// and all that are in flight have been replaced.
const FULL_FOR: Duration = Duration::from_millis(200);
const MANY_ENDED: u32 = 8;

/// Commands that wait so seldom have nothing to fill, however little CPU time they get: somebody
/// else has it.
const ALWAYS_RUNNABLE: f64 = 0.95;

/// CPUs that idle by less than this do not, where there are commands for all tokens.
const NONE_IDLE: f64 = 0.004;

/// Commands that could run for less of the time mostly wait.
const MOSTLY_WAIT: f64 = 0.5;

/// Tokens are in use when this share of them is wanted all the time, even if this much CPU time
/// less is had.
const ALWAYS_WANTED: f64 = 0.98;
const TAKEN: f64 = 0.04;
/// CPUs that idle by more than this have not been taken by somebody else.
const NOT_TAKEN: f64 = 0.04;

/// With so many commands per token that could run, no CPU is idle for want of them.
const ENOUGH: f64 = 12.0;

/// From this use on growth is no trial any more, but goes no further than so many times the target
/// there.
const NEAR: f64 = 0.8;
const NEAR_GROWTH_AT_MOST: f64 = 4.0;
/// Where many wait in a queue they share, so many times: the last bit of use is not to be had by
/// more of them.
const NEAR_GROWTH_QUEUED: f64 = 2.0;
/// The part of the growth that is called for which one window brings there, once the goal was
/// reached.
const NEAR_PACE: f64 = 0.4;
/// After it one of the commands' cycles passes before there is more of it, or this time: what was
/// just started computes first, which is no sign that more would.
const NEAR_SETTLES_AT_MOST: Duration = Duration::from_millis(300);

/// The weight of the last window in what is smoothed.
const NEWEST: f64 = 0.2;
/// The same for what one glance a window tells: it takes many to be sure.
const NEWEST_WANTED: f64 = 0.03;

/// What was measured over one window.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Window {
    /// Its length.
    pub(crate) span: Duration,
    /// CPU time of commands, those that ended in it included, and of msup around them.
    pub(crate) used: Duration,
    /// Commands in flight at its end.
    pub(crate) in_flight: u32,
    /// The share of the commands looked at that ran or waited for a CPU. `None`: none was looked
    /// at.
    pub(crate) runnable: Option<f64>,
    /// How long it takes from one spell of computing of a command to its next, on average.
    pub(crate) cycle: Duration,
    /// How many places are about to be asked for by commands that wake; `None`: nobody knows.
    pub(crate) waking: Option<u32>,
    /// The share of the commands looked at that waited in a queue they share: for a disk, for a
    /// lock.
    pub(crate) queued: f64,
    /// The share of the time in which CPUs that msup may use idled, over some windows. `None`: not
    /// looked at this time.
    pub(crate) idle: Option<f64>,
    /// Whether there were tasks that could have been started.
    pub(crate) had_more: bool,
    /// Commands that ended in it.
    pub(crate) ended: Ended,
    /// Bytes of memory that commands had, each with the processes below it, as far as they were
    /// looked at.
    pub(crate) residents: Vec<u64>,
    /// Bytes of memory that the machine, or what msup may use of it, had left.
    pub(crate) available: Option<u64>,
    /// The share of the time in which nobody got on, waiting for memory.
    pub(crate) stalled: f64,
}

/// Commands that ended in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Ended {
    /// How many.
    pub(crate) commands: u32,
    /// Mean CPU time of one in seconds, its worker's share included, and the sum of squared
    /// deviations.
    pub(crate) cpu: f64,
    pub(crate) squares: f64,
    /// Mean time from start to end in seconds, and all of them.
    pub(crate) wall: f64,
    pub(crate) walls: Walls,
}

impl Ended {
    /// One more.
    pub(crate) fn add(&mut self, cpu: f64, wall: f64) {
        self.commands += 1;
        let n = f64::from(self.commands);
        let apart = cpu - self.cpu;
        self.cpu += apart / n;
        self.squares += apart * (cpu - self.cpu);
        self.wall += (wall - self.wall) / n;
        self.walls.add(wall);
    }
}

/// The beginning, while nothing is known.
#[derive(Clone, Copy, Debug, Default)]
struct Ramp {
    /// For how long the CPUs have been full, and commands that ended.
    full: Duration,
    ended: u32,
}

/// The controller.
#[derive(Debug)]
pub(crate) struct Admission {
    procs: f64,
    cap: f64,
    target: f64,
    /// Smoothed: the use, and the share of commands that could run.
    use_: Option<f64>,
    was_empty: bool,
    ramping: Option<Ramp>,
    runnable: Option<f64>,
    /// The share of the tokens for which there was a command that could run, smoothed.
    wanted: f64,
    /// The part of the growth called for that one window brings near the goal.
    pace: f64,
    /// The target at which the use was last found to be near the goal, coming from below.
    near_at: Option<f64>,
    /// Time since it last grew there.
    near_for: Duration,
    climb: Climb,
    knee: Knee,
    gaps: Gaps,
    /// The part of the CPUs that idled when that was last looked at.
    idle: Option<f64>,
    /// For how long more could run than full CPUs need.
    too_many_for: Duration,
}

impl Admission {
    /// Starts with as many commands as there are tokens, and never allows more than `cap`.
    pub(crate) fn new(procs: u32, cap: u32) -> Admission {
        let procs = f64::from(procs);
        let cap = f64::from(cap).max(procs);
        Admission {
            procs,
            cap,
            target: procs,
            use_: None,
            was_empty: false,
            ramping: Some(Ramp::default()),
            runnable: None,
            wanted: 0.0,
            pace: 1.0,
            near_at: None,
            near_for: Duration::MAX,
            climb: Climb::new(procs, cap),
            knee: Knee::default(),
            gaps: Gaps::default(),
            idle: None,
            too_many_for: Duration::ZERO,
        }
    }

    /// How many commands may be in flight.
    pub(crate) fn target(&self) -> u32 {
        self.target as u32
    }

    /// Whether this is the beginning, when nothing is known yet, and nothing asked either.
    pub(crate) fn is_ramping(&self) -> bool {
        self.ramping.is_some() && !self.is_asking()
    }

    /// Whether it is being found out what number is best, far below the goal.
    pub(crate) fn is_asking(&self) -> bool {
        self.climb.is_asking()
    }

    /// Whether some do not get on, having been told to come back later.
    pub(crate) fn are_some_refused(&self) -> bool {
        self.climb.are_some_refused()
    }

    /// Whether it takes several commands for each CPU to keep them full, since they mostly wait.
    pub(crate) fn is_filled_by_many(&self) -> bool {
        let mostly_wait = self.runnable.is_some_and(|runnable| runnable < MOSTLY_WAIT);
        let is_full = self.use_.is_some_and(|used| used >= NEAR) && self.ramping.is_none();
        mostly_wait && is_full && !self.is_asking()
    }

    /// Takes in what was measured.
    pub(crate) fn measured(&mut self, window: &Window) {
        let seconds = window.span.as_secs_f64() * self.procs;
        if seconds <= 0.0 {
            return;
        }
        self.near_for = self.near_for.saturating_add(window.span);
        let raw = window.used.as_secs_f64() / seconds;
        let used = raw;
        // One window says little about the mean, but a leap is a leap.
        let before = self.use_.unwrap_or(used);
        let leap = (used - before).abs() > LEAP;
        let smoothed = before + NEWEST * (used - before);
        // And two empty windows in a row are no chance.
        let empty = used < EMPTY;
        let smoothed = if empty && self.was_empty { used } else { smoothed };
        self.was_empty = empty;
        self.use_ = Some(smoothed);
        let used = if leap { used } else { smoothed };
        if let Some(runnable) = window.runnable {
            let before = self.runnable.unwrap_or(runnable);
            self.runnable = Some(before + NEWEST * (runnable - before));
            let wanted = (runnable * f64::from(window.in_flight) / self.procs).min(1.0);
            self.wanted += NEWEST_WANTED * (wanted - self.wanted);
        }
        let never_waits = self.runnable.is_some_and(|runnable| runnable >= ALWAYS_RUNNABLE);
        let could_run = self.runnable.unwrap_or(0.0) * f64::from(window.in_flight);
        if smoothed < NEAR || self.ramping.is_some() {
            self.idle = None;
        } else if window.idle.is_some() {
            self.idle = window.idle;
        }
        // Tokens that are wanted and yet get no CPU time: somebody else has it.
        let crowded_out = self.wanted >= ALWAYS_WANTED
            && smoothed < self.wanted - TAKEN
            && self.idle.is_none_or(|idle| idle < NOT_TAKEN);
        // What starts and ends costs CPU time that nobody's account shows.
        let none_idles = self.idle.is_some_and(|idle| idle < NONE_IDLE) && could_run >= self.procs;
        let full = never_waits || crowded_out || none_idles;
        let enough_could_run = could_run >= ENOUGH * self.procs;
        let in_flight = f64::from(window.in_flight);
        self.ramp(raw, window);
        let excess = self.excess(could_run, never_waits, window);
        let next = if self.ramping.is_some() && !full && window.had_more {
            // What was just started computes first: that the CPUs are full says nothing yet, that
            // they are not does.
            if raw >= NEAR {
                self.target
            } else {
                self.below_the_goal([raw, raw], in_flight, window)
            }
        } else if used >= GOAL && smoothed < GOAL && !full {
            // What was just started computes first, and waits later.
            self.target
        } else if used >= GOAL || full {
            self.climb.rest();
            self.pace = NEAR_PACE;
            let shrink = (SHRINK + excess).min(SHRINK_FAST);
            // That somebody else has the CPUs is known late, and no longer true late.
            let shrink = match used >= GOAL {
                true => shrink,
                false if never_waits => shrink.min(SHRINK_TAKEN),
                false if crowded_out => SHRINK,
                false => SHRINK_NONE_IDLES,
            };
            // A few are always just being replaced; if many are missing, so many are not needed.
            let is_there = in_flight >= self.target * (1.0 - LEAD) - 1.0;
            let from = if is_there { self.target } else { in_flight.max(self.procs) };
            let next = from * (1.0 - shrink);
            // It shows only as commands end: no good running ahead of them.
            next.max(in_flight * (1.0 - LEAD)).min(self.target)
        } else if !window.had_more || enough_could_run {
            self.target
        } else {
            self.below_the_goal([used, smoothed], in_flight, window)
        };
        self.knee.note_queue(window.queued);
        let advice = match smoothed >= NEAR {
            false => self.knee.forget(),
            true if window.had_more => self.knee.advise(self.target, self.procs, window),
            true => Advice::None,
        };
        let next = match advice {
            Advice::None => next,
            Advice::AtMost(enough) => next.min(enough),
            Advice::Back(target) => target,
        };
        let hardly_waits = self.runnable.is_some_and(|runnable| runnable >= CROWDED);
        let next = if smoothed < NEAR || self.ramping.is_some() {
            self.gaps.forget();
            next
        } else {
            let idle = window.idle.filter(|_| hardly_waits && window.had_more);
            next.max(self.gaps.at_least(window.span, in_flight, self.procs, idle))
        };
        self.target = next.clamp(self.procs, self.cap);
    }

    /// How much faster than usual the target falls because more of them could run than full CPUs
    /// need. Those that were started together compute together: as long as one of their cycles that
    /// says nothing, unless they never wait.
    fn excess(&mut self, could_run: f64, never_waits: bool, window: &Window) -> f64 {
        let hardly_wait = self.runnable.is_some_and(|runnable| runnable >= CROWDED);
        let crowded = hardly_wait && (never_waits || could_run >= HARDLY_MORE * self.procs);
        let surplus = (could_run / self.procs / SEVERAL - 1.0).max(0.0);
        let excess = if crowded { SHRINK_FAST } else { SHRINK_SURPLUS * surplus };
        self.too_many_for =
            if excess > 0.0 { self.too_many_for + window.span } else { Duration::ZERO };
        if never_waits || self.too_many_for > window.cycle { excess } else { 0.0 }
    }

    /// The ramp ends when the CPUs stay full, or when all that it started has been replaced.
    fn ramp(&mut self, raw: f64, window: &Window) {
        let Some(ramp) = &mut self.ramping else { return };
        ramp.full = if raw >= NEAR { ramp.full + window.span } else { Duration::ZERO };
        ramp.ended += window.ended.commands;
        if ramp.full >= FULL_FOR || ramp.ended >= window.in_flight.max(MANY_ENDED) {
            self.ramping = None;
            self.use_ = Some(raw);
        }
    }

    fn below_the_goal(
        &mut self,
        [used, smoothed]: [f64; 2],
        in_flight: f64,
        window: &Window,
    ) -> f64 {
        let factor = |used: f64| (GOAL / used.max(0.01)).powf(GROWTH).min(GROWTH_AT_MOST);
        // What was allowed is not there yet: starting takes time, and it says nothing of more.
        let is_there = in_flight >= 0.85 * self.target.floor();
        let is_over = in_flight > (1.15 * self.target).max(self.target + 1.0);
        // If even more than there are to be are too few, so many are.
        let is_over = is_over && self.climb.is_asking();
        if smoothed >= NEAR {
            self.climb.rest();
            let from = *self.near_at.get_or_insert(self.target);
            if !is_there || self.near_for < window.cycle.min(NEAR_SETTLES_AT_MOST) {
                return self.target;
            }
            self.near_for = Duration::ZERO;
            // Slowly: commands that compute in step leave windows empty, which says nothing of the
            // mean.
            let factor = 1.0 + self.pace * (factor(smoothed) - 1.0);
            let times =
                if self.knee.is_queued() { NEAR_GROWTH_QUEUED } else { NEAR_GROWTH_AT_MOST };
            return (self.target * factor).min((from * times).max(self.target));
        }
        // Of a disk that is full a moment with less use says nothing.
        if !self.knee.is_queued() {
            self.near_at = None;
        }
        self.pace = 1.0;
        let Window { span, used: time, cycle, ended, .. } = *window;
        let level = Level { target: self.target, in_flight, span, used: time, cycle, ended };
        match self.climb.next(level, is_there && !is_over, window.queued) {
            Move::Grow { at_most } => {
                let more = self.target.max(in_flight) * factor(used);
                more.min(at_most).max(self.target)
            }
            Move::To(target) => target,
            Move::Stay => self.target,
        }
    }
}
