//! loom's atomics, with two additions.
//!
//! A **killer**: a model can kill a thread before any of its writes, as SIGKILL kills a process.
//! Reads leave nothing behind, so deaths between writes are the only ones that matter.
//!
//! **SeqCst loads** read the latest value. loom treats SeqCst accesses as acquire and release only.
//! Its SeqCst fence is no alternative: it orders all that came before it in any thread, so loom
//! assumes that nothing before it can be reordered and skips most interleavings. A
//! read-modify-write that changes nothing has neither problem.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use loom::sync::atomic as loom_atomic;
pub use loom::sync::atomic::Ordering;

loom::thread_local! {
    /// The number of writes this thread may still make; `None` if it is not to be killed.
    static WRITES_LEFT: Cell<Option<u32>> = Cell::new(None);
}

/// The payload with which a killed thread unwinds.
struct Killed;

/// Runs `life` until it returns or is killed after this number of writes. `None` if it was killed.
pub fn killed_after<T>(writes: u32, life: impl FnOnce() -> T) -> Option<T> {
    WRITES_LEFT.with(|left| left.set(Some(writes)));
    let end = catch_unwind(AssertUnwindSafe(life));
    WRITES_LEFT.with(|left| left.set(None));
    match end {
        Ok(value) => Some(value),
        Err(payload) if payload.is::<Killed>() => None,
        Err(payload) => resume_unwind(payload),
    }
}

/// A step that other threads can see: a write, or a wake.
pub fn visible_step() {
    WRITES_LEFT.with(|left| match left.get() {
        // Not a panic: nothing is printed.
        Some(0) => resume_unwind(Box::new(Killed)),
        Some(n) => left.set(Some(n - 1)),
        None => {}
    });
}

macro_rules! atomic {
    ($name:ident, $value:ty) => {
        /// loom's, with the killer in front.
        #[derive(Debug)]
        pub struct $name(loom_atomic::$name);

        impl Default for $name {
            fn default() -> Self {
                Self::new(0)
            }
        }

        impl $name {
            /// A new one.
            pub fn new(value: $value) -> Self {
                Self(loom_atomic::$name::new(value))
            }

            /// As std's.
            pub fn load(&self, ordering: Ordering) -> $value {
                match ordering {
                    Ordering::SeqCst => self.0.fetch_add(0, Ordering::AcqRel),
                    weaker => self.0.load(weaker),
                }
            }

            /// As std's. A swap in the model: loom may order a plain store before an earlier
            /// read-modify-write of another thread, which then undoes it.
            pub fn store(&self, value: $value, ordering: Ordering) {
                visible_step();
                self.0.swap(value, ordering);
            }

            /// As std's.
            pub fn swap(&self, value: $value, ordering: Ordering) -> $value {
                visible_step();
                self.0.swap(value, ordering)
            }

            /// As std's.
            pub fn fetch_add(&self, value: $value, ordering: Ordering) -> $value {
                visible_step();
                self.0.fetch_add(value, ordering)
            }

            /// As std's.
            pub fn fetch_max(&self, value: $value, ordering: Ordering) -> $value {
                visible_step();
                self.0.fetch_max(value, ordering)
            }

            /// As std's.
            pub fn fetch_or(&self, value: $value, ordering: Ordering) -> $value {
                visible_step();
                self.0.fetch_or(value, ordering)
            }

            /// As std's.
            pub fn fetch_and(&self, value: $value, ordering: Ordering) -> $value {
                visible_step();
                self.0.fetch_and(value, ordering)
            }

            /// As std's.
            ///
            /// # Errors
            /// The value that was there instead.
            pub fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                visible_step();
                self.0.compare_exchange(current, new, success, failure)
            }
        }
    };
}

atomic!(AtomicU32, u32);
atomic!(AtomicU64, u64);
