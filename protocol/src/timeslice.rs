//! How long a process computes before the kernel gives the CPU to another one.
//!
//! Many commands share few CPUs. With time slices of a few milliseconds, commands that compute at
//! the same time also finish computing at the same time; then all wait, and the CPUs idle. With
//! time slices longer than most bursts of computing they finish one after the other, and one
//! computes while the others wait (docs/decisions/0018). Kernels before 6.12 have one length for
//! all processes and ignore this.

use std::ptr;
use std::time::Duration;

/// The time slice of a command. A process with a shorter one that wakes in between goes first.
pub const OF_COMMANDS: Duration = Duration::from_millis(30);

/// The scheduling attributes of this process, with the time slice of a command.
#[derive(Clone, Copy)]
pub struct Timeslice(libc::sched_attr);

impl std::fmt::Debug for Timeslice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Timeslice").field(&self.0.sched_runtime).finish()
    }
}

impl Timeslice {
    /// `None` if the user has chosen a policy without time slices, or the kernel does not tell.
    #[must_use]
    pub fn of_commands() -> Option<Timeslice> {
        let mut attr = get(0)?;
        let has_turns = matches!(attr.sched_policy as i32, libc::SCHED_OTHER | libc::SCHED_BATCH);
        // If the user chose longer ones, they stay.
        attr.sched_runtime = attr.sched_runtime.max(OF_COMMANDS.as_nanos() as u64);
        has_turns.then_some(Timeslice(attr))
    }

    /// Applies it to this process and to all that it will start. Makes one system call only, so it
    /// may be used between `clone` and `exec`; a refusal changes nothing.
    pub fn take(&self) {
        // SAFETY: a valid structure that says its own size; 0 is the caller.
        unsafe { libc::syscall(libc::SYS_sched_setattr, 0, ptr::from_ref(&self.0), 0) };
    }
}

/// The time slice of a process, 0 for the caller. Zero if the kernel has one length for all.
#[must_use]
pub fn of(pid: i32) -> Duration {
    Duration::from_nanos(get(pid).map_or(0, |attr| attr.sched_runtime))
}

/// Whether this kernel lets a process choose. Tries it in a thread of its own.
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
