//! Decides which commands may start: how many may be in flight, and whether one may take another's
//! place.
//!
//! A worker may start a command without a token: tokens are charged later, by CPU use. While
//! commands use more CPUs than they have tokens, none is started.

use std::time::Duration;

use super::memory_budget::Memory;
use super::oom_backoff::Company;
use super::search::Search;
use super::window::Window;
use crate::engine::time::Now;
use crate::engine::{Effect, View};

/// When no more than this number of commands is missing, the gate waits a moment.
const FEW: u32 = 2;

/// The number of tasks kept ready for workers that finish one while they hold a token, so that the
/// supervisor need not act each time.
const PREFETCH: usize = 64;

/// The number in flight may exceed the target by one in this many, but at least by one. Targets
/// fall in small steps; withdrawing ready tasks at each step would be wasted work.
const TOLERATED: u32 = 8;

/// The last tasks are started together when they are no more than this multiple of the target: the
/// fewer commands run, the less they fill each other's waiting times.
const LAST: u32 = 2;

/// While commands wait to be started, workers are told again this often.
const AGAIN: Duration = Duration::from_millis(1);

/// What workers are told: how many commands may be started, and whether a worker that finishes a
/// command may start the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Told {
    starts: u32,
    one_for_one: bool,
}

/// The start gate for commands, whose number follows their resource use.
#[derive(Debug)]
pub(in crate::engine) struct Starts {
    procs: u32,
    search: Search,
    memory: Memory,
    company: Company,
    /// The number that may be in flight, where a file or the user says it.
    jobs: Option<u32>,
    /// The number that may be in flight, by all of these, and which of them sets it.
    target: u32,
    reason: &'static str,
    /// The number of unfinished tasks, if no more can come.
    left: Option<u32>,
    /// Tasks that may be published beyond those allowed in flight: a worker that finishes one while
    /// it holds a token goes on to the next without asking.
    prefetch: usize,
    /// Nothing is started, for instance because a running command is owed a token.
    holds_back: bool,
    /// When to look again because commands wait to be started.
    due: Option<Now>,
    /// Since when fewer are in flight than allowed.
    short_since: Option<Now>,
    /// What workers were last told.
    told: Told,
}

impl Starts {
    /// For `procs` tokens, with at most `cap` commands in flight that may use `memory` bytes
    /// together, if that is limited.
    pub(in crate::engine) fn new(procs: u32, cap: u32, memory: Option<u64>) -> Starts {
        let mut starts = Starts {
            procs,
            search: Search::new(procs, cap),
            memory: Memory::new(procs, memory),
            company: Company::default(),
            jobs: None,
            target: procs,
            reason: "",
            left: None,
            prefetch: 0,
            holds_back: false,
            due: None,
            short_since: None,
            told: Told::default(),
        };
        starts.aim(0);
        starts
    }

    /// Below this number more tasks are published: many at once, since their starts are journaled
    /// with one write.
    pub(in crate::engine) fn refilled_below(&self) -> usize {
        self.publishable().saturating_sub(self.prefetch / 2)
    }

    /// The number of commands that may be in flight.
    pub(in crate::engine) fn target(&self) -> u32 {
        self.target
    }

