//! How a run finishes: the last output, the journal, the report.

use std::io::{self, IsTerminal};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::{Duration, Instant};

use msup_protocol::exit;
use msup_protocol::token::Census;

use super::clock::LOOK_AT_LEAST;
use super::commits::Commits;
use super::pipeline::PipelineRun;
use super::{Exit, Run};
use crate::engine::{Event, Leave};
use crate::journal::runs::{self, Wanted};
use crate::os::terminal;
use crate::output::Output;
use crate::output::replay::Replay;
use crate::report::human::{Next, Report};
use crate::report::paint::Paint;
use crate::report::summary::Summary;
use crate::template::quoted_words;

/// How long remaining processes of a run may take to die.
const LAST_SWEEP: Duration = Duration::from_secs(2);

/// How long output may still take when the run was killed.
const OUTPUT_AFTER_KILL: Duration = Duration::from_secs(1);

impl Run {
    /// Everything after the last worker has gone.
    pub(super) fn finish(mut self) -> Exit {
        let tokens = self.last_look();
        self.see_daemons_off();
        let is_swept = self.watch.leave != Leave::Alone || self.engine.was_killed();
        let survivors = if is_swept { self.crew.sweep(LAST_SWEEP) } else { 0 };
        if survivors > 0 {
            self.shown
                .say(&format!("{survivors} processes cannot be killed (uninterruptible sleep?)"));
        }
        if let Some(commits) = &mut self.commits {
            commits.forget_all();
        }
        self.segments.stop();
        self.tell_clients_last();
        self.shown.output.close();
        let mut status = match &self.inputs.pipeline {
            Some(fed) => self.engine.exit_status_for(fed.pipeline.failed_items() as u64),
            None => self.engine.exit_status(),
        };
        let written = self.wait_for_output(Output::is_closed);
        match written {
            Ok(()) if status == 0 && !self.shown.output.is_whole() => {
                let why =
                    self.shown.untold_failure().map_or(String::new(), |why| format!(": {why}"));
                self.shown.say(&format!("not every output could be written{why}"));
                status = self.engine.status_unwritten();
            }
            Err(Some(signal)) => status = exit::SIGNAL_BASE.saturating_add(signal),
            Ok(()) | Err(None) => {}
        }
        status = self.close_log(status);
        let summary = self.summary(status, tokens);
        self.publish_last_metrics();
        if let Some(path) = &self.reports.asked.summary
            && let Err(why) = summary.write(path)
        {
            self.shown.say(&format!("--summary {}: {why}", path.display()));
            status = exit::ERROR;
        }
        if written.is_ok() {
            if !self.reports.asked.quiet {
                self.shown.output.say(self.report(&summary));
            }
            self.notify(&summary, status);
            self.shown.output.end();
            let _ = self.wait_for_output(Output::has_ended);
        }
        self.exit(status)
    }

    /// How to exit with this status. A signal that arrived when everything was done counts as well:
    /// a loop around this run must stop.
    fn exit(&mut self, status: u8) -> Exit {
        let stops_with = |signal: &u8| status == exit::SIGNAL_BASE.saturating_add(*signal);
        let stopped_by = self.engine.stopped_by().filter(stops_with);
        if [exit::JOURNAL_LOST, exit::ERROR].contains(&status) {
            return Exit::Status(status);
        }
        self.wakeups.signals.arrived();
        stopped_by.or(self.wakeups.signals.last()).map_or(Exit::Status(status), Exit::Signal)
    }

    /// The tokens after the last worker has gone. From here on the segment is not needed, whatever
    /// is written over it.
    fn last_look(&mut self) -> Census {
        if let Err(violation) = self.audit() {
            let mut effects = Vec::new();
            self.begin_anew(&violation, &mut effects);
            self.perform(&mut effects, &mut Vec::new());
            // A second violation at this moment would be reported as missing tokens.
            let _ = self.audit();
        }
        self.segments.census()
    }

