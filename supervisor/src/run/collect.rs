//! Collects what has happened, as events: from signals, workers, output and the journal.

use msup_protocol::codec::Verdict;
use msup_protocol::exit::{self, WorkerEnd};
use msup_protocol::packed::WorkerId;

use super::{Run, SIGKILL, SIGPIPE, SIGUSR1};
use crate::engine::Event;
use crate::journal::{Details, runs};

/// The status of a shell whose last command was killed by SIGPIPE.
const SHELL_SIGPIPE: u8 = exit::SIGNAL_BASE + SIGPIPE;

/// Whether a command that writes to msup's own standard output has found no reader, as it seems.
fn misses_reader(event: &Event) -> bool {
    let Event::Collected { outcome, .. } = event else { return false };
    matches!(outcome.verdict, Verdict::Signaled(SIGPIPE) | Verdict::Exited(SHELL_SIGPIPE))
}

impl Run {
    /// Collects what has happened since the last time.
    pub(super) fn gather(&mut self, events: &mut Vec<Event>) {
        self.gather_signals(events);
        events.extend(self.note_shown());
        events.extend(self.log.news());
        self.note_limit(events);
        self.hear_answer(events);
        self.hear_clients(events);
        let mut collected = Vec::new();
        self.queue.collect(&mut collected);
        self.look_at_jobs_file(!collected.is_empty(), events);
        let (shows_only, quiet) = (self.reports.asked.shows_only, self.reports.asked.quiet);
        if self.shown.is_direct && collected.iter().any(misses_reader) {
            // The engine is told this before it hears of the failure.
            self.shown.output.look_for_reader_now();
            self.shown.look(shows_only, quiet, events);
        }
        events.append(&mut collected);
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
        self.shown.look(shows_only, quiet, events);
        if let Some(commits) = &mut self.commits {
            commits.hold(events);
            commits.look(&self.engine, &mut self.log, events);
        }
    }

    fn gather_signals(&mut self, events: &mut Vec<Event>) {
        let arrived = self.wakeups.signals.arrived();
        self.inputs.reading_on.heard(arrived.len());
        events.extend(arrived.into_iter().map(Event::StopSignal));
        match (self.wakeups.signals.asked(), self.inputs.share.shard) {
            // Schedulers send it before they stop a shard.
            (true, Some(_)) => events.push(Event::StopSignal(SIGUSR1)),
            (true, None) => self.tell_running(),
            (false, _) => {}
        }
        if self.wakeups.signals.pauses() {
            self.pause();
        }
    }

    /// Notes where and since when the attempts ran that were lost with this worker.
    fn note_losses(&mut self, worker: WorkerId, claimed: &[u16]) {
        for slot in claimed {
            let sight = self.watch.attempts.of(worker).filter(|sight| sight.slot == *slot);
            let age = sight.map(|sight| self.watch.age_of(worker, sight, self.clock.active()));
            let seconds = age.map(|age| age.as_secs_f64());
            let start = seconds.map(|seconds| (runs::seconds() - seconds).max(0.0));
            let slot_of_worker = Some(u32::from(worker) + 1);
            let lost = Details { slot: slot_of_worker, start, seconds, ..Details::default() };
            self.queue.note_loss(*slot, lost);
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
            self.note_losses(worker, &claimed);
            self.watch.stopping.mark(events);
            let killed = self.watch.stopping.lost(worker);
            self.usage.lost(worker);
            let starved = end == WorkerEnd::Signaled(SIGKILL) && self.usage.explains_a_kill();
            events.push(Event::WorkerGone { worker, end, claimed, starved, killed });
        }
        true
    }
}
