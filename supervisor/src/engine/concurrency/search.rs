//! How many commands may be in flight, so that the most gets done with the fewest of them.
//!
//! Commands cannot be made to wait, so this controls an average. What full CPUs need follows from
//! the part of its time that a command computes ([`Search::full`]). Below that number, waiting is
//! not always an idle CPU that more commands could fill: behind a disk, a lock or a server that
//! admits a few, more commands only wait longer. So each change is a trial. More are kept if what
//! gets done grows with the number in flight; fewer are kept if it does not shrink.

mod pause;
mod reason;
mod smoothed;

use std::time::Duration;

use pause::Pause;
pub(crate) use reason::Reason;
use smoothed::Smoothed;

use super::evidence::{Evidence, Gain};
use super::window::Window;

/// It is chance which commands wait at the same time. So full CPUs need this number of commands
/// more that could run, for each unit of the square root of the CPUs, if commands mostly wait.
const SPARE: f64 = 2.0;

/// At the beginning, CPUs that are used less than this are filled with twice as many commands,
/// until two for each token have finished, or this number; and up to the last number, or two for
/// each token.
const FILLING: f64 = 0.8;
const DOUBLED: f64 = 2.0;
const KNOWN_AFTER: f64 = 8.0;
const RAMP_AT_MOST: f64 = 64.0;

/// Commands that compute for less of their time, or could run for less of it, mostly wait.
const MOSTLY_WAIT: f64 = 0.5;

/// While the CPUs are full, the target follows what they need, by at most these factors in a
/// window.
const FOLLOWS: [f64; 2] = [0.9, 1.02];

/// Commands of which full CPUs need more than this many times the target are less busy than before:
/// more of them are a trial. Beyond the second factor, nothing is known of them.
const FOLLOWED: f64 = 1.25;
const CHANGED: f64 = 4.0;

/// A trial changes the number by the first factor; each trial that is of use is followed by one
/// with the next factor, in the same direction.
const STEPS: [f64; 3] = [1.25, 1.5, 2.0];

/// On the way to a lower target, this part of the commands that finish is not replaced. Those that
/// were told to come back later need the places of the others, or nothing gets done.
const DESCENT: f64 = 0.25;

/// But all are replaced while fewer finish than this part of what finished before.
const BEHIND: f64 = 0.9;

/// More are of use if the gain is at least this: where the CPUs are not full, it is about 1 or
/// about 0. It is decided early if it differs from that by this number of standard errors.
const GAIN: f64 = 0.3;
const CERTAIN: f64 = 1.5;
const PROBABLE: f64 = 0.5;

/// The number of windows that a trial measures, at least, if they tell anything: fewer do not tell
/// how much they differ. Once it has measured for this time, in seconds, it is decided: where many
/// commands are measured, windows become longer.
const WINDOWS: f64 = 4.0;
const DECIDED_AFTER: f64 = 1.0;

/// After a trial that was of no use, commands that it has started, and that were told to come back
/// later, take places for this time, in seconds.
const RECOVERS: f64 = 1.0;

/// A change shows after the time that a command takes; in seconds, at least and at most: what was
/// just started computes first.
const SETTLED_AFTER: [f64; 2] = [0.1, 0.5];

/// The time to the next trial with more, or with fewer, after one that was of no use: at first, and
/// at most.
const MORE_AFTER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
const FEWER_AFTER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// The number in flight has reached the target if this part of it is missing at most.
const MISSING: f64 = 0.15;

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Nothing is known yet: the number of commands that have finished.
    Ramp { ended: u32 },
    /// The CPUs are full.
    Full,
    /// This number is measured, after `settling` seconds.
    Hold { here: Evidence, settling: f64 },
    /// A trial with another number than `before`. `settling`: seconds until it is measured.
    Trial { before: Evidence, from: f64, here: Evidence, settling: f64 },
}

/// The number of trials in a row that were of use, and whether these were trials with more.
#[derive(Clone, Copy, Debug)]
struct Streak {
    successes: usize,
    upwards: bool,
}

/// The search for the best number.
#[derive(Debug)]
pub(crate) struct Search {
    procs: f64,
    cap: f64,
    target: f64,
    /// Where the target is going.
    goal: f64,
    phase: Phase,
    smoothed: Smoothed,
    /// Commands that finished in a second, before the last trial.
    rate_before: f64,
    streak: Streak,
    /// When there may be trials with more, and with fewer.
    more: Pause,
    fewer: Pause,
}

impl Search {
    /// Starts with as many commands as there are tokens, and never allows more than `cap`.
    pub(crate) fn new(procs: u32, cap: u32) -> Search {
        let procs = f64::from(procs);
        Search {
            procs,
            cap: f64::from(cap).max(procs),
            target: procs,
            goal: procs,
            phase: Phase::Ramp { ended: 0 },
            smoothed: Smoothed::new(),
            rate_before: 0.0,
            streak: Streak { successes: STEPS.len(), upwards: true },
            more: Pause::new(MORE_AFTER),
            fewer: Pause::new(FEWER_AFTER),
        }
    }

