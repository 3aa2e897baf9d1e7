//! Collects what has happened, as events: from signals, workers, output and the journal.

use msup_protocol::exit::WorkerEnd;

use super::{Run, SIGKILL};
use crate::engine::Event;

impl Run {
    /// Collects what has happened since the last time.
    pub(super) fn gather(&mut self, events: &mut Vec<Event>) {
        self.gather_signals(events);
        events.extend(self.note_shown());
        events.extend(self.log.news());
        self.queue.collect(events);
        self.wakeups.note_outcomes(events.len());
        self.usage.look_for_oom_kills();
        self.watch.note_leaks(events);
        self.usage.account(events);
        self.crew.settle(events);
        if !self.gather_lost_workers(events) {
            return;
        }
        self.watch.stopping.mark(events);
        if self.wakeups.takes_exits(self.clock.now()) && !self.crew.reap_adopted() {
            self.wakeups.signals.note_child_exit();
        }
        let asked = &self.reports.asked;
        self.shown.look(asked.shows_only, asked.quiet, events);
        if let Some(commits) = &mut self.commits {
            commits.hold(events);
            commits.look(&self.engine, &mut self.log, events);
        }
    }

    fn gather_signals(&mut self, events: &mut Vec<Event>) {
        let arrived = self.wakeups.signals.arrived();
        self.inputs.reading_on.heard(arrived.len());
        events.extend(arrived.into_iter().map(Event::StopSignal));
        if self.wakeups.signals.asked() {
            self.tell_running();
        }
        if self.wakeups.signals.pauses() {
            self.pause();
        }
    }

    /// Returns false if the segment is damaged, and nothing in it can be believed.
    fn gather_lost_workers(&mut self, events: &mut Vec<Event>) -> bool {
        let ended = self.crew.ended();
        if !ended.is_empty()
            && let Some(violation) = self.crew.lost_segment()
        {
            // Neither the workers nor their tasks are to blame: the next audit of the segment
            // begins a new epoch.
            self.queue.violation.get_or_insert(violation);
            return false;
        }
        self.crew.sweep_before_burial(&ended);
        for ended in ended {
            let (worker, end) = self.crew.bury(ended);
            let claimed = self.queue.collect_from(worker, events);
            self.watch.stopping.mark(events);
            let killed = self.watch.stopping.lost(worker);
            self.usage.lost(worker);
            let starved = end == WorkerEnd::Signaled(SIGKILL) && self.usage.explains_a_kill();
            events.push(Event::WorkerGone { worker, end, claimed, starved, killed });
        }
        true
    }
}
