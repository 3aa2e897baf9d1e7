//! Why the target is what it is.

/// What the search does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Nothing is known yet.
    Ramp,
    /// The CPUs are full.
    Full,
    /// This number is kept for a while.
    Hold,
    More,
    Fewer,
}

impl Reason {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Reason::Ramp => "ramp",
            Reason::Full => "cpus-full",
            Reason::Hold => "hold",
            Reason::More => "search-up",
            Reason::Fewer => "search-down",
        }
    }
}
