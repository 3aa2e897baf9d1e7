//! An asymmetric memory barrier between processes: next to nothing for the many who pass often, a
//! system call for the one who passes rarely.
//!
//! A worker that gives its token up stores one word and reads another; between the two the processor
//! would need a full barrier, which costs as much as all the rest of a blocking call together. Instead
//! sysmon, before it sleeps, has the kernel put a full barrier into every worker that runs
//! (`membarrier(2)`, `GLOBAL_EXPEDITED`). A kernel that cannot do that gets the barrier in each call.

use crate::sync::{Ordering, compiler_fence, fence};

#[cfg(not(loom))]
use rustix::thread::{MembarrierCommand, membarrier, membarrier_query};

/// Whether this kernel can put barriers into other processes.
#[must_use]
#[cfg(not(loom))]
pub fn is_supported() -> bool {
    membarrier_query().contains_command(MembarrierCommand::GlobalExpedited)
}

/// In the model too: `tests/loom/barriers.rs` looks at the pair of sides by itself.
#[must_use]
#[cfg(loom)]
pub fn is_supported() -> bool {
    true
}

/// The side that passes often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LightSide {
    /// Nobody puts barriers into this process: it does so itself.
    fences: bool,
}

impl LightSide {
    /// Lets the kernel put barriers into this process whenever the heavy side asks for them, if the
    /// heavy side will; `false` makes it fence by itself.
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
/// [`LightSide::pass`] can be seen, or the worker sees what was stored before this.
pub fn heavy_side() {
    fence(Ordering::SeqCst);
    #[cfg(not(loom))]
    {
        // Where it fails, `is_supported()` was false and all workers fence.
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
