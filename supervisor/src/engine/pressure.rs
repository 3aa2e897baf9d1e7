//! Back pressure: what the run produces cannot be written just now.

/// What holds the run up.
#[derive(Debug, Default)]
pub(super) struct Pressure {
    /// Output arrives faster than it can be written.
    by_output: bool,
    /// There is no space left for the journal.
    by_journal: bool,
}

impl Pressure {
    pub(super) fn set_output(&mut self, is_behind: bool) {
        self.by_output = is_behind;
    }

    pub(super) fn set_journal(&mut self, is_full: bool) {
        self.by_journal = is_full;
    }

    /// Whether anything is held up: then no more input is read.
    pub(super) fn is_any(&self) -> bool {
        self.by_output || self.by_journal
    }

    /// Whether only tasks that run again may start. With `-k`, outputs that wait to be written may
    /// wait for such a task.
    pub(super) fn allows_only_retries(&self) -> bool {
        self.by_output
    }

    /// Whether nothing may start: the start could not be journaled.
    pub(super) fn allows_nothing(&self) -> bool {
        self.by_journal
    }
}
