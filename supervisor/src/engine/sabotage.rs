//! Bugs that tests plant in the engine on purpose, to show that they would be noticed.

#[cfg(test)]
use std::cell::Cell;

/// The planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
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
}

#[cfg(test)]
thread_local! {
    static BROKEN: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Whether the engine of this thread has this bug; never outside of tests.
pub(crate) fn has(bug: Bug) -> bool {
    #[cfg(test)]
    return BROKEN.get() == Some(bug);
    #[cfg(not(test))]
    {
        let _ = bug;
        false
    }
}

/// Until it is dropped, the engines of this thread are broken.
#[cfg(test)]
pub(crate) struct Broken;

#[cfg(test)]
pub(crate) fn begin(bug: Bug) -> Broken {
    BROKEN.set(Some(bug));
    Broken
}

#[cfg(test)]
impl Drop for Broken {
    fn drop(&mut self) {
        BROKEN.set(None);
    }
}

#[cfg(test)]
impl Bug {
    pub(crate) const ALL: [Bug; 9] = [
        Bug::ForgetsTheKilled,
        Bug::RepeatsAttempts,
        Bug::WritesTooEarly,
        Bug::ForgetsSuspects,
        Bug::BlamesTheHealthy,
        Bug::ForgetsCrashes,
        Bug::CountsUnstarted,
        Bug::BelievesTheStopped,
        Bug::ForgivesLeftovers,
    ];
}
