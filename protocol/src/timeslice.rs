//! How long a process computes before the kernel lets another one have the CPU.
//!
//! Many commands share few CPUs. In turns of a few milliseconds those that compute at the same time come to the end of it
//! at the same time, then all wait, and the CPUs idle. In turns longer than most spells of computing they come there
//! one after the other, and somebody computes while the others wait (docs/decisions/0018). Kernels before 6.12 have one
//! length for all, and take no notice.

use std::ptr;
use std::time::Duration;

/// The turn of a command. Whatever has a shorter one and wakes in between comes first.
pub const OF_COMMANDS: Duration = Duration::from_millis(30);

/// Scheduling as this process has it, with the turn of a command.
#[derive(Clone, Copy)]
pub struct Timeslice(libc::sched_attr);

impl std::fmt::Debug for Timeslice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Timeslice").field(&self.0.sched_runtime).finish()
    }
}

impl Timeslice {
    /// `None` where the user has chosen a policy without turns, or the kernel does not tell.
    #[must_use]
    pub fn of_commands() -> Option<Timeslice> {
        let mut attr = get(0)?;
        let has_turns = matches!(attr.sched_policy as i32, libc::SCHED_OTHER | libc::SCHED_BATCH);
        // Whoever chose longer ones keeps them.
        attr.sched_runtime = attr.sched_runtime.max(OF_COMMANDS.as_nanos() as u64);
        has_turns.then_some(Timeslice(attr))
    }

    /// Gives it to this process and to what it will start. Nothing but a system call, so that it may be used between
    /// `clone` and `exec`; a refusal changes nothing.
    pub fn take(&self) {
        // SAFETY: a valid structure that says its own size; 0 is the caller.
        unsafe { libc::syscall(libc::SYS_sched_setattr, 0, ptr::from_ref(&self.0), 0) };
    }
}

/// The turn of a process, 0 for the caller. Zero where the kernel has one length for all.
#[must_use]
pub fn of(pid: i32) -> Duration {
    Duration::from_nanos(get(pid).map_or(0, |attr| attr.sched_runtime))
}

/// Whether this kernel lets a process choose. Chooses, in a thread of its own.
#[must_use]
pub fn is_supported() -> bool {
    let tried = std::thread::spawn(|| {
        let Some(slice) = Timeslice::of_commands() else { return false };
        slice.take();
        of(0) >= OF_COMMANDS
    });
    tried.join().unwrap_or(false)
}

fn get(pid: i32) -> Option<libc::sched_attr> {
    // SAFETY: all-zero is a valid value of a structure of integers.
    let mut attr: libc::sched_attr = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::sched_attr>() as u32;
    let to = ptr::from_mut(&mut attr);
    // SAFETY: `to` has `size` bytes.
    let result = unsafe { libc::syscall(libc::SYS_sched_getattr, pid, to, size, 0) };
    (result == 0).then_some(attr)
}
