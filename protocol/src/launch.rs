//! Starting a worker: from its first instruction on it dies with its parent, and is in its control
//! group if it has one.
//!
//! The standard library cannot do either without slow workarounds: the death signal must be set in
//! the child before it executes anything, and moving a process into a group later must wait until
//! no process on the machine forks, which takes some milliseconds each time. This is what
//! `posix_spawn` does, with a death signal, and with `clone3` into a control group. What a start
//! costs does not grow with the supervisor's memory, nor with its descriptors, one for each worker.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use libc::{c_char, c_int, c_void};
use rustix::process::{WaitId, WaitIdOptions, waitid};

/// The size of the child's stack while it shares memory.
const STACK_BYTES: usize = 64 << 10;

/// The status of a child that could not execute the program; it is never reported.
const NOT_EXECUTED: c_int = 127;

/// The child shares memory, so that nothing of it need be copied, and at first the descriptors; the
/// parent sleeps until the child does not need its memory any more.
const SHARING: c_int = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES | libc::CLONE_PIDFD;

/// `CLOSE_RANGE_UNSHARE`: the table of descriptors is copied without those that are to be closed.
const UNSHARED: c_int = 1 << 1;

/// `CLONE_INTO_CGROUP`, which is wider than the C library's type for such flags.
const INTO_GROUP: u64 = 1 << 33;

/// What to start.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The program's path.
    pub program: &'a CStr,
    /// Its arguments; the first one is its name.
    pub arguments: &'a [CString],
    /// Its environment.
    pub environment: &'a [CString],
    /// Its standard input and output.
    pub streams: [BorrowedFd<'a>; 2],
    /// The control group to start it in; `None`: the caller's own.
    pub group: Option<BorrowedFd<'a>>,
    /// The last descriptor that may be inherited. A supervisor has thousands beyond it: to copy
    /// and close them would take longer than all else.
    pub last_inherited: RawFd,
}

/// Starts a program in a session of its own, so without a terminal. The kernel kills it when the
/// calling thread exits, unless the program changes that. Returns its id and its pidfd.
///
/// # Errors
/// The kernel's error: it cannot create a process, not in this group, or the program cannot be
/// executed.
pub fn start(what: Order<'_>) -> io::Result<(i32, OwnedFd)> {
    let pointers = |strings: &[CString]| -> Vec<*const c_char> {
        strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
    };
    let mut child = Child {
        program: what.program.as_ptr(),
        argv: pointers(what.arguments),
        envp: pointers(what.environment),
        streams: what.streams.map(|stream| stream.as_raw_fd()),
        last_inherited: what.last_inherited,
        parent: rustix::process::getpid().as_raw_pid(),
        errno: 0,
    };
    let (pid, pidfd) = match what.group {
        None => borrowing_memory(&mut child)?,
        Some(group) => in_group(&mut child, group)?,
    };
    if child.errno != 0 {
        waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)?;
        return Err(io::Error::from_raw_os_error(child.errno));
    }
    Ok((pid, pidfd))
}

/// What the child needs, prepared so that it allocates nothing.
struct Child {
    program: *const c_char,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    streams: [RawFd; 2],
    last_inherited: RawFd,
    parent: libc::pid_t,
    /// The child's answer: why it could not execute the program.
    errno: c_int,
}

/// What the child of either way runs, on its own stack, in the memory of this process.
extern "C" fn run(child: *mut c_void) -> c_int {
    // SAFETY: the only reference while the parent sleeps, which passed it and keeps it valid.
    let child = unsafe { &mut *child.cast::<Child>() };
    // SAFETY: this is the child, and what it was given is valid as long as the parent sleeps.
    child.errno = unsafe { child.execute() };
    // SAFETY: it runs no destructors and no handlers: this memory is the parent's.
    unsafe { libc::_exit(NOT_EXECUTED) }
}

/// A stack for the child while it shares memory.
struct Stack(Box<[MaybeUninit<u64>]>);

impl Stack {
    fn new() -> Stack {
        Stack(Box::new_uninit_slice(STACK_BYTES / 8))
    }

