//! How many tasks may be published: a fixed number, or one that follows the commands' resource use.

use super::oom_backoff::Company;
use super::start_gate::Starts;
use super::window::Window;
use crate::engine::time::Now;
use crate::engine::{Effect, Limits, StartRules, View};

/// How many published tasks there may be.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Room {
    /// Tasks are published when there are fewer than this.
    pub(in crate::engine) refilled_below: usize,
    /// And no more than this.
    pub(in crate::engine) at_most: usize,
}

/// What limits the number of published tasks.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is only one")]
enum Rule {
    /// The number follows the commands' resource use. `none_ahead`: workers start none on their
    /// own.
    Measured { starts: Starts, none_ahead: bool },
    /// A fixed number, and fewer while memory is short.
    Fixed { at_most: usize, company: Company },
}

/// The limit on published tasks, and how many run.
#[derive(Debug)]
pub(in crate::engine) struct Control {
    rule: Rule,
    procs: u32,
    /// The number of tasks that may run at once, where a file or the user says it.
    jobs: Option<u32>,
    /// The number of commands in flight at the last look.
    in_flight: u32,
}

impl Control {
    pub(in crate::engine) fn new(limits: &Limits) -> Control {
        let max_workers = u32::from(limits.max_workers);
        // Where the next finished task may abort the run, workers start none on their own.
        // Nor where each start has conditions.
        let has_conditions = limits.starts != StartRules::default();
        let none_ahead = limits.policy.halt.is_some() || has_conditions;
        let rule = if limits.admits {
            let starts = Starts::new(limits.procs, max_workers, limits.memory);
            Rule::Measured { starts, none_ahead }
        } else {
            let each_runs = if none_ahead { max_workers as usize } else { usize::MAX };
            let at_most = limits.most_published.min(each_runs);
            Rule::Fixed { at_most, company: Company::default() }
        };
        Control { rule, procs: limits.procs, jobs: None, in_flight: 0 }
    }

    fn starts(&self) -> Option<&Starts> {
        match &self.rule {
            Rule::Measured { starts, .. } => Some(starts),
            Rule::Fixed { .. } => None,
        }
    }

    /// The number of tasks that may run at once, where a file says it.
    pub(in crate::engine) fn jobs(&self) -> Option<u32> {
        self.jobs
    }

    /// This number of tasks may run at once from now on. Returns whether to withdraw the tasks that
    /// no worker has claimed yet.
    pub(in crate::engine) fn allow_jobs(&mut self, jobs: u32) -> bool {
        let former = self.jobs.replace(jobs);
        if let Rule::Measured { starts, .. } = &mut self.rule {
            starts.allow_jobs(jobs);
        }
        // Each worker that is free would claim one of them.
        former.is_none_or(|former| jobs < former)
    }

    /// There is this number of tokens from now on.
    pub(in crate::engine) fn allow_procs(&mut self, procs: u32) {
        self.procs = procs;
        if let Rule::Measured { starts, .. } = &mut self.rule {
            starts.allow_procs(procs);
        }
    }

    /// How many tasks may be published. Where a file says how many may run, no others are: there
    /// are tokens for more.
    pub(in crate::engine) fn room(&self) -> Room {
        let Room { refilled_below, at_most } = self.room_by_rule();
        let jobs = self.jobs.map_or(usize::MAX, |jobs| jobs as usize);
        Room { refilled_below: refilled_below.min(jobs), at_most: at_most.min(jobs) }
    }

    fn room_by_rule(&self) -> Room {
        match &self.rule {
            Rule::Measured { starts, none_ahead } => {
                let ahead = if *none_ahead { starts.target() as usize } else { usize::MAX };
                let at_most = starts.publishable().min(ahead);
                Room { refilled_below: starts.refilled_below(), at_most }
            }
            Rule::Fixed { at_most, company } => {
                let at_most = (*at_most).min(company.at_most() as usize);
                Room { refilled_below: at_most, at_most }
            }
        }
    }

    /// The number of tasks that run at once.
    pub(in crate::engine) fn at_once(&self) -> usize {
        self.in_flight.max(self.procs) as usize
    }

    /// The number of commands that may be in flight, if that follows their resource use, and which
    /// limit sets it.
    pub(in crate::engine) fn target(&self) -> Option<(u32, &'static str)> {
        self.starts().map(|starts| (starts.target(), starts.reason()))
    }

    /// Whether that number follows their resource use, which is still unknown.
    pub(in crate::engine) fn is_ramping(&self) -> bool {
        self.starts().is_some_and(Starts::is_ramping)
    }

    /// When to look again, if nothing happens before.
    pub(in crate::engine) fn due(&self) -> Option<Now> {
        self.starts().and_then(Starts::due)
    }

    /// The number of further tasks that could be started now, if there are any.
    pub(in crate::engine) fn startable(&self, view: &View) -> u32 {
        let with_tokens = (view.idle + view.blocked).saturating_sub(view.waiting);
        self.starts().map_or(with_tokens, |starts| starts.startable(view))
    }

    /// Takes in the number of commands that run.
    pub(in crate::engine) fn look(&mut self, view: &View, now: Now) {
        self.in_flight = view.in_flight;
        if let Rule::Fixed { company, .. } = &mut self.rule {
            company.measured(view.in_flight, 0.0, now);
        }
    }

    /// Takes in the measurements of a window, and the number of tasks left, if known.
    pub(in crate::engine) fn measured(&mut self, window: &Window, left: Option<u32>, now: Now) {
        if let Rule::Measured { starts, .. } = &mut self.rule {
            starts.measured(window, left, now);
        }
    }

    /// Lets commands start. Returns whether to withdraw the tasks that no worker has claimed yet.
    pub(in crate::engine) fn allow(
        &mut self,
        view: &View,
        startable: u32,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> bool {
        match &mut self.rule {
            Rule::Measured { starts, .. } => starts.allow(view, startable, now, effects),
            Rule::Fixed { .. } => false,
        }
    }

    /// A command has finished; `peak`: the most memory it had.
    pub(in crate::engine) fn finished(&mut self, peak: u64) {
        if let Rule::Measured { starts, .. } = &mut self.rule {
            starts.finished(peak);
        }
    }

    /// A task was killed for lack of memory, for the `nth` time: it is retried with fewer commands
    /// running alongside, whatever number the user asked for. Returns whether to withdraw the tasks
    /// that no worker has claimed yet.
    pub(in crate::engine) fn out_of_memory(&mut self, nth: u32, now: Now) -> bool {
        match &mut self.rule {
            Rule::Measured { starts, .. } => {
                starts.out_of_memory(nth, now);
                false
            }
            Rule::Fixed { company, .. } => {
                company.too_much(nth, now);
                // Workers would claim ready tasks at once.
                true
            }
        }
    }

    /// There is a new segment, in which nothing has been announced yet.
    pub(in crate::engine) fn renew(&mut self) {
        if let Rule::Measured { starts, .. } = &mut self.rule {
            starts.renew();
        }
    }
}