    /// There is this number of tokens from now on. What commands do was measured with another one:
    /// where that makes a difference, the next windows tell.
    pub(crate) fn allow_procs(&mut self, procs: u32) {
        self.procs = f64::from(procs);
        self.cap = self.cap.max(self.procs);
        self.target = self.target.max(self.procs);
        self.goal = self.goal.max(self.procs);
    }

    /// How many commands may be in flight.
    pub(crate) fn target(&self) -> u32 {
        self.target.round() as u32
    }

    /// Why.
    pub(crate) fn reason(&self) -> Reason {
        match self.phase {
            Phase::Ramp { .. } => Reason::Ramp,
            Phase::Full => Reason::Full,
            Phase::Hold { .. } => Reason::Hold,
            Phase::Trial { from, .. } if self.goal > from => Reason::More,
            Phase::Trial { .. } => Reason::Fewer,
        }
    }

    /// Whether nothing is known yet.
    pub(crate) fn is_ramping(&self) -> bool {
        matches!(self.phase, Phase::Ramp { .. })
    }

    /// Whether it takes several commands for each CPU to keep them full, since they mostly wait.
    pub(crate) fn is_filled_by_many(&self) -> bool {
        matches!(self.phase, Phase::Full) && self.smoothed.busy() < MOSTLY_WAIT
    }

    /// Takes in what was measured.
    pub(crate) fn measured(&mut self, window: &Window) {
        if window.span.is_zero() {
            return;
        }
        self.smoothed.add(window, self.is_ramping());
        if !window.had_more {
            return;
        }
        let full = self.full();
        match self.phase {
            Phase::Ramp { .. } => self.ramp(window),
            Phase::Full => self.follow(window),
            _ if self.target >= full && (self.is_reached(window) || self.is_used()) => {
                self.phase = Phase::Full;
                self.forget_failures();
                self.follow(window);
            }
            Phase::Hold { here, settling } => self.wait(here, settling, window),
            Phase::Trial { .. } => self.try_out(window),
        }
        self.go_on(window);
    }

    /// The number of commands that keep the CPUs full, if they share nothing else.
    fn full(&self) -> f64 {
        let busy = self.smoothed.busy();
        (self.procs + SPARE * self.procs.sqrt() * (1.0 - busy)) / busy
    }

    /// That CPUs are in use shows that commands make progress.
    fn is_used(&self) -> bool {
        self.smoothed.used >= FILLING * self.procs
    }

    fn is_reached(&self, window: &Window) -> bool {
        f64::from(window.in_flight) >= self.target * (1.0 - MISSING) - 1.0
    }

    /// While nothing is known, idle CPUs are filled.
    fn ramp(&mut self, window: &Window) {
        let Phase::Ramp { ended } = self.phase else { return };
        let ended = ended + window.ended.commands;
        self.phase = Phase::Ramp { ended };
        let is_known = f64::from(ended) >= (2.0 * self.procs).min(KNOWN_AFTER);
        if is_known || self.target >= RAMP_AT_MOST.max(DOUBLED * self.procs) {
            self.keep(self.target, self.settles_after());
            return;
        }
        // What was just started computes first: full CPUs say nothing yet.
        let used = window.used.as_secs_f64() / window.span.as_secs_f64();
        let could_run = self.smoothed.runnable * f64::from(window.in_flight);
        let is_idle = used < FILLING * self.procs && could_run < MOSTLY_WAIT * self.procs;
        if is_idle && self.is_reached(window) {
            self.goal = self.target * DOUBLED;
        }
    }

    /// The CPUs are full: the target follows what they need.
    fn follow(&mut self, window: &Window) {
        let full = self.full();
        if full > self.target * CHANGED && self.target <= self.procs * FOLLOWED {
            self.phase = Phase::Ramp { ended: 0 };
            return;
        }
        if full > self.target * FOLLOWED {
            self.streak = Streak { successes: STEPS.len(), upwards: true };
            self.keep(self.target, self.settles_after());
            return;
        }
        // It shows only as commands finish.
        let in_flight = f64::from(window.in_flight) * (1.0 - MISSING) - 1.0;
        let [down, up] = FOLLOWS;
        let next = full.clamp(self.target * down, self.target * up);
        self.target = next.max(in_flight.min(self.target)).clamp(self.procs, self.cap);
        self.goal = self.target;
    }

    fn forget_failures(&mut self) {
        (self.more, self.fewer) = (Pause::new(MORE_AFTER), Pause::new(FEWER_AFTER));
    }

    /// Measures this number, after this number of seconds.
    fn keep(&mut self, number: f64, settling: f64) {
        self.goal = number;
        self.phase = Phase::Hold { here: Evidence::default(), settling };
    }

