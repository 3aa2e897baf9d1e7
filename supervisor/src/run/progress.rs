//! What the progress bar, or a line now and then, shows of the run.

use std::time::Duration;

use msup_protocol::task::{Snapshot, State};

use super::Run;
use super::activity::{Activities, Doing};
use super::watching::place_of;
use crate::report::bar::{LongTask, Manner, NAMED, NAMED_AFTER, Progress};
use crate::report::escape;
use crate::report::rate::Pace;
use crate::report::trace::next_due;
use crate::tasks::attempts::Sight;

/// How often the bar is updated.
const BAR_EVERY: Duration = Duration::from_millis(100);

/// When the next update is due, and the data it needs.
#[derive(Debug)]
pub(super) struct Telling {
    manner: Manner,
    due: Duration,
    pace: Pace,
    /// What each task slot held when last looked at, and since when.
    sights: Vec<Option<(Snapshot, Duration)>>,
    /// What the named tasks do.
    activities: Activities,
}

impl Telling {
    pub(super) fn new(manner: Manner) -> Telling {
        let due = match manner {
            Manner::Lines(every) => every,
            Manner::Silent | Manner::Bar => Duration::ZERO,
        };
        let (pace, sights, activities) = Default::default();
        Telling { manner, due, pace, sights, activities }
    }

    pub(super) fn has_bar(&self) -> bool {
        self.manner == Manner::Bar
    }
}

impl Run {
    pub(super) fn tell_progress(&mut self) {
        let now = self.clock.now();
        let Telling { manner, due, .. } = self.reports.progress;
        if manner == Manner::Silent || now < due {
            return;
        }
        // Time in which the run stood still does not count.
        let awake = now.saturating_sub(self.segments.shared().header.paused());
        let progress = self.look_at_progress(awake);
        self.reports.progress.due = match manner {
            Manner::Lines(every) => {
                self.shown.say_if_read(|| progress.line());
                next_due(due, every, now)
            }
            Manner::Silent | Manner::Bar => {
                self.shown.output.show(progress);
                now + BAR_EVERY
            }
        };
    }

    /// The number of tasks that are known, whether these are all, and how many have finished.
    pub(super) fn extent(&self) -> (u64, bool, u64) {
        match &self.inputs.pipeline {
            Some(fed) => {
                let (known, settled, has_more) = fed.pipeline.so_far();
                (known, !has_more, settled)
            }
            None => {
                let total = self.engine.total();
                let known = total.unwrap_or(self.engine.accepted());
                (known, total.is_some(), self.engine.tally().finished())
            }
        }
    }

    fn look_at_progress(&mut self, awake: Duration) -> Progress {
        let (total, all_read, ended) = self.extent();
        let tally = self.engine.tally();
        let rate = self.reports.progress.pace.note(awake, ended.saturating_sub(tally.earlier()));
        let running = self.reports.figures.now.1;
        let (failed, retried) = (tally.failed + tally.quarantined, tally.again.sum());
        Progress {
            total,
            all_read,
            ended,
            running,
            failed,
            retried,
            stops: self.engine.is_stopped(),
            is_paused: self.reports.controlled.is_paused(),
            rate,
            longest: self.longest_running(awake),
        }
    }

    /// The tasks that have run longest, and long enough to be named.
    fn longest_running(&mut self, now: Duration) -> Vec<LongTask> {
        if !self.reports.progress.has_bar() {
            return Vec::new();
        }
        let mut longest = self.ages(now);
        longest.sort_unstable();
        longest.truncate(NAMED);
        let named = longest.into_iter().filter_map(|(since, slot)| {
            let elapsed = now.saturating_sub(since);
            let task = self.engine.task(slot).filter(|_| elapsed >= NAMED_AFTER)?;
            Some((slot, elapsed, escape::value(&task.value)))
        });
        let named: Vec<(u16, Duration, String)> = named.collect();
        self.look_at_activities(named.iter().map(|(slot, ..)| *slot), now);
        let told = named.into_iter().map(|(slot, elapsed, what)| {
            let activity = self.activity_in(slot).name();
            LongTask { elapsed, activity, what }
        });
        told.collect()
    }

    /// Since when each slot has held its attempt, for those that a worker has claimed or whose
    /// outputs are being written.
    fn ages(&mut self, now: Duration) -> Vec<(Duration, u16)> {
        let tasks = self.segments.shared().tasks;
        let commits = self.commits.as_ref();
        self.reports.progress.sights.resize(tasks.len(), None);
        let mut ages = Vec::new();
        for (slot, sight) in self.reports.progress.sights.iter_mut().enumerate() {
            let slot = slot as u16;
            let claimed = tasks.sighted(slot).filter(|seen| seen.state() == Some(State::Claimed));
            let is_committed = commits.is_some_and(|commits| commits.is_under_way(slot));
            *sight = match (claimed, *sight) {
                (Some(seen), Some((known, since))) if known == seen => Some((seen, since)),
                (Some(seen), _) => Some((seen, now)),
                (None, known) => known.filter(|_| is_committed),
            };
            ages.extend(sight.map(|(_, since)| (since, slot)));
        }
        ages
    }

    fn look_at_activities(&mut self, slots: impl Iterator<Item = u16>, now: Duration) {
        if !self.crew.runs_commands {
            return;
        }
        let (shared, crew) = (self.segments.shared(), &self.crew);
        let attempt = |slot| {
            let seen = shared.tasks.sighted(slot)?;
            Some((seen.owner()?, Sight { slot, seen }))
        };
        let attempts: Vec<_> = slots.filter_map(attempt).collect();
        let place = |worker| place_of(&shared, crew, worker);
        self.reports.progress.activities.look(&attempts, place, now);
    }

    /// What the task in this slot does.
    fn activity_in(&self, slot: u16) -> Doing {
        let seen = self.segments.shared().tasks.sighted(slot);
        let seen = seen.filter(|seen| seen.state() == Some(State::Claimed));
        let Some((seen, worker)) = seen.and_then(|seen| Some((seen, seen.owner()?))) else {
            return Doing::Writing;
        };
        let known = self.reports.progress.activities.of(worker, Sight { slot, seen });
        self.activity_of(worker, known).unwrap_or(Doing::Waiting)
    }
}
