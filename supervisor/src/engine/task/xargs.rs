//! What xargs makes of failures: which of them stop the run, and the exit status.

use super::outcome::Cause;

/// A command has failed otherwise than below.
pub(in crate::engine) const FAILED: u8 = 123;
/// The list is wrong.
pub(in crate::engine) const WRONG: u8 = 1;
/// A command has exited with the status that stops xargs.
const TOLD_TO_STOP: u8 = 124;
const KILLED: u8 = 125;
const CANNOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;

/// The status with which a command stops xargs.
const STOP: u8 = 255;

/// The exit status of the run, if this failure stops it.
pub(in crate::engine) fn stops_with(cause: &Cause) -> Option<u8> {
    const ENOENT: i32 = 2;
    match cause {
        Cause::Exit(STOP) => Some(TOLD_TO_STOP),
        Cause::Signal(_) | Cause::OutOfMemory | Cause::LostWorker(_) => Some(KILLED),
        Cause::CannotStart(ENOENT, _) => Some(NOT_FOUND),
        Cause::CannotStart(..) => Some(CANNOT_RUN),
        _ => None,
    }
}