    /// Which limit sets that number, and why.
    pub(in crate::engine) fn reason(&self) -> &'static str {
        self.reason
    }

    /// Whether the resource use of commands is still unknown.
    pub(in crate::engine) fn is_ramping(&self) -> bool {
        self.search.is_ramping()
    }

    /// The number of tasks that may be published and unfinished.
    pub(in crate::engine) fn publishable(&self) -> usize {
        if self.holds_back { 0 } else { self.target as usize + self.prefetch }
    }

    /// When to look again, if nothing happens before.
    pub(in crate::engine) fn due(&self) -> Option<Now> {
        self.due
    }

    /// Takes in the measurements of a window, and the number of tasks left, if known.
    pub(in crate::engine) fn measured(&mut self, window: &Window, left: Option<u32>, now: Now) {
        self.search.measured(window);
        self.memory.measured(window, now);
        self.company.measured(window.in_flight, window.stalled, now);
        self.left = left;
        self.aim(window.in_flight);
    }

    /// A command has finished; `peak`: the most memory it had.
    pub(in crate::engine) fn finished(&mut self, peak: u64) {
        self.memory.finished(peak);
    }

    /// A task was killed for lack of memory, for the `nth` time.
    pub(in crate::engine) fn out_of_memory(&mut self, nth: u32, now: Now) {
        self.company.too_much(nth, now);
        self.aim(0);
    }

    /// A file or the user says that this number may be in flight.
    pub(in crate::engine) fn allow_jobs(&mut self, jobs: u32) {
        self.jobs = Some(jobs);
        self.aim(0);
    }

    /// There is this number of tokens from now on.
    pub(in crate::engine) fn allow_procs(&mut self, procs: u32) {
        self.procs = procs;
        self.search.allow_procs(procs);
        self.memory.allow_procs(procs);
        self.aim(0);
    }

    /// There is a new segment, in which nothing has been announced yet.
    pub(in crate::engine) fn renew(&mut self) {
        self.told = Told::default();
    }

    /// The number of further tasks that could be started now, if there are any.
    pub(in crate::engine) fn startable(&self, view: &View) -> u32 {
        // A worker that holds a token is about to start a command, or has just started one.
        let started = view.in_flight.max(view.foreign) + view.running + view.granted;
        self.target.saturating_sub(started)
    }

    /// Lets commands start, up to the target. Returns whether to withdraw tasks that no worker has
    /// claimed yet.
    pub(in crate::engine) fn allow(
        &mut self,
        view: &View,
        startable: u32,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> bool {
        // A worker that finishes a command while it holds a token goes on to the next without
        // asking, as long as no other worker could claim that one instead.
        let few = self.target < self.procs;
        let full = !few && view.idle == 0 && view.owed == 0 && view.in_flight <= self.target;
        self.prefetch = if full { PREFETCH } else { 0 };
        // What is missing now is mostly between two commands of the same worker.
        let since = *self.short_since.get_or_insert(now);
        let lasts = startable > FEW || now.saturating_sub(since) >= AGAIN;
        if startable == 0 {
            self.short_since = None;
        }
        let starts = if view.owed == 0 && lasts { view.ready.min(startable) } else { 0 };
        let one_for_one = view.owed == 0 && view.in_flight <= self.target;
        let now_told = Told { starts, one_for_one };
        let told = std::mem::replace(&mut self.told, now_told);
        if told.one_for_one != one_for_one {
            effects.push(Effect::AllowOneForOne(one_for_one));
        }
        let is_due = self.due.is_none_or(|due| now >= due);
        if starts != told.starts || (starts > 0 && is_due) {
            effects.push(Effect::AllowStarts(starts));
            self.due = (starts > 0).then(|| now + AGAIN);
        }
        if startable > 0 && starts == 0 {
            self.due = (view.ready > 0).then(|| now + AGAIN);
        }
        // A worker that has a token may claim any ready task. So no task stays ready while the
        // target is below the number of tokens and reached, or while more commands are in flight
        // than allowed.
        let too_many = view.in_flight > self.target + (self.target / TOLERATED).max(1);
        self.holds_back = view.owed > 0 || too_many || (few && view.in_flight >= self.target);
        self.holds_back
    }

    /// The smallest limit wins.
    fn aim(&mut self, in_flight: u32) {
        let searched = self.search.target();
        let by_search = match self.left {
            Some(left) if left <= LAST * searched && self.search.is_filled_by_many() => {
                (left.max(searched), "last-ones")
            }
            _ => (searched, self.search.reason().name()),
        };
        let by_memory = (self.memory.at_most(in_flight), "memory");
        let by_company = (self.company.at_most(), "out-of-memory");
        let by_user = (self.jobs.unwrap_or(u32::MAX), "asked");
        let limits = [by_search, by_memory, by_company, by_user];
        let (target, reason) = limits.into_iter().min_by_key(|limit| limit.0).unwrap_or(by_search);
        (self.target, self.reason) = (target.max(1), reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_millis(40);

    /// Commands that compute for this share of the time in which they do not wait for a CPU have
    /// kept two CPUs full for some seconds.
    fn full_of(busy: f64) -> Starts {
        let mut starts = Starts::new(2, 200, None);
        for nth in 0..100 {
            let in_flight = starts.target();
            let cpus = (f64::from(in_flight) * busy).min(2.0);
            let runnable = Some(1.0 - cpus * (1.0 / busy - 1.0) / f64::from(in_flight));
            let mut window = Window { used: SPAN.mul_f64(cpus), in_flight, runnable, ..window() };
            window.ended.add(0.1);
            starts.measured(&window, None, SPAN * nth);
        }
        starts
    }

    fn window() -> Window {
        Window { span: SPAN, had_more: true, ..Window::default() }
    }

    #[test]
    fn the_last_ones_are_started_together_where_they_mostly_wait() {
        let room = |busy, left: Option<u32>| {
            let mut starts = full_of(busy);
            let window = Window { used: 2 * SPAN, in_flight: starts.target(), ..window() };
            starts.measured(&window, left, SPAN * 100);
            (starts.target(), starts.reason())
        };
        let (many, _) = room(0.2, None);
        assert!(many >= 8, "{many}");
        assert_eq!(room(0.2, Some(many + 3)), (many + 3, "last-ones"));
        assert_eq!(room(0.2, Some(3 * many)).0, many, "too many are left");
        assert_eq!(room(0.2, Some(1)).0, many, "fewer are left than are in flight");
        let (few, _) = room(1.0, None);
        assert_eq!((few, room(1.0, Some(few + 1)).0), (2, 2), "they only compute");
    }

    #[test]
    fn the_smallest_limit_wins_and_is_named() {
        let mut starts = full_of(0.2);
        assert_eq!(starts.reason(), "cpus-full");
        starts.out_of_memory(3, SPAN * 100);
        assert_eq!((starts.target(), starts.reason()), (1, "out-of-memory"));
    }
    #[test]
    fn nothing_is_looked_at_again_while_no_task_is_ready() {
        let mut starts = Starts::new(2, 200, None);
        let view = |ready| View { idle: 1, running: 1, in_flight: 1, ready, ..View::default() };
        starts.allow(&view(0), 1, SPAN, &mut Vec::new());
        assert_eq!(starts.due(), None, "the last task runs, perhaps for hours");
        starts.allow(&view(1), 1, SPAN, &mut Vec::new());
        assert_eq!(starts.due(), Some(SPAN + AGAIN), "it may be about to be claimed");
    }
}
