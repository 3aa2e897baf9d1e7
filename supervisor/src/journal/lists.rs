//! How long the lists of values are that generations of a run have read.

/// How far the generations have read their lists, which may differ in length.
#[derive(Debug, Default)]
pub(super) struct ListsRead {
    /// The largest number that a task can have, as far as known.
    pub(super) last: u64,
    /// A list was read to its end; and whether this generation's was.
    is_known: bool,
    is_read: bool,
    /// The largest number of a task in this generation.
    pub(super) mentioned: u64,
}

impl ListsRead {
    /// A generation begins. If the one before has not read its list to the end, that may be longer
    /// than the others.
    pub(super) fn begin(&mut self) {
        let mentioned = std::mem::take(&mut self.mentioned);
        if !std::mem::take(&mut self.is_read) {
            self.last = self.last.max(mentioned);
        }
    }

    pub(super) fn end(&mut self, total: u64) {
        (self.is_known, self.is_read, self.last) = (true, true, self.last.max(total));
    }

    /// No task has a larger number, if a list was read to its end.
    pub(super) fn last(mut self) -> Option<u64> {
        self.begin();
        self.is_known.then_some(self.last)
    }
}
