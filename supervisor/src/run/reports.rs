//! What a person is told of the run: while it goes on, and when it is over.

use std::collections::BTreeMap;
use std::time::Duration;

use super::control::Controlled;
use super::pins::Pins;
use super::progress::Telling;
use super::publishing::Publisher;
use super::sampling::SampleClock;
use super::stats::Figures;
use crate::cli::Reports as Asked;
use crate::engine::FAILURES_NAMED;
use crate::output::Delivery;
use crate::report::trace;

/// The progress display, the trace, the figures for the closing report, and what it names.
#[derive(Debug)]
pub(super) struct Reports {
    pub(super) asked: Asked,
    pub(super) progress: Telling,
    pub(super) figures: Figures,
    /// When the next trace line is due.
    trace_due: Option<Duration>,
    pub(super) last_lines: LastLines,
    pub(super) pins: Pins,
    pub(super) sampler: SampleClock,
    pub(super) controlled: Controlled,
    /// For `--metrics`.
    pub(super) publisher: Option<Publisher>,
}

impl Reports {
    pub(super) fn new(asked: Asked, figures: Figures, publisher: Option<Publisher>) -> Reports {
        Reports {
            progress: Telling::new(asked.progress),
            figures,
            trace_due: asked.schedtrace,
            last_lines: LastLines::default(),
            pins: Pins::default(),
            sampler: SampleClock::new(),
            controlled: Controlled::default(),
            publisher,
            asked,
        }
    }

    /// When the next trace line is due.
    pub(super) fn trace_due(&self) -> Option<Duration> {
        self.trace_due
    }

    /// Whether a trace line is due; then the next one is later.
    pub(super) fn takes_trace(&mut self, now: Duration) -> bool {
        let Some((every, due)) = self.asked.schedtrace.zip(self.trace_due) else { return false };
        if now < due {
            return false;
        }
        self.trace_due = Some(trace::next_due(due, every, now));
        true
    }

    /// The output of a task is handed over. Its last line is kept if the task is going to be named.
    pub(super) fn note_output(&mut self, delivery: &Delivery, has_failed: bool) {
        let has_report = !self.asked.quiet;
        self.last_lines.note(delivery, has_failed && has_report);
    }
}

/// The last lines that failed tasks wrote to standard error.
#[derive(Debug, Default)]
pub(super) struct LastLines {
    /// Of the tasks that are going to be named.
    pub(super) named: BTreeMap<u64, Vec<u8>>,
    /// Of the task whose output was handed over last.
    latest: Option<Vec<u8>>,
}

impl LastLines {
    fn note(&mut self, delivery: &Delivery, is_named: bool) {
        let is_named = is_named && self.named.len() < FAILURES_NAMED;
        self.latest = if is_named { delivery.last_line() } else { None };
    }

    /// The task has no output.
    pub(super) fn forget(&mut self) {
        self.latest = None;
    }

    /// This task has failed: the latest line is its own.
    pub(super) fn keep(&mut self, seq: u64) {
        if let Some(line) = self.latest.take() {
            self.named.insert(seq, line);
        }
    }
}