    /// Its first byte, and the number of bytes up to a top that is aligned as calls need it.
    fn range(&mut self) -> (*mut c_void, usize) {
        let base = self.0.as_mut_ptr().cast::<c_void>();
        let top = (base.addr() + STACK_BYTES) & !15;
        (base, top - base.addr())
    }
}

/// The child shares this process' memory until it executes the program, and this thread sleeps
/// until then. It shares the table of descriptors until it gets its own.
fn borrowing_memory(child: &mut Child) -> io::Result<(i32, OwnedFd)> {
    let mut stack = Stack::new();
    let (base, bytes) = stack.range();
    // SAFETY: the end of the stack, inside the allocation or one past it.
    let top = unsafe { base.byte_add(bytes) };
    let mut pidfd: c_int = -1;
    let _blocked = BlockedSignals::new();
    // SAFETY: the child runs on its own stack while this thread sleeps (CLONE_VFORK), so the stack
    // and the argument outlive the child's use of them; it makes system calls only. The kernel
    // stores the descriptor in the last argument.
    let pid = unsafe {
        libc::clone(
            run,
            top,
            SHARING | libc::SIGCHLD,
            ptr::from_mut(child).cast::<c_void>(),
            &raw mut pidfd,
        )
    };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded and stored a descriptor that is ours alone.
    Ok((pid, unsafe { OwnedFd::from_raw_fd(pidfd) }))
}

/// The same in a control group, which only `clone3` can do.
fn in_group(child: &mut Child, group: BorrowedFd<'_>) -> io::Result<(i32, OwnedFd)> {
    let mut stack = Stack::new();
    let (base, bytes) = stack.range();
    let mut pidfd: c_int = -1;
    // SAFETY: all-zero is a valid value of a structure of integers.
    let mut order: libc::clone_args = unsafe { std::mem::zeroed() };
    order.flags = SHARING as u64 | INTO_GROUP;
    order.pidfd = (&raw mut pidfd).expose_provenance() as u64;
    order.exit_signal = libc::SIGCHLD as u64;
    order.stack = base.expose_provenance() as u64;
    order.stack_size = bytes as u64;
    order.cgroup = group.as_raw_fd() as u64;
    let _blocked = BlockedSignals::new();
    // SAFETY: as in `borrowing_memory()`.
    let pid = unsafe { clone3(&order, ptr::from_mut(child).cast::<c_void>()) };
    if pid < 0 {
        return Err(io::Error::from_raw_os_error(-pid as i32));
    }
    // SAFETY: the call succeeded and stored a descriptor that is ours alone.
    Ok((pid as i32, unsafe { OwnedFd::from_raw_fd(pidfd) }))
}

/// `clone3`, whose child calls [`run`] on its own stack: the C library has no function for that,
/// because a child that returns from a function of its parent overwrites the parent's stack.
///
/// # Safety
/// The stack of `order` and `child` must stay valid until the child has executed a program or
/// exited.
#[cfg(target_arch = "x86_64")]
unsafe fn clone3(order: &libc::clone_args, child: *mut c_void) -> isize {
    let mut result = libc::SYS_clone3 as isize;
    // SAFETY: the kernel keeps all other registers in both processes. The child goes on with an
    // aligned stack of its own and does not leave the block. The parent changes nothing here.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r9",
            "call r8",
            "ud2",
            "2:",
            inlateout("rax") result,
            in("rdi") ptr::from_ref(order),
            in("rsi") size_of::<libc::clone_args>(),
            in("r8") run as extern "C" fn(*mut c_void) -> c_int,
            in("r9") child,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// Elsewhere there is no such code, because it could not be tried: workers run without groups.
///
/// # Safety
/// None.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn clone3(_order: &libc::clone_args, _child: *mut c_void) -> isize {
    -(libc::ENOSYS as isize)
}

