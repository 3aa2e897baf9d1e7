//! Lost memory: a process with a descriptor of the segment, for example a task through
//! `/proc/PID/fd`, may truncate it or punch holes into it on a full `/dev/shm`. The next touch then
//! raises SIGBUS.
//!
//! The creator survives this. The handler maps empty memory in the segment's place, which the next
//! check of the header detects; the supervisor then abandons the segment, as after any write that
//! breaks the protocol. Seals would prevent truncation, but only memory of `memfd_create` can have
//! them (docs/decisions/0042).

use std::ptr;
use std::sync::Once;

use libc::{c_int, c_void, siginfo_t};

use crate::sync::{AtomicU64, Ordering};

/// The number of segments that can be guarded in one process. It needs two: its own, and the
/// previous one while a new epoch starts. Tests have more.
const GUARDED: usize = 64;

/// The start and the length of each region, 0 for none.
static REGIONS: [[AtomicU64; 2]; GUARDED] =
    [const { [AtomicU64::new(0), AtomicU64::new(0)] }; GUARDED];

/// A mapping whose loss this process survives while this value lives.
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
            // ORDERING: SeqCst, for a handler on another thread: a start without its length is an
            // empty region. This code runs rarely.
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
    // SAFETY: as above; without a fault the number is meaningless and not used.
    let address = unsafe { (*info).si_addr() }.addr();
    // Not above 0: a process has sent the signal.
    if code > 0 && REGIONS.iter().any(|region| replace(region, address)) {
        return;
    }
    // Not ours: restore what would happen without the handler, when the fault repeats or at once.
    // SAFETY: the default action is always valid.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    if code <= 0 {
        // SAFETY: no precondition.
        unsafe { libc::raise(signal) };
    }
}

/// Maps empty memory in the place of the mapping that contains this address. Returns whether it
/// did.
fn replace([base, len]: &[AtomicU64; 2], address: usize) -> bool {
    let [start, len] = [base, len].map(|word| word.load(Ordering::SeqCst) as usize);
    if !(start..start.saturating_add(len)).contains(&address) {
        return false;
    }
    let (prot, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let start = ptr::with_exposed_provenance_mut::<c_void>(start);
    // SAFETY: this replaces a mapping of the segment with the same length and rights; everything in
    // it is atomics, for which any bytes are a value.
    let mapped = unsafe { libc::mmap(start, len, prot, flags | libc::MAP_FIXED, -1, 0) };
    mapped == start
}
