//! Memory that is gone: whoever has a descriptor of the segment, a task through `/proc/PID/fd` for one, may truncate it
//! or punch holes into it on a full `/dev/shm`. Then the next touch is a SIGBUS.
//!
//! The creator survives it. The handler puts empty memory in the segment's place, which the next look at the header
//! finds out: the epoch ends, as after any write that nobody who keeps to the protocol can have made. Seals would
//! prevent truncation, but only memory of `memfd_create` can have them (docs/decisions/0042).

use std::ptr;
use std::sync::Once;

use libc::{c_int, c_void, siginfo_t};

use crate::sync::{AtomicU64, Ordering};

/// So many segments of one process are guarded: one, and the one before while an epoch begins. Tests have more.
const GUARDED: usize = 64;

/// The start and the length of each, 0 where there is none.
static REGIONS: [[AtomicU64; 2]; GUARDED] =
    [const { [AtomicU64::new(0), AtomicU64::new(0)] }; GUARDED];

/// A mapping whose loss this process survives, as long as this lives.
#[derive(Debug)]
pub(super) struct Guard {
    place: Option<&'static [AtomicU64; 2]>,
}

impl Guard {
    /// Guards a mapping.
    pub(super) fn new(start: *mut u8, len: usize) -> Guard {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(install);
        let (start, len) = (start.expose_provenance() as u64, len as u64);
        let place = REGIONS.iter().find(|[base, of]| {
            // ORDERING: SeqCst, for a handler on another thread: a start without its length is empty. Nothing here
            // is done often.
            let is_free =
                base.compare_exchange(0, start, Ordering::SeqCst, Ordering::SeqCst).is_ok();
            if is_free {
                of.store(len, Ordering::SeqCst);
            }
            is_free
        });
        Guard { place }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some([base, len]) = self.place {
            len.store(0, Ordering::SeqCst);
            base.store(0, Ordering::SeqCst);
        }
    }
}

fn install() {
    // SAFETY: all-zero is a valid value of a structure of integers and a handler.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_bus as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: a valid action; the handler makes system calls and touches atomics only.
    unsafe { libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut()) };
}

extern "C" fn on_bus(signal: c_int, info: *mut siginfo_t, _context: *mut c_void) {
    // SAFETY: the kernel passes a valid structure.
    let code = unsafe { (*info).si_code };
    // SAFETY: as above; without a fault it is a number that means nothing, and is not used.
    let address = unsafe { (*info).si_addr() }.addr();
    // Not above 0: somebody has sent the signal.
    if code > 0 && REGIONS.iter().any(|region| replace(region, address)) {
        return;
    }
    // Not ours: what would have happened without the handler, when the fault repeats or at once.
    // SAFETY: the default action is always valid.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    if code <= 0 {
        // SAFETY: no precondition.
        unsafe { libc::raise(signal) };
    }
}

/// Puts empty memory in the place of a mapping that has this address. Whether it could.
fn replace([base, len]: &[AtomicU64; 2], address: usize) -> bool {
    let [start, len] = [base, len].map(|word| word.load(Ordering::SeqCst) as usize);
    if !(start..start.saturating_add(len)).contains(&address) {
        return false;
    }
    let (prot, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let start = ptr::with_exposed_provenance_mut::<c_void>(start);
    // SAFETY: this replaces a mapping of the segment's, which has the same length and rights; everything in it is
    // atomics, which any bytes are a value for.
    let mapped = unsafe { libc::mmap(start, len, prot, flags | libc::MAP_FIXED, -1, 0) };
    mapped == start
}
