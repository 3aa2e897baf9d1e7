//! The indices on the board of the test of waiting for tokens.

/// Nonzero when a `short` task runs, and when it shall stop.
pub const RUNS: usize = 0;
/// See [`RUNS`].
pub const OVER: usize = 1;

/// The number of calls of the `short` task.
pub const CALLS: usize = 2;

/// The number of sleepers that were given a token.
pub const SERVED: usize = 3;

/// The number of waits, and the worst one.
pub const WAITS: usize = 4;
/// See [`WAITS`].
pub const WORST: usize = 5;

/// The number of waits longer than a limit, and that limit.
pub const LONG: usize = 6;
/// See [`LONG`].
pub const LIMIT: usize = 7;
