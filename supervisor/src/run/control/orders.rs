//! `msup ctl kill` and `msup ctl retry`.

use std::collections::VecDeque;

use msup_protocol::packed::WorkerId;
use msup_protocol::task::State;

use super::super::Run;
use super::answer_to;
use super::server::ClientId;
use crate::cli::{Outputs, Values};
use crate::engine::{Entry, Event, Failure, Killed, Steering};
use crate::input::Source;
use crate::tasks::attempts::Sight;

/// The number of failed tasks that are kept for `retry`, with their values.
pub(super) const FAILURES_KEPT: usize = 40;

/// Why failed tasks of this run can run again only when it is over, if that is so: what is made of
/// their failures meanwhile cannot be taken back.
pub(super) fn retries_afterwards(
    is_pipeline: bool,
    outputs: &Outputs,
    values: &Values,
) -> Option<&'static str> {
    match (&values.source, outputs) {
        _ if is_pipeline => Some("tasks behind it are skipped already"),
        (Source::Blocks(_), _) => Some("its block is gone"),
        (_, Outputs { keep_order: true, .. }) => Some("outputs are shown in order (-k)"),
        (_, Outputs { frames: true, .. }) => Some("its client has been told"),
        _ => None,
    }
}

/// The tasks that failed last, and the clients that wait to hear that one of them runs again.
#[derive(Debug, Default)]
pub(super) struct LastFailures {
    /// The last one at the end.
    pub(super) last: VecDeque<Failure>,
    asked: Vec<(ClientId, Failure)>,
}

impl LastFailures {
    fn note(&mut self, failure: Failure) {
        // One that is run again may fail again.
        self.last.retain(|known| known.seq != failure.seq);
        if self.last.len() == FAILURES_KEPT {
            self.last.pop_front();
        }
        self.last.push_back(failure);
    }
}

/// Why nothing can be done with this task.
pub(super) fn does_not_run(seq: u64) -> String {
    format!("task {seq} is not running: it waits, has finished, or there is none")
}

impl Run {
    /// A task has failed.
    pub(in crate::run) fn note_failed(&mut self, entry: &Entry) {
        let Entry::End { seq, value, attempt, failure: Some((cause, quarantined)), .. } = entry
        else {
            return;
        };
        if self.reports.controlled.server.is_none() {
            return;
        }
        let (seq, value, cause) = (*seq, value.clone(), cause.clone());
        let (attempts, quarantined) = (*attempt, *quarantined);
        let failure = Failure { seq, value, cause, attempts, quarantined };
        self.reports.controlled.failures.note(failure);
    }

    /// The worker that runs this task, and the attempt.
    pub(super) fn running(&self, seq: u64) -> Option<(WorkerId, Sight)> {
        let tasks = self.segments.shared().tasks;
        (0..tasks.len() as u16).find_map(|slot| {
            self.engine.task(slot).filter(|task| task.seq == seq)?;
            let seen = tasks.sighted(slot).filter(|seen| seen.state() == Some(State::Claimed))?;
            Some((seen.owner()?, Sight { slot, seen }))
        })
    }

    /// Stops a running task by the ladder of signals. It has failed.
    ///
    /// # Errors
    /// It does not run.
    pub(super) fn kill_task(&mut self, seq: u64) -> Result<(), String> {
        let Some((worker, attempt)) = self.running(seq) else {
            return Err(does_not_run(seq));
        };
        self.watch.stopping.stop(worker, attempt, Killed::ByUser, self.clock.active());
        Ok(())
    }

    /// Asks the engine to run a failed task again. The client hears of it later.
    ///
    /// # Errors
    /// That is not possible: why, and what is.
    pub(super) fn ask_for_retry(
        &mut self,
        client: ClientId,
        seq: u64,
        events: &mut Vec<Event>,
    ) -> Result<(), String> {
        if let Some(what) = self.reports.controlled.steered.retries_afterwards {
            return Err(format!("{what}: msup retry --failed, once the run is over"));
        }
        if self.log.awaits(seq) {
            return Err(format!("the output of task {seq} is being shown: ask again"));
        }
        let failures = &mut self.reports.controlled.failures;
        let Some(at) = failures.last.iter().position(|failure| failure.seq == seq) else {
            return Err(format!(
                "task {seq} has not failed, or {FAILURES_KEPT} others have failed since: see msup \
                 log; msup retry --failed retries all once the run is over"
            ));
        };
        if let Some(failure) = failures.last.remove(at) {
            failures.asked.push((client, failure.clone()));
            events.push(Event::Steered(Steering::Retry(failure)));
        }
        Ok(())
    }

    /// The engine has decided whether a failed task runs again.
    pub(in crate::run) fn answer_retry(&mut self, seq: u64, is_taken: bool) {
        let failures = &mut self.reports.controlled.failures;
        let Some(at) = failures.asked.iter().position(|(_, failure)| failure.seq == seq) else {
            return;
        };
        let (client, failure) = failures.asked.remove(at);
        let answer = match is_taken {
            true => Ok(()),
            false => {
                failures.note(failure);
                Err("the run is stopping: msup retry --failed, once it is over".into())
            }
        };
        self.reports.controlled.answer(client, &answer_to(answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Cause;

    #[test]
    fn the_last_failures_are_kept_each_once() {
        let failure = |seq| Failure {
            seq,
            value: Vec::new(),
            cause: Cause::Exit(1),
            attempts: 1,
            quarantined: false,
        };
        let mut failures = LastFailures::default();
        (0..50).for_each(|seq| failures.note(failure(seq)));
        failures.note(failure(20));
        let kept: Vec<u64> = failures.last.iter().map(|failure| failure.seq).collect();
        assert_eq!((kept.len(), kept[0], kept.last()), (FAILURES_KEPT, 10, Some(&20)));
        assert_eq!(kept.iter().filter(|seq| **seq == 20).count(), 1);
    }
}
