//! Bugs that tests plant on purpose, to show that the judge would notice them.
//!
//! They stand between the simulated world and the engine or the journal, not in their code. The
//! decision that a bug stands for is not told what it depends on, or its result is changed.

use msup_protocol::exit::WorkerEnd;
use msup_protocol::in_flight;

use crate::engine::{Earlier, Engine, Entry, Failure, Killed};
use crate::journal::Record;

/// The planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    /// A task whose worker was killed is forgotten.
    ForgetsTheKilled,
    /// A retry gets the number of the attempt before.
    RepeatsAttempts,
    /// The end of a task is journaled without waiting for its output.
    WritesTooEarly,
    /// A task that was in flight when a supervisor died runs alongside others.
    ForgetsSuspects,
    /// Each task in flight when a supervisor died is blamed as if it had been alone.
    BlamesTheHealthy,
    /// Crashes in earlier generations do not count.
    ForgetsCrashes,
    /// A published attempt counts, whether it has started or not.
    CountsUnstarted,
    /// An attempt that was stopped and exits with 0 counts as successful.
    BelievesTheStopped,
    /// Processes left running are no failure.
    ForgivesLeftovers,
    /// A finished task whose output waits counts as if its output had been shown.
    ForgetsUnshown,
    /// A task that has parked begins anew in the next generation.
    ForgetsStates,
    /// What a task has added is not journaled.
    ForgetsAdded,
    /// A retry that the user wants counts attempts anew.
    CountsAnew,
}

impl Bug {
    pub(super) const ALL: [Bug; 13] = [
        Bug::ForgetsTheKilled,
        Bug::RepeatsAttempts,
        Bug::WritesTooEarly,
        Bug::ForgetsSuspects,
        Bug::BlamesTheHealthy,
        Bug::ForgetsCrashes,
        Bug::CountsUnstarted,
        Bug::BelievesTheStopped,
        Bug::ForgivesLeftovers,
        Bug::ForgetsUnshown,
        Bug::ForgetsStates,
        Bug::ForgetsAdded,
        Bug::CountsAnew,
    ];
}

/// The bug of a simulated run, if it has one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planted(pub(super) Option<Bug>);

impl Planted {
    fn is(self, bug: Bug) -> bool {
        self.0 == Some(bug)
    }

    /// What the engine hears of earlier generations.
    pub(super) fn earlier(self, earlier: Earlier) -> Earlier {
        let Earlier::Tried(mut tried) = earlier else { return earlier };
        tried.is_suspect &= !self.is(Bug::ForgetsSuspects);
        if self.is(Bug::ForgetsCrashes) {
            tried.crashes = 0;
        }
        if self.is(Bug::ForgetsStates) {
            tried.parked = None;
        }
        Earlier::Tried(tried)
    }

    /// What the engine hears of the signals that a reported attempt got.
    pub(super) fn killed(self, killed: Option<Killed>) -> Option<Killed> {
        killed.filter(|why| match why {
            Killed::Stopped => !self.is(Bug::BelievesTheStopped),
            Killed::LeftRunning(_) => !self.is(Bug::ForgivesLeftovers),
            Killed::TimedOut(_) | Killed::Leftovers | Killed::Displaced | Killed::ByUser => true,
        })
    }

    /// The worker of the task in this slot exited or was killed.
    pub(super) fn worker_is_gone(self, engine: &mut Engine, slot: u16, end: WorkerEnd) {
        if self.is(Bug::ForgetsTheKilled) && matches!(end, WorkerEnd::Signaled(_)) {
            engine.lose(slot);
        }
    }

    /// The number of an attempt, where the engine says it is this.
    pub(super) fn attempt(self, attempt: u32) -> u32 {
        attempt - u32::from(self.is(Bug::RepeatsAttempts) && attempt > 1)
    }

    /// The failure that the user wants to be retried.
    pub(super) fn retry(self, mut failure: Failure) -> Failure {
        if self.is(Bug::CountsAnew) {
            failure.attempts = 0;
        }
        failure
    }

    /// What the journal is to note.
    pub(super) fn entry(self, mut entry: Entry) -> Entry {
        if let (Entry::End { emitted, .. }, true) = (&mut entry, self.is(Bug::ForgetsAdded)) {
            *emitted = None;
        }
        match &mut entry {
            Entry::InputsEnd(_) => {}
            Entry::Start { attempt, .. }
            | Entry::Withdrawn { attempt, .. }
            | Entry::Again { attempt, .. }
            | Entry::Parked { attempt, .. }
            | Entry::End { attempt, .. } => *attempt = self.attempt(*attempt),
        }
        entry
    }

    /// Whether the journal hears that an output `will_be_shown`.
    pub(super) fn will_be_shown(self, will_be_shown: bool) -> bool {
        will_be_shown && !self.is(Bug::WritesTooEarly)
    }

    /// Whether outputs that wait are not shown by the next generation.
    pub(super) fn forgets_unshown(self) -> bool {
        self.is(Bug::ForgetsUnshown)
    }

    /// The notes of workers, as the journal sees them.
    pub(super) fn notes(
        self,
        noted: Option<&[Option<in_flight::Entry>]>,
    ) -> Option<&[Option<in_flight::Entry>]> {
        noted.filter(|_| !self.is(Bug::CountsUnstarted))
    }

    /// What is journaled of attempts that were cut off.
    pub(super) fn cut_off(self, mut records: Vec<Record>) -> Vec<Record> {
        for record in &mut records {
            if let Record::CutOff { beside, .. } = record
                && self.is(Bug::BlamesTheHealthy)
            {
                *beside = 0;
            }
        }
        records
    }
}