impl Child {
    /// Gets a table of descriptors of its own, with those that may be inherited and those that are
    /// to be its streams.
    ///
    /// # Safety
    /// Only the child may call it.
    unsafe fn take_descriptors(&self) -> Result<(), c_int> {
        let first = self.streams.into_iter().fold(self.last_inherited, RawFd::max).wrapping_add(1);
        if first > 0 {
            // SAFETY: plain numbers. It changes only the child's table, which is a new one.
            let closed =
                unsafe { libc::syscall(libc::SYS_close_range, first, c_int::MAX, UNSHARED) };
            if closed == 0 {
                return Ok(());
            }
        }
        // An old kernel, or one that forbids it. All are copied then, and closed by exec.
        // SAFETY: plain numbers.
        match unsafe { libc::unshare(libc::CLONE_FILES) } {
            0 => Ok(()),
            // SAFETY: always a valid place.
            _ => Err(unsafe { *libc::__errno_location() }),
        }
    }

    /// The child's part: becomes the program, or returns why not.
    ///
    /// # Safety
    /// Only the child may call it, with null-terminated arrays of null-terminated strings and open
    /// descriptors.
    unsafe fn execute(&self) -> c_int {
        // SAFETY: this option takes a number, and changes only this process.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong) };
        // SAFETY: it takes nothing and cannot fail.
        if unsafe { libc::getppid() } != self.parent {
            // The parent died before the death signal was set.
            // SAFETY: it exits this process only, and runs no code of the process that owns the
            // memory.
            unsafe { libc::_exit(NOT_EXECUTED) };
        }
        // SAFETY: it takes nothing, and changes only this process.
        unsafe { libc::setsid() };
        // SAFETY: this is the child.
        if let Err(errno) = unsafe { self.take_descriptors() } {
            return errno;
        }
        for (target, fd) in self.streams.into_iter().enumerate() {
            // SAFETY: the caller guarantees that `fd` is open. The descriptors 0 and 1 of this
            // process belong to no value of Rust that is used before exec.
            unsafe { libc::dup2(fd, target as c_int) };
        }
        reset_signals();
        // SAFETY: the caller guarantees a null-terminated path and null-terminated arrays of
        // null-terminated strings. It returns only if it has failed.
        unsafe { libc::execve(self.program, self.argv.as_ptr(), self.envp.as_ptr()) };
        // SAFETY: always a valid place. A child that shares memory uses the one of the parent's
        // thread, which sleeps.
        unsafe { *libc::__errno_location() }
    }
}

/// Gives up the handlers of the parent, for a child that is about to execute a program, and
/// unblocks all signals. Allocates nothing.
fn reset_signals() {
    for signal in 1..=31 {
        // SAFETY: all-zero is a valid value of a structure of integers, a mask and an optional
        // pointer.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: a null pointer changes nothing; the other one is a valid place for the answer.
        unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) };
        let is_ours = ![libc::SIG_IGN, libc::SIG_DFL].contains(&action.sa_sigaction);
        // Our handlers must not run for a signal that arrives from now on; and Rust ignores
        // SIGPIPE.
        if is_ours || signal == libc::SIGPIPE {
            // SAFETY: the default action needs no handler to stay valid. The table of handlers is
            // the child's own: neither clone shares it (CLONE_SIGHAND).
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
    // SAFETY: all-zero is a valid value of a mask, the empty one.
    let none: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the mask is valid, and a null pointer asks for no answer. All handlers of ours are
    // gone, so that none runs now.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut()) };
}

/// All signals blocked until dropped: between clone and exec none of our handlers may run in the
/// child.
#[expect(missing_debug_implementations, reason = "a mask of the C library's")]
pub struct BlockedSignals(libc::sigset_t);

