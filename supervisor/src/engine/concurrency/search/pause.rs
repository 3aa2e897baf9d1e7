//! When the next trial may begin.

use std::time::Duration;

/// The pause before the next trial of a kind: it doubles with each that is of no use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pause {
    pub(super) left: Duration,
    next: Duration,
    range: [Duration; 2],
}

impl Pause {
    pub(super) fn new(range: [Duration; 2]) -> Pause {
        Pause { left: Duration::ZERO, next: range[0], range }
    }

    pub(super) fn begin(&mut self) {
        self.left = self.next;
        self.next = (self.next * 2).min(self.range[1]);
    }
}
