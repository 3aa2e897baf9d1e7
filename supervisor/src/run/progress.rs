//! What the progress bar, or a line now and then, shows of the run.

use std::time::Duration;

use msup_protocol::task::{Snapshot, State};

use super::Run;
use crate::report::bar::{Manner, NAMED, NAMED_AFTER, Progress};
use crate::report::escape;
use crate::report::rate::Pace;
use crate::report::trace::next_due;

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
}

impl Telling {
    pub(super) fn new(manner: Manner) -> Telling {
        let due = match manner {
            Manner::Lines(every) => every,
            Manner::Silent | Manner::Bar => Duration::ZERO,
        };
        Telling { manner, due, pace: Pace::default(), sights: Vec::new() }
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

    fn look_at_progress(&mut self, awake: Duration) -> Progress {
        let tally = self.engine.tally();
        let ended = tally.finished();
        let rate = self.reports.progress.pace.note(awake, ended - tally.earlier());
        let total = self.engine.total();
        let running = self.reports.figures.now.1;
        let (failed, retried) = (tally.failed + tally.quarantined, tally.again.sum());
        Progress {
            total: total.unwrap_or(self.engine.accepted()),
            all_read: total.is_some(),
            ended,
            running,
            failed,
            retried,
            stops: self.engine.is_stopped(),
            rate,
            longest: self.longest_running(awake),
        }
    }

    /// The tasks that have run longest, and long enough to be named.
    fn longest_running(&mut self, now: Duration) -> Vec<(Duration, String)> {
        if !self.reports.progress.has_bar() {
            return Vec::new();
        }
        let tasks = self.segments.shared().tasks;
        self.reports.progress.sights.resize(tasks.len(), None);
        let mut longest = Vec::new();
        for (slot, sight) in self.reports.progress.sights.iter_mut().enumerate() {
            let slot = slot as u16;
            let claimed = tasks.sighted(slot).filter(|seen| seen.state() == Some(State::Claimed));
            *sight = claimed.map(|seen| match *sight {
                Some((known, since)) if known == seen => (seen, since),
                _ => (seen, now),
            });
            longest.extend(sight.map(|(_, since)| (since, slot)));
        }
        longest.sort_unstable();
        let named = longest.iter().take(NAMED).filter_map(|(since, slot)| {
            let elapsed = now.saturating_sub(*since);
            let task = self.engine.task(*slot).filter(|_| elapsed >= NAMED_AFTER)?;
            Some((elapsed, escape::value(&task.value)))
        });
        named.collect()
    }
}
