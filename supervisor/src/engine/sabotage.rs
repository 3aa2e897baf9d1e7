//! Ways to break the engine on purpose, so that tests can show that they would notice.

#[cfg(test)]
use std::cell::Cell;

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A task whose worker was killed is forgotten.
    ForgetsTheKilled,
    /// A retry is given the number of the attempt before.
    RepeatsAttempts,
    /// An end is written down without waiting for its output.
    WritesTooEarly,
    /// What was in flight when a supervisor died is run beside others.
    ForgetsSuspects,
    /// All that was in flight when a supervisor died is blamed as if it had been alone.
    BlamesTheHealthy,
    /// Crashes in earlier generations do not count.
    ForgetsCrashes,
    /// An attempt that was handed over counts, whether it has started or not.
    CountsUnstarted,
    /// An attempt that was stopped and exits with 0 has succeeded.
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

/// Until it is dropped the engines of this thread are broken.
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
