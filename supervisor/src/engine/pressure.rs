//! Back pressure: what the run produces cannot be written just now.

/// What holds up the outputs of tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OutputPressure {
    /// Nothing does.
    #[default]
    None,
    /// They arrive faster than they can be written.
    Writing,
    /// They wait for their turn (`-k`), too many of them, until the first unfinished task has
    /// finished.
    Turn,
}

/// What holds the run up.
#[derive(Debug, Default)]
pub(super) struct Pressure {
    by_output: OutputPressure,
    /// There is no space left for the journal.
    by_journal: bool,
    /// The user has paused the run.
    by_user: bool,
}

impl Pressure {
    pub(super) fn set_output(&mut self, pressure: OutputPressure) {
        self.by_output = pressure;
    }

    pub(super) fn set_journal(&mut self, is_full: bool) {
        self.by_journal = is_full;
    }

    pub(super) fn set_pause(&mut self, is_paused: bool) {
        self.by_user = is_paused;
    }

    /// Whether anything is held up.
    pub(super) fn is_any(&self) -> bool {
        self.by_output != OutputPressure::None || self.by_journal || self.by_user
    }

    /// Whether only tasks may start for which the outputs may wait that wait for their turn.
    pub(super) fn waits_for_turn(&self) -> bool {
        self.by_output == OutputPressure::Turn
    }

    /// Whether nothing may start: its output would wait, its start could not be journaled, or the
    /// user does not want it.
    pub(super) fn allows_nothing(&self) -> bool {
        self.by_output == OutputPressure::Writing || self.by_journal || self.by_user
    }
}
