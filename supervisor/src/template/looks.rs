//! How the lines of a task's output look: `--tag`, `--color` and the like.

use super::Totals;
use super::colors;
use super::tag::TagTemplate;

/// How the lines of outputs look, before the task is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct LooksTemplate {
    /// What each line begins with.
    pub(crate) tag: Option<TagTemplate>,
    /// Each task has a colour.
    pub(crate) colors: bool,
    /// Failed tasks are red.
    pub(crate) failed_is_red: bool,
    /// A carriage return begins a line, too, as in GNU parallel.
    pub(crate) returns: bool,
}

/// How the lines of one task's output look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Looks {
    /// What each line begins with.
    pub(crate) begin: Vec<u8>,
    /// What stands before the end of each line.
    pub(crate) end: &'static [u8],
    /// A carriage return begins a line, too.
    pub(crate) returns: bool,
    /// The last line gets a newline if it has none.
    pub(crate) completes: bool,
}

impl LooksTemplate {
    /// Whether they depend on how many tasks there are.
    pub(crate) fn needs_total(&self) -> bool {
        self.tag.as_ref().is_some_and(TagTemplate::needs_total)
    }

    /// Whether lines of all outputs are shown as they are.
    pub(crate) fn is_plain(&self) -> bool {
        self.tag.is_none() && !self.colors && !self.failed_is_red
    }

    /// The looks of the task with this value and number.
    pub(crate) fn of(&self, value: &[u8], (seq, totals): (u64, Totals), has_failed: bool) -> Looks {
        let (color, end) = match (self.failed_is_red && has_failed, self.colors) {
            (true, _) => (colors::of_failure(), colors::RESET),
            (false, true) => (colors::of(seq), colors::RESET),
            (false, false) => (Vec::new(), &b""[..]),
        };
        let tag = self.tag.as_ref().map(|tag| tag.of(value, seq, totals)).unwrap_or_default();
        Looks {
            begin: [color, tag].concat(),
            end,
            returns: self.returns,
            completes: self.colors || self.failed_is_red,
        }
    }
}

impl Looks {
    /// A text without its last newline, with the looks of each line.
    pub(crate) fn applied_to(&self, text: &[u8]) -> Vec<u8> {
        let lines = text.split(|byte| *byte == b'\n');
        let lines = lines.map(|line| [&self.begin, line, self.end].concat());
        lines.collect::<Vec<_>>().join(&b'\n')
    }

    /// Whether lines are shown as they are.
    pub(crate) fn is_plain(&self) -> bool {
        self.begin.is_empty() && !self.completes
    }
}
