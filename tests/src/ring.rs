//! The indices on the board of the test of work conservation.

/// The turn, which counts up: it belongs to runner `TURN % procs`.
pub const TURN: usize = 0;

/// Nonzero when the ring shall stop.
pub const OVER: usize = 1;

/// The number of tasks that nap, and the number that there will be.
pub const NAPPING: usize = 2;
/// See [`NAPPING`].
pub const NAPPERS: usize = 3;

/// The number of tasks that are blocked until the ring stops.
pub const BLOCKED: usize = 4;

/// How often tasks have wanted a token back because the whole ring ran.
pub const LEFT_WAITING: usize = 5;

/// The process of each runner, from this index on.
pub const RUNNERS: usize = 16;