impl BlockedSignals {
    /// Blocks them for this thread.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it acts")]
    pub fn new() -> BlockedSignals {
        // SAFETY: all-zero is a valid value of a mask.
        let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
        let mut before = all;
        // SAFETY: a valid pointer to a mask of this function.
        unsafe { libc::sigfillset(&raw mut all) };
        // SAFETY: valid pointers to both masks. It changes only this thread.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before) };
        BlockedSignals(before)
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        // SAFETY: a valid pointer to the former mask. It changes only this thread.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a program has an open copy of this descriptor, if it inherits those up to `last`.
    fn inherits(fd: RawFd, last_inherited: RawFd) -> bool {
        let null = std::fs::File::open("/dev/null").expect("there is one");
        let arguments = [c"sh", c"-c"].map(Into::into).into_iter();
        let test = CString::new(format!("test -e /proc/self/fd/{fd}")).expect("no NUL byte");
        let arguments: Vec<CString> = arguments.chain([test]).collect();
        let (_, pidfd) = start(Order {
            program: c"/bin/sh",
            arguments: &arguments,
            environment: &[],
            streams: [null.as_fd(), null.as_fd()],
            group: None,
            last_inherited,
        })
        .expect("started");
        let end = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).expect("ours");
        end.and_then(|end| end.exit_status()) == Some(0)
    }

    #[test]
    fn descriptors_beyond_the_last_inherited_are_closed() {
        const HIGH: RawFd = 500;
        let null = std::fs::File::open("/dev/null").expect("there is one");
        let closed = rustix::io::fcntl_dupfd_cloexec(&null, HIGH).expect("free");
        let open = rustix::io::fcntl_dupfd_cloexec(&null, HIGH).expect("free");
        rustix::io::fcntl_setfd(&open, rustix::io::FdFlags::empty()).expect("open");
        let (closed, open) = (closed.as_raw_fd(), open.as_raw_fd());
        assert!(inherits(open, open) && inherits(open, RawFd::MAX));
        assert!(!inherits(closed, open), "on exec");
        assert!(!inherits(open, HIGH - 1));
        assert!(!inherits(open, -1), "but it has its streams");
    }

    fn run(program: &CStr, group: Option<BorrowedFd<'_>>) -> io::Result<(i32, OwnedFd)> {
        let null = std::fs::File::open("/dev/null").expect("there is one");
        let streams = [null.as_fd(), null.as_fd()];
        let arguments = [c"it".into(), c"60".into()];
        let last_inherited = 2;
        let (arguments, environment) = (&arguments[..], &[][..]);
        start(Order { program, arguments, environment, streams, group, last_inherited })
    }

    fn wait(pidfd: &OwnedFd) -> Option<i32> {
        let end = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).expect("ours");
        end.and_then(|end| end.terminating_signal())
    }

    #[test]
    fn a_program_without_a_group_runs_or_it_is_said_why_not() {
        let (_, pidfd) = run(c"/bin/false", None).expect("started");
        assert_eq!(wait(&pidfd), None);
        let why = run(c"/no/such/program", None).expect_err("it is not there");
        assert_eq!(why.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_was_started_dies_with_the_thread_that_started_it() {
        let started = std::thread::spawn(|| run(c"/bin/sleep", None).expect("started"));
        let (_, pidfd) = started.join().expect("no panic");
        assert_eq!(wait(&pidfd), Some(libc::SIGKILL));
    }

    /// In this process' own control group, if it can be found.
    #[test]
    fn a_program_runs_or_it_is_said_why_not() {
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let path = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
        let mounts = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
        let mut groups = mounts.map(|mount| format!("{mount}/{path}")).into_iter();
        let is_group = |path: &String| std::path::Path::new(path).join("cgroup.procs").exists();
        let Some(group) = groups.find(is_group) else { return };
        let group = std::fs::File::open(group).expect("a folder");
        match run(c"/bin/false", Some(group.as_fd())) {
            Ok((_, pidfd)) => {
                let end = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
                let end = end.expect("ours").expect("it has exited");
                assert_eq!(end.exit_status(), Some(1));
                let why = run(c"/no/such/program", Some(group.as_fd()));
                let why = why.expect_err("it is not there");
                assert_eq!(why.kind(), io::ErrorKind::NotFound);
            }
            // Another user's group.
            Err(why) => assert_ne!(why.kind(), io::ErrorKind::NotFound, "{why}"),
        }
    }
}