    fn wait(&mut self, mut here: Evidence, settling: f64, window: &Window) {
        let in_flight = f64::from(window.in_flight);
        if in_flight > self.goal + 1.0 && self.stands_still() {
            self.keep(in_flight, self.settles_after());
            return;
        }
        if in_flight > self.goal + 1.0 || !self.is_reached(window) {
            return;
        }
        for pause in [&mut self.more, &mut self.fewer] {
            pause.left = pause.left.saturating_sub(window.span);
        }
        if settling > 0.0 {
            let settling = settling - window.span.as_secs_f64();
            self.phase = Phase::Hold { here, settling };
            return;
        }
        if self.more.left.is_zero() || self.fewer.left.is_zero() {
            here.add(window);
        }
        self.phase = Phase::Hold { here, settling };
        let least = if self.streak.successes == 0 { DECIDED_AFTER } else { 0.0 };
        let is_silent = here.lasts(DECIDED_AFTER) && !here.tells();
        if is_silent || here.windows >= WINDOWS && here.lasts(least) {
            self.begin_trial(here);
        }
    }

    /// Whether no command finishes so that fewer would be in flight: those that run take longer
    /// than others before.
    fn stands_still(&self) -> bool {
        self.smoothed.quiet > self.smoothed.wall.max(SETTLED_AFTER[1])
    }

    fn settles_after(&self) -> f64 {
        let [least, most] = SETTLED_AFTER;
        self.smoothed.wall.clamp(least, most)
    }

    fn begin_trial(&mut self, before: Evidence) {
        let from = self.goal;
        let step = |upwards| {
            let successes = if self.streak.upwards == upwards { self.streak.successes } else { 0 };
            STEPS[successes.min(STEPS.len() - 1)]
        };
        let more = (from * step(true)).min(self.full()).max(from + 1.0).min(self.cap);
        let fewer = (from / step(false)).min(from - 1.0).max(self.procs);
        let can_more = more > from && self.more.left.is_zero();
        let can_fewer = fewer < from && self.fewer.left.is_zero() && !self.is_used();
        let goes_on_down = !self.streak.upwards && self.streak.successes > 0;
        self.goal = match (can_more, can_fewer) {
            (true, true) if goes_on_down => fewer,
            (true, _) => more,
            (false, true) => fewer,
            (false, false) => return,
        };
        self.rate_before = self.smoothed.rate;
        let (here, settling) = (Evidence::default(), self.settles_after());
        self.phase = Phase::Trial { before, from, here, settling };
    }

    fn try_out(&mut self, window: &Window) {
        let Phase::Trial { before, from, mut here, mut settling } = self.phase else { return };
        let is_more = self.goal > from;
        let in_flight = f64::from(window.in_flight);
        let is_there = if is_more { self.is_reached(window) } else { in_flight <= self.goal + 1.0 };
        if !is_there && !is_more && self.stands_still() {
            self.streak.successes = 0;
            self.fewer.begin();
            self.keep(in_flight, RECOVERS);
            return;
        }
        if is_there && settling <= 0.0 {
            here.add(window);
        } else if is_there {
            settling -= window.span.as_secs_f64();
        }
        self.phase = Phase::Trial { before, from, here, settling };
        let (few, many) = if is_more { (&before, &here) } else { (&here, &before) };
        let gain = few.gain(many);
        if here.windows < WINDOWS && gain.is_some() {
            return;
        }
        let is_last = here.lasts(DECIDED_AFTER);
        // While more have been of use each time, they probably are.
        let is_growing = is_more && self.streak.upwards && self.streak.successes > 0;
        let certain = if is_growing { PROBABLE } else { CERTAIN };
        let is_useful = match gain {
            // They hardly compute: nothing tells that more do harm.
            None => is_last.then_some(true),
            Some(Gain { slope, .. }) if is_last => Some(slope >= GAIN),
            Some(Gain { slope, error }) if slope - certain * error >= GAIN => Some(true),
            Some(Gain { slope, error }) if slope + CERTAIN * error < GAIN => Some(false),
            Some(_) => None,
        };
        match is_useful {
            Some(is_useful) if is_useful == is_more => {
                // On in this direction.
                self.streak.successes =
                    if self.streak.upwards == is_more { self.streak.successes + 1 } else { 1 };
                self.streak.upwards = is_more;
                self.forget_failures();
                if here.grows() {
                    // Starts have used CPU time: the next trial is compared with this number alone.
                    self.keep(self.goal, self.settles_after());
                } else {
                    self.phase = Phase::Hold { here, settling: 0.0 };
                }
            }
            Some(_) => {
                self.streak.successes = 0;
                if is_more {
                    self.more.begin()
                } else {
                    self.fewer.begin()
                }
                self.keep(from, RECOVERS);
            }
            None => {}
        }
    }

    /// The target goes on to the goal: at once to a higher one, slowly to a lower one.
    fn go_on(&mut self, window: &Window) {
        let next = if self.goal >= self.target {
            self.goal
        } else {
            let is_behind = self.smoothed.rate < BEHIND * self.rate_before;
            let unreplaced = if is_behind { 0.0 } else { DESCENT };
            let there = self.target.min(f64::from(window.in_flight));
            (there - unreplaced * f64::from(window.ended.commands)).max(self.goal)
        };
        self.target = next.clamp(self.procs, self.cap);
    }
}

#[cfg(test)]
mod tests;
