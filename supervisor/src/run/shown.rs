//! What the run shows: outputs of tasks, in the hands of the writer, and messages.

use std::collections::{HashMap, HashSet};

use super::error::RunError;
use super::filing::Filer;
use crate::engine::{Entry, Event, OutputPressure};
use crate::journal::State;
use crate::output::{Delivery, Output, Style, Unwritable};
use crate::report::escape;
use crate::report::summary::Summary;
use crate::template::Looks;
use std::os::fd::OwnedFd;

/// An output in the hands of the writer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Handed {
    /// There is something to show, and the writer will report that it was shown.
    pub(super) will_be_shown: bool,
    /// The number of bytes of output.
    pub(super) received: u64,
}

/// The writer, and what the run knows of it.
pub(super) struct Shown {
    pub(super) output: Output,
    /// What messages begin with.
    speaker: &'static str,
    /// Outputs go to the client of `msup serve`.
    pub(super) has_client: bool,
    /// Outputs are filed instead of being shown.
    pub(super) filer: Option<Filer>,
    /// Commands write to standard output themselves.
    pub(super) is_direct: bool,
    /// What holds up the outputs: then no more lines are printed.
    pressure: OutputPressure,
    /// Its failure was reported.
    has_failed: bool,
    /// Tasks that have finished, but whose output has not been shown yet; and whether it is kept
    /// with the run.
    unshown: HashMap<u64, (State, bool)>,
    /// How outputs look that an earlier generation has kept and that are shown now.
    pub(super) looks: HashMap<u64, Looks>,
    /// Those among them that have emitted tasks.
    emitting: HashSet<u64>,
}

impl Shown {
    /// # Errors
    /// Nothing can be shown.
    pub(super) fn start(
        style: Style,
        (filer, is_direct, speaker): (Option<Filer>, bool, &'static str),
        doorbell: OwnedFd,
    ) -> Result<Shown, RunError> {
        let has_client = style.hello.is_some();
        let output = Output::start(style, doorbell)?;
        let (unshown, emitting) = (HashMap::new(), HashSet::new());
        Ok(Shown {
            output,
            speaker,
            has_client,
            filer,
            is_direct,
            pressure: OutputPressure::None,
            has_failed: false,
            unshown,
            looks: HashMap::new(),
            emitting,
        })
    }

    /// A message on standard error.
    pub(super) fn say(&self, text: &str) {
        self.output.say(format!("{}: {}\n", self.speaker, escape::message(text)));
    }

    /// A message that may be left out: while output is not read, no more of them are kept.
    pub(super) fn say_if_read(&self, text: impl FnOnce() -> String) {
        if self.pressure == OutputPressure::None {
            self.say(&text());
        }
    }

    /// The same for a line as it is.
    pub(super) fn print_if_read(&self, line: impl FnOnce() -> String) {
        if self.pressure == OutputPressure::None {
            self.output.say(line());
        }
    }

    /// Hands over a task's output.
    pub(super) fn deliver(&self, delivery: Delivery) -> Handed {
        let received = delivery.received();
        Handed { will_be_shown: self.output.deliver(delivery), received }
    }

    /// Hands over the output of a task that has finished in an earlier generation, but was not
    /// shown then if its `state` is given.
    pub(super) fn deliver_again(&mut self, delivery: Delivery, state: Option<State>) {
        if let Some(state) = state {
            self.unshown.insert(delivery.seq, (state, true));
        }
        self.output.deliver(delivery);
    }

    /// A task has finished once its output has been shown.
    pub(super) fn awaits_output_of(&mut self, entry: &Entry) {
        let Entry::End { seq, failure, emitted, .. } = entry else { return };
        if emitted.is_some() {
            self.emitting.insert(*seq);
        }
        let state = match failure {
            None => State::Succeeded,
            Some((_, false)) => State::Failed,
            Some((_, true)) => State::Quarantined,
        };
        self.unshown.insert(*seq, (state, false));
    }

    /// Tasks whose outputs have been kept since the last time, and have to wait.
    pub(super) fn kept(&mut self) -> Vec<u64> {
        let kept = self.output.kept();
        for seq in &kept {
            self.unshown.entry(*seq).and_modify(|(_, is_kept)| *is_kept = true);
        }
        kept
    }

    /// Tasks whose outputs have been shown since the last time.
    pub(super) fn news(&mut self) -> Vec<u64> {
        let shown = self.output.shown();
        if !self.unshown.is_empty() {
            for seq in &shown {
                self.unshown.remove(seq);
            }
        }
        shown
    }

    /// Those of these tasks, whose ends are noted now, that have emitted tasks.
    pub(super) fn have_emitted(&mut self, noted: &[u64]) -> Vec<Event> {
        if self.emitting.is_empty() {
            return Vec::new();
        }
        let emitting = noted.iter().filter(|seq| self.emitting.remove(seq));
        emitting.map(|seq| Event::EndNoted(*seq)).collect()
    }

    /// Those tasks that have emitted others, and whose ends are never noted: their outputs are
    /// gone.
    pub(super) fn have_emitted_in_vain(&mut self) -> Vec<Event> {
        let mut missing = self.output.missing();
        missing.retain(|seq| self.emitting.remove(seq));
        missing.into_iter().map(Event::EndLost).collect()
    }

    /// Those tasks that have emitted others, and whose ends are noted only when all tasks before
    /// them have finished.
    pub(super) fn have_emitted_and_wait(&self) -> Vec<Event> {
        let mut behind = self.output.behind();
        behind.retain(|seq| self.emitting.contains(seq));
        behind.into_iter().map(Event::EndAwaitsTurn).collect()
    }

    /// The number of finished tasks whose output was not shown: of those whose output is kept, and
    /// of the others, which run again.
    pub(super) fn unshown(&self) -> [u64; 2] {
        let kept = self.unshown.values().filter(|(_, is_kept)| *is_kept).count();
        [kept, self.unshown.len() - kept].map(|count| count as u64)
    }

    /// They have not finished, as the journal says.
    pub(super) fn leave_unshown(&self, summary: &mut Summary) {
        for (state, _) in self.unshown.values() {
            summary.tasks.leave(*state);
        }
    }

    /// Why outputs could not be written, if the engine was not told: nothing was left to stop.
    pub(super) fn untold_failure(&self) -> Option<String> {
        match self.output.failure().filter(|_| !self.has_failed) {
            Some(Unwritable::Other(why)) => Some(why.clone()),
            Some(Unwritable::Closed) | None => None,
        }
    }

    /// What has changed in the writer. `shows_only`: the output is all that was asked for.
    pub(super) fn look(&mut self, shows_only: bool, quiet: bool, events: &mut Vec<Event>) {
        self.output.look_for_reader();
        if !std::mem::replace(&mut self.has_failed, self.output.failure().is_some()) {
            events.extend(self.output.failure().cloned().map(|failure| match failure {
                Unwritable::Closed => Event::OutputClosed { in_vain: shows_only, quiet },
                Unwritable::Other(why) => Event::OutputFailed(why),
            }));
        }
        let pressure = match (self.output.is_behind(), self.output.holds_too_many()) {
            (true, _) => OutputPressure::Writing,
            (false, true) => OutputPressure::Turn,
            (false, false) => OutputPressure::None,
        };
        if std::mem::replace(&mut self.pressure, pressure) != pressure {
            events.push(Event::OutputPressure(pressure));
        }
    }
}
