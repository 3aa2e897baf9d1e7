//! How many items a gather needs.

use std::fmt;

/// How many items a gather needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Min {
    All,
    Items(u64),
    Percent(f64),
}

impl fmt::Display for Min {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Min::All => f.write_str("100%"),
            Min::Items(items) => items.fmt(f),
            Min::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl Min {
    pub(super) fn parse(text: &str) -> Option<Min> {
        match text.strip_suffix('%') {
            Some(percent) => {
                let percent = percent.trim().parse().ok()?;
                (0.0..=100.0).contains(&percent).then_some(Min::Percent(percent))
            }
            None => text.parse().ok().map(Min::Items),
        }
    }

    /// Whether this number of all items is enough.
    pub(crate) fn is_met(self, succeeded: u64, all: u64) -> bool {
        match self {
            Min::All => succeeded == all,
            Min::Items(items) => succeeded >= items,
            Min::Percent(percent) => succeeded as f64 * 100.0 >= percent * all as f64,
        }
    }
}
