//! Starting a process in this one's memory that is in a control group from its first instruction on.
//!
//! A process that moves into a group later stops every fork and exit on the machine for a moment; one that
//! is started there stops nobody. The C library has no call for it yet: this is `clone(2)` with one more argument.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use libc::{c_int, c_void};
use rustix::process::{WaitId, WaitIdOptions, waitid};

/// Where the new process begins. It must not return.
pub type Entry = extern "C" fn(*mut c_void) -> c_int;

/// Starts a process in `group` that runs `entry(argument)` on `stack`, in this process' memory. This thread sleeps until
/// it has executed a program or ended. Returns its id and a descriptor of it.
///
/// # Errors
/// What the kernel says: no such group any more, no permission, no resources; `ENOSYS` on processors for which this is
/// not written.
///
/// # Safety
/// `entry` makes system calls only and ends in `_exit` or a program; `argument` is what it expects.
pub unsafe fn into_group(
    group: BorrowedFd<'_>,
    stack: &mut [u64],
    entry: Entry,
    argument: NonNull<c_void>,
) -> io::Result<(i32, OwnedFd)> {
    // SAFETY: passed on.
    unsafe { machine::into_group(group, stack, entry, argument) }
}

/// Whether processes can be started in `group`: starts one that does nothing.
///
/// # Errors
/// Why not, as [`into_group`].
pub fn probe(group: BorrowedFd<'_>) -> io::Result<()> {
    extern "C" fn end(_: *mut c_void) -> c_int {
        // SAFETY: ends the new process only, without running anything of the memory's owner.
        unsafe { libc::_exit(0) }
    }
    let mut stack = [0; 1024];
    // SAFETY: `end` makes one system call, which does not return, and looks at no argument.
    let (_, pidfd) = unsafe { into_group(group, &mut stack, end, NonNull::dangling()) }?;
    let end = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)?;
    match end.and_then(|end| end.exit_status()) {
        Some(0) => Ok(()),
        // Linux 6.18 does that where one of the two groups has been killed more often than the other.
        _ => Err(io::Error::other("what is started in another group is killed")),
    }
}

#[cfg(target_arch = "x86_64")]
mod machine {
    use std::io;
    use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
    use std::ptr::{self, NonNull};

    use libc::{c_int, c_void};

    use super::Entry;

    /// `CLONE_INTO_CGROUP`, which is wider than the C library's type for such flags.
    const INTO_GROUP: u64 = 1 << 33;

    pub(super) unsafe fn into_group(
        group: BorrowedFd<'_>,
        stack: &mut [u64],
        entry: Entry,
        argument: NonNull<c_void>,
    ) -> io::Result<(i32, OwnedFd)> {
        let mut pidfd: c_int = -1;
        // SAFETY: all-zero is a valid value of a structure of integers.
        let mut order: libc::clone_args = unsafe { std::mem::zeroed() };
        let shares = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD;
        order.flags = shares as u64 | INTO_GROUP;
        order.pidfd = ptr::from_mut(&mut pidfd) as u64;
        order.exit_signal = libc::SIGCHLD as u64;
        order.cgroup = group.as_raw_fd() as u64;
        order.stack = stack.as_mut_ptr() as u64;
        // The child begins at the stack's end, where a call must find it aligned to 16.
        order.stack_size =
            ((order.stack + size_of_val(stack) as u64) & !15).saturating_sub(order.stack);
        let result: isize;
        // SAFETY: the parent comes out of the system call as out of any other. The child comes out of it with 0, on the
        // stack above, of which nothing is expected but what `entry` puts there; it never leaves this block.
        unsafe {
            std::arch::asm!(
                "syscall",
                "test rax, rax",
                "jnz 2f",
                "xor ebp, ebp",
                "mov rdi, r12",
                "call r13",
                "ud2",
                "2:",
                inlateout("rax") libc::SYS_clone3 => result,
                in("rdi") ptr::from_ref(&order),
                in("rsi") size_of::<libc::clone_args>(),
                in("r12") argument.as_ptr(),
                in("r13") entry,
                lateout("rcx") _,
                lateout("r11") _,
            );
        }
        if result < 0 {
            return Err(io::Error::from_raw_os_error(-result as i32));
        }
        // SAFETY: the call succeeded and stored a descriptor that is ours alone.
        Ok((result as i32, unsafe { OwnedFd::from_raw_fd(pidfd) }))
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod machine {
    use std::io;
    use std::os::fd::{BorrowedFd, OwnedFd};
    use std::ptr::NonNull;

    use super::Entry;

    pub(super) unsafe fn into_group(
        _: BorrowedFd<'_>,
        _: &mut [u64],
        _: Entry,
        _: NonNull<libc::c_void>,
    ) -> io::Result<(i32, OwnedFd)> {
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }
}
