//! Where things stand on the board of the test of waiting for tokens.

/// Not 0 when a `short` task runs, and when it shall end.
pub const RUNS: usize = 0;
/// See [`RUNS`].
pub const OVER: usize = 1;

/// Calls of the `short` task.
pub const CALLS: usize = 2;

/// Sleepers that were given a token.
pub const SERVED: usize = 3;

/// How many waits there were, and the worst one.
pub const WAITS: usize = 4;
/// See [`WAITS`].
pub const WORST: usize = 5;

/// How many waits were longer than a limit, and that limit.
pub const LONG: usize = 6;
/// See [`LONG`].
pub const LIMIT: usize = 7;
