//! Where things stand on the board of the test of work conservation.

/// Whose turn it is, counted on: runner `TURN % procs`.
pub const TURN: usize = 0;

/// Not 0 when the ring shall end.
pub const OVER: usize = 1;

/// How many tasks nap, and how many there will be.
pub const NAPPING: usize = 2;
/// See [`NAPPING`].
pub const NAPPERS: usize = 3;

/// How many tasks are blocked until the ring ends.
pub const BLOCKED: usize = 4;

/// How often tasks have wanted a token back because the whole ring ran.
pub const LEFT_WAITING: usize = 5;

/// The process of each runner, from here on.
pub const RUNNERS: usize = 16;
