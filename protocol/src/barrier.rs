//! An asymmetric memory barrier between processes: almost free for the many workers that pass
//! often, a system call for sysmon, which passes rarely.
//!
//! A worker that lets its token go stores one word and loads another. Between the two the processor
//! would need a full barrier, which costs as much as the rest of a blocking call. Instead sysmon,
//! before it sleeps, has the kernel put a full barrier into every running worker (`membarrier(2)`,
//! `GLOBAL_EXPEDITED`). On a kernel without that, each call has its own barrier.

use crate::sync::{Ordering, compiler_fence, fence};

#[cfg(not(loom))]
use rustix::thread::{MembarrierCommand, membarrier, membarrier_query};

/// Whether this kernel can put barriers into other processes.
#[must_use]
#[cfg(not(loom))]
pub fn is_supported() -> bool {
    membarrier_query().contains_command(MembarrierCommand::GlobalExpedited)
}

/// In the model too: `tests/loom/barriers.rs` checks the two sides by themselves.
#[must_use]
#[cfg(loom)]
pub fn is_supported() -> bool {
    true
}

/// The side that passes often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LightSide {
    /// The kernel puts no barriers into this process: it fences by itself.
    fences: bool,
}

impl LightSide {
    /// With `heavy_side_asks`, registers this process so that the kernel puts barriers into it when
    /// the heavy side asks for them. Without it, or if that fails, the process fences by itself.
    #[must_use]
    pub fn new(heavy_side_asks: bool) -> LightSide {
        LightSide { fences: !(heavy_side_asks && register()) }
    }

    /// Between a store and a load.
    #[inline]
    pub fn pass(self) {
        if self.fences {
            fence(Ordering::SeqCst);
        } else {
            compiler_fence(Ordering::SeqCst);
        }
    }
}

/// The side that passes rarely: afterwards every store that a worker made before its own
/// [`LightSide::pass`] is visible, or the worker sees what was stored before this.
pub fn heavy_side() {
    fence(Ordering::SeqCst);
    #[cfg(not(loom))]
    {
        // If this fails, `is_supported()` was false and all workers fence.
        let _ = membarrier(MembarrierCommand::GlobalExpedited);
    }
}

#[cfg(not(loom))]
fn register() -> bool {
    membarrier(MembarrierCommand::RegisterGlobalExpedited).is_ok()
}

#[cfg(loom)]
fn register() -> bool {
    true
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn without_a_heavy_side_the_light_side_fences() {
        assert!(LightSide::new(false).fences);
        assert_eq!(LightSide::new(is_supported()).fences, !is_supported());
        heavy_side();
    }
}
