//! The only module with access to atomics and to the clock that stamps announcements: the real
//! ones, or loom's model.

pub use std::sync::atomic::compiler_fence;

#[cfg(not(loom))]
pub use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(loom)]
pub mod model;

#[cfg(loom)]
pub use loom::sync::atomic::fence;

#[cfg(loom)]
pub use model::{AtomicU32, AtomicU64, Ordering};

/// Nanoseconds of `CLOCK_MONOTONIC`: the same clock in every process of the machine. Never zero.
#[must_use]
#[cfg(not(loom))]
pub fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    (now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64).max(1)
}

/// In the model, time only tells earlier from later.
#[must_use]
#[cfg(loom)]
pub fn now_ns() -> u64 {
    loom::lazy_static! {
        static ref NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    }
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}