    /// Closes the journal and returns the exit status.
    fn close_log(&mut self, status: u8) -> u8 {
        let _ = self.note_shown();
        self.log.flush();
        // A user who told the run to stop does not wait for that.
        let waits = !self.engine.is_stopped();
        if waits && self.log.is_full() {
            self.shown
                .say("waiting for disk space for the journal; a signal (Ctrl-C) ends the wait");
        }
        while waits && self.log.is_full() && self.wakeups.signals.arrived().is_empty() {
            self.wakeups.wait(LOOK_AT_LEAST);
            self.log.flush();
        }
        if let Some(commits) = self.commits.as_mut().filter(|_| self.log.is_sound()) {
            commits.finish();
        }
        if let Some(text) = self.commits.as_ref().and_then(Commits::remark) {
            self.shown.say(&text);
        }
        let mut status = status;
        if self.log.is_cut_off {
            if self.log.missing == 0 && !self.engine.is_unread() {
                let n = self.engine.accepted_values();
                self.shown.say(&format!(
                    "only {n} values were read before the run was stopped; for the rest: msup \
                     resume -a FILE"
                ));
            }
            status = if status == 0 { exit::ERROR } else { status };
        }
        for missing in self.log.replay.as_ref().map_or(Vec::new(), Replay::missing) {
            self.shown.say(&missing);
            status = if status == 0 { exit::ERROR } else { status };
        }
        if self.log.leaves_unshown() && status == 0 {
            status = exit::ERROR;
        }
        let missing = self.log.finish(status, self.engine.is_complete(), self.engine.is_halted());
        missing.iter().for_each(|text| self.shown.say(text));
        let complete = self.engine.is_complete() && missing.is_empty();
        let pipeline = self.inputs.pipeline.as_ref();
        if let Some(Err(why)) = pipeline.map(|fed| fed.write_history(complete)) {
            // Else the next run reads the journal.
            self.shown.say(&format!("{why}; the next run reads the journal of this one instead"));
        }
        if self.has_done_nothing() {
            self.log.discard();
        }
        runs::prune();
        if missing.is_empty() { status } else { exit::JOURNAL_LOST }
    }

    /// Whether no task was started, and none is known that could be.
    fn has_done_nothing(&self) -> bool {
        let knows_none = self.engine.accepted_values() == 0 && self.engine.is_unread();
        self.engine.tally().attempts == 0 && (knows_none || self.inputs.is_refused)
    }

    /// Outputs have been shown: their tasks have finished. Others are kept, and wait.
    pub(super) fn note_shown(&mut self) -> Vec<Event> {
        let shown = self.shown.news();
        self.log.unkept(self.shown.output.unkept());
        let mut events = self.shown.have_emitted(&shown);
        self.log.received(&self.shown.output.received());
        self.log.shown(shown);
        let kept = self.shown.kept();
        if !kept.is_empty() {
            events.extend(self.shown.have_emitted(&kept));
            self.log.kept(kept);
        }
        events.extend(self.shown.have_emitted_in_vain());
        events.extend(self.shown.have_emitted_and_wait());
        events
    }

    /// The closing report.
    fn report(&self, summary: &Summary) -> String {
        let name = |wanted| {
            let name =
                runs::name_for_commands(self.log.folder()?, wanted, &self.reports.asked.here);
            let name = name.into_os_string().into_vec();
            Some(if name.is_empty() { name } else { quoted_words(&[name]) })
        };
        let pipeline = self.inputs.pipeline.as_ref();
        let leaves_some =
            pipeline.is_some_and(|fed| fed.figures().iter().any(|stage| stage.left > 0));
        let next = Next {
            unread: self.engine.is_unread() || leaves_some,
            unshown: self.shown.unshown(),
            halted: self.engine.is_halted(),
            retry: self.log.retry(),
            needs_list: self.log.keeps_values(),
            resume: name(Wanted::Unfinished),
            others: name(Wanted::Any),
            pipeline: pipeline.map(|fed| quoted_words(&[fed.file.as_os_str().as_bytes().to_vec()])),
            is_start: self.log.is_start(),
        };
        let report = Report {
            summary,
            tally: self.engine.tally(),
            command: self.reports.asked.command.as_deref(),
            last_lines: &self.reports.last_lines.named,
            next,
            paint: Paint::of(io::stderr().is_terminal()),
            columns: io::stderr().is_terminal().then(|| terminal::size().1),
            stats: self.reports.asked.stats,
            memory_per_task: self.queue.memory_per_task(),
        };
        report.to_string()
    }

    fn summary(&self, status: u8, tokens: Census) -> Summary {
        let (counted, findings) = (self.crew.counted(), self.segments.findings());
        let figures = &self.reports.figures;
        let mut summary =
            figures.summary(&self.engine, counted, tokens, findings, self.clock.began);
        self.usage.sum_up(&mut summary);
        summary.stages = self.inputs.pipeline.as_ref().map_or(Vec::new(), PipelineRun::figures);
        summary.exit_status = status;
        // As in the journal.
        self.shown.leave_unshown(&mut summary);
        summary
    }

    /// Waits for the writer until a signal arrives: only output is left to wait for. A run that was
    /// already killed does not wait for long either.
    fn wait_for_output(&mut self, is_done: fn(&Output) -> bool) -> Result<(), Option<u8>> {
        let began = Instant::now();
        while !is_done(&self.shown.output) {
            if let Some(signal) = self.wakeups.signals.arrived().first() {
                return Err(Some(*signal));
            }
            if self.engine.was_killed() && began.elapsed() >= OUTPUT_AFTER_KILL {
                return Err(None);
            }
            self.wakeups.wait_for_bell(&self.segments.shared(), LOOK_AT_LEAST);
        }
        Ok(())
    }
}
