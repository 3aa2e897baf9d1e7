//! The only door to atomics and to the clock that stamps announcements.

pub use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Nanoseconds of `CLOCK_MONOTONIC`: the same clock in every process of the machine. Never zero.
#[must_use]
pub fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    (now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64).max(1)
}
