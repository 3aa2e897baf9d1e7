//! Sleeping until a word changes, and waking sleepers: shared futexes behind a trait.

use std::time::Duration;

#[cfg(not(loom))]
use rustix::thread::futex;

use crate::sync::AtomicU32;

/// How a process sleeps on a shared word. Wakes are idempotent, may be spurious, and are only a
/// hint: a woken process checks the words again.
pub trait Park {
    /// Sleeps while `word` is `expected`, for at most `timeout`; may return at any time.
    fn wait(&self, word: &AtomicU32, expected: u32, timeout: Duration);
    /// Wakes every process that sleeps on `word`.
    fn wake(&self, word: &AtomicU32);
}

/// The kernel's futexes, shared between processes (never `FUTEX_PRIVATE`).
#[cfg(not(loom))]
#[derive(Clone, Copy, Debug, Default)]
pub struct Futex;

#[cfg(not(loom))]
impl Park for Futex {
    fn wait(&self, word: &AtomicU32, expected: u32, timeout: Duration) {
        let timeout = futex::Timespec {
            tv_sec: timeout.as_secs() as i64,
            tv_nsec: i64::from(timeout.subsec_nanos()),
        };
        // EAGAIN (the word changed), EINTR and ETIMEDOUT all mean the same: check again.
        let _ = futex::wait(word, futex::Flags::empty(), expected, Some(&timeout));
    }

    fn wake(&self, word: &AtomicU32) {
        let _ = futex::wake(word, futex::Flags::empty(), i32::MAX as u32);
    }
}
